"""Theano's own view of the modules that it imports, and mends to its modules.

An import statement calls the ``__import__`` of its module's built-in names. Theano's modules get
built-in names of their own, whose ``__import__`` looks into ``REPLACED`` first; all other modules
of the process keep Python's, but for those that lenet/program/past.py gives a view of its own.
"""

import builtins
import collections
import importlib.abc
import importlib.machinery
import sys
import types
import warnings

from lenet.installed import numpy_version

# {name: the module that Theano gets for it}, including the packages that contain them
REPLACED = {}
# {name of a module of Theano: why it, and what is in it, cannot be imported}
REFUSED = {}
# The modules that Theano no longer has: mends fill them
RESTORED = set()


Mend = collections.namedtuple("Mend", "module change numpy", defaults=[(1,)])
Mend.__doc__ = """A change to a module of Theano: the module's name, a function that is called with
the module once it has been executed, and the first NumPy that needs it."""


def select_needed(mends):
    """Those of the mends that this NumPy needs."""
    return [one for one in mends if numpy_version() >= one.numpy]


def copy_module(original, **names):
    """A copy of a module with other values for some of its names."""

    class View(types.ModuleType):
        def __getattr__(self, name):  # what the module loads on demand
            return getattr(original, name)

    view = View(original.__name__)
    vars(view).update(vars(original))
    vars(view).update(names)
    return view


def make_builtins(replaced, **names):
    """Built-in names for modules whose import statements shall look into ``replaced`` first.

    Parameters
    ----------
    replaced : mapping
        {name: the module that an import gets for it}, including the packages that contain them.
    **names
        Other built-in names.
    """

    def import_module(name, globals=None, locals=None, fromlist=(), level=0):
        package = name.partition(".")[0]
        if level or package not in replaced:
            return builtins.__import__(name, globals, locals, fromlist, level)
        if name in replaced:
            return replaced[name if fromlist else package]
        module = builtins.__import__(name, globals, locals, fromlist, level)
        return module if fromlist else replaced[package]

    return dict(vars(builtins), __import__=import_module, **names)


BUILTINS = make_builtins(REPLACED)


class Loader(importlib.machinery.SourceFileLoader):
    """Executes a module of Theano with Theano's built-in names, then applies the mends to it."""

    mends = ()

    def source_to_code(self, *args, **kwargs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # "is" with a number, "\s"
            return super().source_to_code(*args, **kwargs)

    def exec_module(self, module):
        vars(module)["__builtins__"] = BUILTINS
        super().exec_module(module)
        mend(module)


def find_with(loader, name, path=None):
    """A module's spec as Python finds it, but with a loader of this class for its source."""
    spec = importlib.machinery.PathFinder.find_spec(name, path)
    if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
        spec.loader = loader(name, spec.origin)
    return spec


def mend(module):
    """Apply the mends to a module."""
    for one in Loader.mends:
        if one.module == module.__name__:
            one.change(module)


class Restored(importlib.abc.Loader):
    """Makes a module that Theano no longer has; what is in it, the mends know."""

    @staticmethod
    def exec_module(module):
        mend(module)


def explain_refusal(name):
    """Why a name of Theano's is refused, itself or with what contains it; None if it is not."""
    while name:
        if name in REFUSED:
            return REFUSED[name]
        name = name.rpartition(".")[0]
    return None


class Finder:
    """Finds Theano's modules where Python does, and has ``Loader`` load them."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if not name.startswith("theano."):  # which the start of Theano finds itself
            return None
        if name in RESTORED:
            return importlib.machinery.ModuleSpec(name, Restored(), is_package=True)
        refusal = explain_refusal(name)
        if refusal:
            raise ImportError(f"{name}: {refusal}", name=name)
        return find_with(Loader, name, path)


def install(mends):
    """From now on, load Theano's modules with their view and the mends that are needed."""
    Loader.mends = select_needed(mends)
    sys.meta_path.insert(0, Finder)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "theano":
            mend(module)
