"""What Python finds differently once this package is imported: Theano, our modules, short names.

Theano is started (``lenet.theano_start``) where it is first imported, so that a program can set its
flags before. Our own modules need it, with float32, the tutorial's type; all other programs get
Theano's own default, float64.
"""

import importlib
import importlib.machinery
import os
import sys

# The rooms that need no Theano, or take it as it is.
WITHOUT_THEANO = {"__main__", "errors", "finder", "gpu", "installed", "kernel", "lenet", "notebook",
                  "ops", "processors", "program", "theano_start"}
SHORT_NAMES = {"logistic_sgd", "mlp", "convolutional_mlp", "network3"}


def register():
    """From now on, find what is ours."""
    sys.meta_path.insert(0, Finder)
    if hasattr(sys.modules.get("theano"), "function"):
        from lenet.theano_start import start

        start.adopt_theano(register_operations)


def register_operations():
    from lenet import ops  # needs Theano

    ops.register()


class Finder:
    """A finder of ``sys.meta_path`` for what this module's docstring names."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "theano":
            return find_theano()
        if name in SHORT_NAMES:
            return find_short_name(name)
        if name.startswith("lenet."):
            prepare_own(name)
        return None


def find_theano():
    """Theano's spec as Python finds it, but with a loader that starts it."""
    spec = importlib.machinery.PathFinder.find_spec("theano")
    if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
        from lenet.theano_start import start

        spec.loader = start.Starter(spec.loader, register_operations)
    return spec


def prepare_own(name):
    """Start Theano for a module of ours that needs it; Python is to find the module."""
    if name.split(".")[1] not in WITHOUT_THEANO:
        from lenet.theano_start import start

        start.start_for_package()


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
