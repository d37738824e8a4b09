"""A network seen from outside: its kind, its layers by name, its file."""

from lenet.networks.files import *  # noqa: F401, F403
