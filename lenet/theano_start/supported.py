"""Whether the Python, the NumPy and the Theano that are here go together; one line where not."""

import importlib.util
import os
import platform
import re
import shlex
import struct
import sys

from lenet.theano_start.refusal import SetupError, say

THEANO = "1.0.5"
OLDEST_PYTHON, OLDEST_NUMPY = (3, 8), (1, 21)
NEWEST_PYTHON, NEWEST_NUMPY = (3, 14), (2, 5)  # that were tried


def check():
    """Stop with one line where this cannot work; say so where nobody has tried it."""
    check_python()
    check_numpy()
    check_theano()


def check_python():
    """Stop on a Python that Theano does not run on."""
    if sys.version_info < OLDEST_PYTHON:
        raise SetupError("Python %d.%d; lenet needs Python %d.%d or later: make another "
                         "environment with one" % (sys.version_info[:2] + OLDEST_PYTHON))
    if platform.python_implementation() != "CPython":
        raise SetupError("%s; Theano needs CPython: make another environment with it"
                         % platform.python_implementation())
    if struct.calcsize("P") < 8:
        raise SetupError("a Python of 32 bits; lenet needs one of 64: make another environment")
    if sys.version_info[:2] > NEWEST_PYTHON:
        say("Python %d.%d is newer than %d.%d, the last that was tried; going on"
            % (sys.version_info[:2] + NEWEST_PYTHON))


def check_numpy():
    """Stop where there is no NumPy, or one that is too old."""
    if importlib.util.find_spec("numpy") is None:
        raise missing("numpy")
    import numpy

    from lenet.theano_start.today.view import numpy_version  # imports it, too

    version = numpy_version()
    if version < OLDEST_NUMPY:
        raise SetupError("NumPy %s; lenet needs %d.%d or later: pip install --upgrade numpy"
                         % ((numpy.__version__,) + OLDEST_NUMPY))
    if version > NEWEST_NUMPY:
        say("NumPy %s is newer than %d.%d, the last that was tried; going on"
            % ((numpy.__version__,) + NEWEST_NUMPY))


def check_theano():
    """Stop where Theano's folder is missing, is no whole Theano, or is another's."""
    spec = importlib.util.find_spec("theano")
    if spec is None:
        raise missing("theano")
    if spec.origin is None:
        raise SetupError("%s is only a part of Theano; remove that folder and %s"
                         % (list(spec.submodule_search_locations)[0], how_to_install_theano()))
    folder = os.path.dirname(spec.origin)
    version = version_of(folder)
    if version != THEANO:
        raise SetupError("%s is %s, not Theano %s; uninstall it (Theano-PyMC has the same folder) "
                         "and %s" % (folder, "another Theano, " + version if version
                                     else "not whole", THEANO, how_to_install_theano()))


def version_of(folder):
    """The version that a package's file ``_version.py`` gives, or None."""
    try:
        with open(os.path.join(folder, "_version.py"), encoding="utf-8") as file:
            return re.search(r'"version": "([^"]*)"', file.read()).group(1)
    except (OSError, AttributeError):
        return None


def missing(package):
    """The error for a package that is not installed."""
    how = how_to_install_theano() if package == "theano" else "type " + IN_THE_CLONE
    return SetupError("the package %s is not installed; %s" % (package, how))


IN_THE_CLONE = "`pip install -e .` in the clone"


def how_to_install_theano():
    """The command for it."""
    if sys.version_info < (3, 12):
        return "type `pip install Theano==%s`" % THEANO
    if importlib.util.find_spec("lenet_theano") is None:
        return "type " + IN_THE_CLONE
    return "type `%s -m lenet_theano.scripts install-theano`" % shlex.quote(sys.executable)
