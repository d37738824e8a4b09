"""Whether the installed Python, NumPy and Theano work together; one line if not."""

import importlib.util
import os
import platform
import re
import struct
import sys

from lenet.installed import numpy_version
from lenet.theano_start import missing
from lenet.theano_start.refusal import SetupError, say

THEANO = "1.0.5"
OLDEST_PYTHON, OLDEST_NUMPY = (3, 8), (1, 21)
NEWEST_PYTHON, NEWEST_NUMPY = (3, 14), (2, 5)  # that were tested


def check():
    """Refuse versions that cannot work, and mention those that nobody has tested."""
    check_python()
    check_numpy()
    check_theano()


def check_python():
    """Refuse a Python that Theano does not run on."""
    python = sys.version_info[:2]
    implementation = platform.python_implementation()
    if python < OLDEST_PYTHON:
        raise SetupError(f"Python {text(python)}; lenet needs Python {text(OLDEST_PYTHON)} or "
                         "later: make another environment with one")
    if implementation != "CPython":
        raise SetupError(f"{implementation}; Theano needs CPython: make another environment with "
                         "it")
    if struct.calcsize("P") < 8:
        raise SetupError("a 32-bit Python; lenet needs a 64-bit one: make another environment")
    if python > NEWEST_PYTHON:
        say(f"Python {text(python)} is newer than {text(NEWEST_PYTHON)}, the last that was "
            "tested; going on")


def check_numpy():
    """Refuse a NumPy that is missing or too old."""
    if importlib.util.find_spec("numpy") is None:
        raise missing.make_error("numpy")
    import numpy

    version = numpy_version()
    if version < OLDEST_NUMPY:
        raise SetupError(f"NumPy {numpy.__version__}; lenet needs {text(OLDEST_NUMPY)} or later; "
                         f"type `{missing.command_for('numpy')}`")
    if version > NEWEST_NUMPY:
        say(f"NumPy {numpy.__version__} is newer than {text(NEWEST_NUMPY)}, the last that was "
            "tested; going on")


def text(version):
    return ".".join(map(str, version))


def check_theano():
    """Refuse a Theano that is missing, incomplete, or another version."""
    spec = importlib.util.find_spec("theano")
    if spec is None:
        raise missing.make_error("theano")
    if spec.origin is None:
        raise SetupError(f"{list(spec.submodule_search_locations)[0]} is only a part of Theano; "
                         f"remove that folder and type `{missing.command_for('theano')}`")
    folder = os.path.dirname(spec.origin)
    version = version_of(folder)
    if version != THEANO:
        found = f"another Theano, {version}" if version else "incomplete"
        raise SetupError(f"{folder} is {found}, not Theano {THEANO}; uninstall it (Theano-PyMC has "
                         f"the same folder) and type `{missing.command_for('theano')}`")


def version_of(folder):
    """The version that a package's file ``_version.py`` gives, or None."""
    try:
        with open(os.path.join(folder, "_version.py"), encoding="utf-8") as file:
            return re.search(r'"version": "([^"]*)"', file.read()).group(1)
    except (OSError, AttributeError):
        return None
