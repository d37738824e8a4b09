"""LeNet in Theano, as the deeplearning.net tutorial teaches it.

Importing the package starts Theano with settings that work (``lenet.theano_start``) and registers
the package's fast operations with its compiler (``lenet.ops``); after that, every module can
``import theano`` as the tutorial does, and ``from mlp import HiddenLayer``.
"""

import importlib.machinery
import os
import sys

from lenet import kernel, theano_start

__version__ = "0.1.0"

theano_start.start()

from lenet import ops  # noqa: E402  (it needs Theano)

ops.register()


class ShortNames:
    """Finds ``lenet.mlp`` for ``import mlp``, unless the user has a module of that name.

    With this folder on the path, as in the tutorial, Python would execute the module a second time,
    and the layers of ``network3`` would not be those of ``lenet.network3``.
    """

    MODULES = "logistic_sgd", "mlp", "convolutional_mlp", "network3"

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in cls.MODULES:
            found = importlib.machinery.PathFinder.find_spec(name)
            origin = os.path.realpath(getattr(found, "origin", None) or __file__)
            if os.path.dirname(origin) == os.path.dirname(os.path.realpath(__file__)):
                return importlib.machinery.ModuleSpec(name, cls)
        return None

    @staticmethod
    def create_module(spec):
        return None  # an empty one, which exec_module replaces

    @staticmethod
    def exec_module(module):
        name = module.__name__
        sys.modules[name] = importlib.import_module(f"lenet.{name}")


sys.meta_path.insert(0, ShortNames)

if kernel.find_shell() is not None:
    from lenet.notebook import cells

    cells.register(kernel.find_shell())
