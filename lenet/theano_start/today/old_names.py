"""Modules and names that Theano 0.6 to 0.9 had, and 1.0 does not have: where each is now."""

import contextlib
import functools
import importlib

from lenet.theano_start.today import view
from lenet.theano_start.today.view import Mend

HERE = "lenet.theano_start.today."
GPU, INTERFACE = HERE + "old_gpu", HERE + "old_interface"
BUILT_IN = "theano.compat collections functools itertools builtins"  # python25, python2x
DOWNSAMPLE = INTERFACE + " theano.tensor.signal.pool"

# {module that is gone: the modules in which its names are looked up, in this order}
MODULES = {
    "theano.compat.python2x": BUILT_IN,
    "theano.compat.six": "six",
    "theano.compat.six.moves": "six.moves",
    "theano.gof.python25": BUILT_IN,
    "theano.sandbox.downsample": DOWNSAMPLE,
    "theano.sandbox.linalg.kron": "theano.tensor.slinalg",
    "theano.sandbox.scan_module": "theano.scan_module",
    "theano.tensor.nnet.Conv3D": INTERFACE,
    "theano.tensor.nnet.ConvGrad3D": INTERFACE,
    "theano.tensor.nnet.ConvTransp3D": INTERFACE,
    "theano.tensor.randomstreams": "theano.tensor.shared_randomstreams",
    "theano.tensor.signal.downsample": DOWNSAMPLE,
    # Theano 0.6 to 0.8 had the back end of today here
    **{f"theano.sandbox.gpuarray{part}": f"theano.gpuarray{part}" for part in (
        "", ".basic_ops", ".blas", ".dnn", ".elemwise", ".neighbours", ".nnet", ".subtensor",
        ".type")},
    **{f"theano.sandbox.cuda{part}": f"{GPU} theano.tensor" for part in (
        "", ".basic_ops", ".blas", ".blocksparse", ".cuda_ndarray", ".cuda_ndarray.cuda_ndarray",
        ".dnn", ".fftconv", ".neighbours", ".nnet", ".rng_curand", ".type", ".var")},
}
# {module that lacks names: where these are looked up}
NAMES = {
    "theano": "",
    "theano.compat": "itertools",
    "theano.compile": "",
    "theano.gof": "theano.configdefaults",
    "theano.printing": "",
    "theano.sandbox": "",
    "theano.sandbox.conv": "theano.tensor.nnet.conv",
    "theano.sandbox.linalg": "theano.tensor.slinalg",
    "theano.sandbox.linalg.ops": "theano.tensor.nlinalg theano.tensor.slinalg",
    "theano.sandbox.softsign": "theano.tensor.nnet.nnet",
    "theano.sandbox.solve": "theano.tensor.slinalg",
    "theano.tensor": "theano.compile.sharedvalue",
    "theano.tensor.basic": "theano.scalar.basic theano.compile.ops theano.tensor.subtensor",
    "theano.tensor.nnet": INTERFACE,
    "theano.tensor.opt": "theano.gof.opt",
    "theano.tensor.signal": "",
    "theano.updates": "",
}
PLACES = {**MODULES, **NAMES}
RENAMED = {
    "theano.printing.pydotprint_variables": "theano.printing.pydotprint",
    "theano.tensor.signal.downsample.max_pool2D": "theano.tensor.signal.downsample.max_pool_2d",
    "theano.updates.Updates": "theano.updates.OrderedUpdates",
}

PROFILE = "Theano profiles with the flag profile=True now"
MODULE = "write a class whose methods are made by theano.function, with theano.shared variables"
PYCUDA = "Theano shares its GPU memory with pygpu now: see theano.gpuarray"
# {what nothing can stand in for, with all that is in it: what to do instead}
GONE = {
    "theano.ProfileMode": PROFILE,
    "theano.compile.ProfileMode": PROFILE,
    "theano.compile.profilemode": PROFILE,
    "theano.compile.Module": MODULE,
    "theano.compile.Method": MODULE,
    "theano.compile.Member": MODULE,
    "theano.compile.module": MODULE,
    "theano.tensor.deprecated": MODULE,
    "theano.sandbox.symbolic_module": MODULE,
    "theano.sandbox.theano_object": MODULE,
    "theano.misc.pycuda_example": PYCUDA,
    "theano.misc.pycuda_init": PYCUDA,
    "theano.misc.pycuda_utils": PYCUDA,
    "theano.misc.cudamat_utils": PYCUDA,
    "theano.misc.gnumpy_utils": PYCUDA,
    "theano.sandbox.neighbourhoods": "use theano.tensor.nnet.neighbours.images2neibs",
    "theano.sandbox.scan": "use theano.scan, whose outputs_info takes the place of states",
    "theano.sandbox.cuda": "Theano's first GPU back end is gone, and what is in theano.tensor runs "
                           "on a GPU with device=cuda: see theano.gpuarray",
}


def find(module, name):
    """What a module of Theano once had under a name: its ``__getattr__``."""
    full = f"{module}.{name}"
    if full in PLACES:
        return importlib.import_module(full)
    if full in RENAMED:
        place, _, name = RENAMED[full].rpartition(".")
        return getattr(importlib.import_module(place), name)
    for place in () if name.startswith("__") else PLACES[module].split():
        with contextlib.suppress(AttributeError):
            return getattr(importlib.import_module(place), name)
    refusal = view.explain_refusal(full)
    raise AttributeError(f"{full}: {refusal}" if refusal else
                         f"module {module!r} has no attribute {name!r}")


def restore_names(module):
    """Have a module of Theano answer for the names that it once had."""
    module.__getattr__ = functools.partial(find, module.__name__)


def show():
    """Let Theano's old modules be imported, or say in one line what takes their place."""
    view.REFUSED.update(GONE)
    view.RESTORED.update(MODULES)


MENDS = [Mend(name, restore_names) for name in PLACES]
