"""A program's own past: names that Python and its packages had when it was written.

A module whose ``__builtins__`` is ``BUILTINS`` sees them; the rest of the process sees the modules
as they are. Nothing is imported before the program imports it.
"""

import builtins
import contextlib
import importlib
import importlib.machinery
import importlib.util
import sys
import types

from lenet.program.names import ALIASES, BUILT_IN, NAMES
from lenet.theano_start.today.view import find_with, make_builtins

# What of NumPy's its ``import *`` did not bring, since Python has it, too
NOT_STARRED = set(dir(builtins)) - {"all", "any", "divmod", "sum"} | {"long", "unicode"}
# Modules whose names are those of another module as well
CONTAIN = {"numpy.lib": "numpy", "scipy": "numpy"}

# Packages of which some version starts on today's Python with this view only (docs/theano.md)
PACKAGES = {"blocks", "fuel", "keras", "keras_applications", "keras_preprocessing", "nolearn",
            "pymc3"}


def resolve(path):
    """What is at a dotted path of modules and names."""
    top, *names = path.split(".")
    found = importlib.import_module(top)
    for name in names:
        if not hasattr(found, name):
            importlib.import_module(f"{found.__name__}.{name}")
        found = getattr(found, name)
    return found


class View(types.ModuleType):
    """A module with the names that it once had.

    What is assigned to it is assigned to the module, too, where other modules look for it.
    """

    def __init__(self, name, original=None):
        super().__init__(name)
        vars(self)["_original"] = original
        if original in (None, sys):  # sys.stdout may change
            return
        inside = [known.rpartition(".") for known in [*NAMES, *ALIASES]]
        asked = {"__all__", "__dir__", "__getattr__", *NAMES[name],
                 *(last for package, _, last in inside if package == name)}
        vars(self).update((key, value) for key, value in vars(original).items()
                          if key not in asked)

    def __getattr__(self, name):
        if name == "__all__":
            return self.list_starred()
        path = NAMES.get(self.__name__, {}).get(name)
        try:
            if f"{self.__name__}.{name}" in PAST:
                found = PAST[f"{self.__name__}.{name}"]
            elif path is not None:
                found = resolve(path)
            else:
                return self.find_now(name)
        except (AttributeError, ImportError):
            return self.find_now(name)  # an older version than the path is for
        vars(self)[name] = found
        return found

    def find_now(self, name):
        """What the module has under a name today."""
        with contextlib.suppress(AttributeError):
            return getattr(self._original, name)
        if not name.startswith("_"):
            with contextlib.suppress(AttributeError, KeyError):
                return getattr(PAST[CONTAIN[self.__name__]], name)
            with contextlib.suppress(ModuleNotFoundError):  # its own, not imported before
                return importlib.import_module(f"{self.__name__}.{name}")
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def list_starred(self):
        """What ``from module import *`` brings."""
        now = getattr(self._original, "__all__", None) or [
            name for name in dir(self._original) if not name.startswith("_")]
        names = dict.fromkeys([*now, *NAMES.get(self.__name__, ())])
        if self.__name__ == "numpy":
            names = [name for name in names if name not in NOT_STARRED]
        return list(names)

    def __setattr__(self, name, value):
        if self._original is not sys:
            vars(self)[name] = value
        if self._original is not None:
            setattr(self._original, name, value)

    def __dir__(self):
        return sorted({*dir(self._original), *NAMES.get(self.__name__, ())})


class Past:
    """{name of a module: what an import statement of the program gets}"""

    def __init__(self):
        self.made = {}

    def __contains__(self, name):
        if name in self.made or name in NAMES:
            return True
        # The program may have a module of that name itself.
        return name in ALIASES and ("." in name or importlib.util.find_spec(name) is None)

    def __getitem__(self, name):
        if name not in self.made:
            self.made[name] = self.make(name)
        return self.made[name]

    def make(self, name):
        """A module as the program sees it."""
        if name in ALIASES:
            name = ALIASES[name]
            return self[name] if name in self else importlib.import_module(name)
        try:
            return View(name, importlib.import_module(name))
        except ModuleNotFoundError as error:
            if error.name != name or name == "numpy" or not NAMES[name]:
                raise
            return View(name)


PAST = Past()
BUILTINS = make_builtins(PAST, **{name: resolve(path) for name, path in BUILT_IN.items()})


class Loader(importlib.machinery.SourceFileLoader):
    """Executes a module of a package with the view."""

    def exec_module(self, module):
        vars(module)["__builtins__"] = BUILTINS
        super().exec_module(module)


class Finder:
    """Finds the modules of the packages where Python does, and has ``Loader`` load them."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] not in PACKAGES:
            return None
        return find_with(Loader, name, path)


def install():
    """From now on, load the modules of the packages with the view."""
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)
