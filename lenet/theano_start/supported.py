"""Whether the installed Python, NumPy and Theano work together; one line if not."""

import importlib.util
import os
import platform
import re
import struct
import sys

from lenet.installed import format_version, numpy_version
from lenet.theano_start import missing
from lenet.theano_start.refusal import SetupError, say

THEANO = "1.0.5"
OLDEST_PYTHON, OLDEST_NUMPY = (3, 8), (1, 21)
NEWEST_TESTED_PYTHON, NEWEST_TESTED_NUMPY = (3, 14), (2, 5)


def check():
    """Refuse versions that cannot work."""
    check_python()
    check_numpy()
    check_theano()


def mention_untested():
    """Say in one line that nobody has tested a version."""
    for name, version, newest in (
            ("Python", sys.version_info[:2], NEWEST_TESTED_PYTHON),
            ("NumPy", numpy_version(), NEWEST_TESTED_NUMPY)):
        if version > newest:
            say(f"{name} {format_version(version)} is newer than {format_version(newest)}, "
                "the last that was tested; going on")


def check_python():
    """Refuse a Python that Theano does not run on."""
    python = sys.version_info[:2]
    implementation = platform.python_implementation()
    if python < OLDEST_PYTHON:
        raise SetupError(f"Python {format_version(python)}; lenet needs Python "
                         f"{format_version(OLDEST_PYTHON)} or later: make another environment with "
                         "one")
    if implementation != "CPython":
        raise SetupError(f"{implementation}; Theano needs CPython: make another environment with "
                         "it")
    if struct.calcsize("P") < 8:
        raise SetupError("a 32-bit Python; lenet needs a 64-bit one: make another environment")


def check_numpy():
    """Refuse a NumPy that is missing or too old."""
    if importlib.util.find_spec("numpy") is None:
        raise missing.make_error("numpy")
    import numpy

    if numpy_version() < OLDEST_NUMPY:
        raise SetupError(f"NumPy {numpy.__version__}; lenet needs {format_version(OLDEST_NUMPY)} "
                         f"or later; type `{missing.command_for('numpy')}`")


def check_theano():
    """Refuse a Theano that is missing, incomplete, or another version."""
    spec = importlib.util.find_spec("theano")
    if spec is None:
        raise missing.make_error("theano")
    if spec.origin is None:
        raise SetupError(f"{list(spec.submodule_search_locations)[0]} is only a part of Theano; "
                         f"remove that folder and type `{missing.command_for('theano')}`")
    folder = os.path.dirname(spec.origin)
    version = read_version(folder)
    if version != THEANO:
        found = f"another Theano, {version}" if version else "incomplete"
        raise SetupError(f"{folder} is {found}, not Theano {THEANO}; uninstall it (Theano-PyMC has "
                         f"the same folder) and type `{missing.command_for('theano')}`")


def read_version(folder):
    """The version that a package's file ``_version.py`` gives, or None."""
    try:
        with open(os.path.join(folder, "_version.py"), encoding="utf-8") as file:
            return re.search(r'"version": "([^"]*)"', file.read()).group(1)
    except (OSError, AttributeError):
        return None
