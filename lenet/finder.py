"""What Python finds differently once this package is imported: Theano, our modules, short names.

Theano is started (``lenet.theano_start``) where it is first imported, so that a program can set its
flags before. Our own modules need it, with float32, the tutorial's type; all other programs get
Theano's own default, float64.
"""

import importlib
import importlib.machinery
import os
import sys

from lenet.theano_start.today.view import find_with

# The rooms that need no Theano, or take it as it is.
WITHOUT_THEANO = {"__main__", "errors", "finder", "gpu", "installed", "kernel", "lenet", "notebook",
                  "ops", "processors", "program", "theano_start"}
SHORT_NAMES = {"logistic_sgd", "mlp", "convolutional_mlp", "network3"}


def register():
    """From now on, find what is ours; a second call, as of ``importlib.reload``, does nothing."""
    if Finder in sys.meta_path:
        return
    sys.meta_path.insert(0, Finder)
    if hasattr(sys.modules.get("theano"), "function"):
        from lenet.theano_start import start

        start.adopt_theano(register_operations)


def register_operations():
    from lenet import ops  # needs Theano

    ops.register()


class Finder:
    """A finder of ``sys.meta_path`` for what this module's docstring names.

    While it looks for a module no other thread can import any, so it must not import one itself:
    that is up to the loaders.
    """

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in SHORT_NAMES:
            return find_short_name(name)
        if name == "theano":
            return find_with(TheanoLoader, name)
        if name.startswith("lenet.") and name.split(".")[1] not in WITHOUT_THEANO:
            return find_with(OwnLoader, name, path)
        return None


class TheanoLoader(importlib.machinery.SourceFileLoader):
    """Starts Theano where its first module is executed."""

    def exec_module(self, module):
        from lenet.theano_start import start

        start.start_theano(module, register_operations)


class OwnLoader(importlib.machinery.SourceFileLoader):
    """Starts Theano before a module of ours is executed, also by ``python -m``."""

    def get_code(self, name):
        from lenet.theano_start import start

        start.start_for_package()
        return super().get_code(name)


def find_short_name(name):
    """The spec of ``lenet.mlp`` for ``import mlp``; None if the user has a module of that name.

    With this folder on the path, as in the tutorial, Python would execute the module a second time,
    and the layers of ``network3`` would not be those of ``lenet.network3``.
    """
    found = importlib.machinery.PathFinder.find_spec(name)
    origin = os.path.realpath(getattr(found, "origin", None) or __file__)
    if os.path.dirname(origin) != os.path.dirname(os.path.realpath(__file__)):
        return None
    return importlib.machinery.ModuleSpec(name, ShortName)


class ShortName:
    """Loads ``lenet.mlp`` in the place of a new module."""

    @staticmethod
    def create_module(spec):
        return None  # an empty one, which exec_module replaces

    @staticmethod
    def exec_module(module):
        name = module.__name__
        sys.modules[name] = importlib.import_module(f"lenet.{name}")
