"""What Python's own modules once had, under ``python -m lenet``."""

import collections
import functools
import importlib
import importlib.util
import inspect
import os
import pickle
import sys
import time
from types import ModuleType  # noqa: F401  (imp.new_module)

# time.clock: on Windows the time since the first call, elsewhere the processors' time
clock = time.perf_counter if os.name == "nt" else time.process_time

ArgSpec = collections.namedtuple("ArgSpec", "args varargs keywords defaults")

# Python 2's strings become str, as its arrays and texts need.
load = functools.partial(pickle.load, encoding="latin1")
loads = functools.partial(pickle.loads, encoding="latin1")


class Unpickler(pickle.Unpickler):
    """Reads what Python 2 wrote, too."""

    def __init__(self, file, *, encoding="latin1", **options):
        super().__init__(file, encoding=encoding, **options)


def getargspec(function):
    """The arguments of a function, as ``inspect.getargspec`` gave them."""
    return ArgSpec(*inspect.getfullargspec(function)[:4])


def cmp(a, b):
    """-1, 0 or 1, as a is less than b, equal or more."""
    return (a > b) - (a < b)


def reload(module):
    """Execute a module again; one that the program sees with names of the past is left as it is."""
    return importlib.reload(module) if sys.modules.get(module.__name__) is module else module


def setdefaultencoding(name):
    """Nothing: strings have no encoding any more."""


def join(words, sep=" "):
    """``string.join``."""
    return sep.join(words)


def escape(s, quote=None):
    """``cgi.escape``, which by default left quotes as they are."""
    import html

    return html.escape(s, bool(quote))


def find_module(name, path=None):
    """``imp.find_module``, which programs call to see whether there is one."""
    spec = importlib.machinery.PathFinder.find_spec(name, path)
    if spec is None:
        raise ImportError(f"No module named {name!r}", name=name)
    return None, spec.origin, ("", "", 5)


def load_source(name, path):
    """``imp.load_source``: a module from a file."""
    spec = importlib.util.spec_from_file_location(name, path)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
