"""Let Theano 1.0.5 find on disk what it has compiled before.

Compiled operations are on disk under a key. Theano does not look up an operation whose key lacks a
version, and never finds one whose version differs from process to process: each costs a second or
more per start, and the latter another file on disk. At each start all keys are read, and those that
hold a scalar graph build it anew; a program is compiled to see whether g++ knows OpenMP; and two
processes that clean the folder up when they end get in each other's way.
"""

import contextlib
import hashlib
import os
import warnings

import theano
from theano.configdefaults import gcc_version_str
from theano.gof.cmodule import ModuleCache
from theano.gof.op import COp, Op, OpenMPOp
from theano.gof.utils import hash_from_code
from theano.scalar.basic import Composite

from lenet.theano_start.refusal import say


def apply():
    """Make keys the same in every process and quick to read, test g++ once, and exit quietly."""
    version_operations_without_properties()
    COp.c_code_cache_version = version_of_code
    Composite.__getstate__ = get_state_without_graph
    Composite.__setstate__ = set_state_without_graph
    Composite.__getattr__ = build_on_first_use
    compiles = OpenMPOp.test_gxx_support
    OpenMPOp.test_gxx_support = staticmethod(lambda: check_openmp(compiles))
    clean_up = ModuleCache._on_atexit
    ModuleCache._on_atexit = lambda cache: clean_up_beside_others(clean_up, cache)


def version_operations_without_properties():
    """Give operations without properties one that says nothing.

    ``CLinker.cmodule_key_`` takes an empty ``__props__`` for a missing version. All operations
    have the attribute ``default_output``, with the same value throughout such a class.
    """
    classes = [Op]
    while classes:
        subclass = classes.pop()
        classes += subclass.__subclasses__()
        if subclass.__dict__.get("__props__") == ():
            subclass.__props__ = ("default_output",)


def version_of_code(self):
    """The version of an operation that is written in C: a number made from its code.

    ``COp.c_code_cache_version`` uses ``hash`` of the text, which differs from process to process.
    """
    version = (int(hash_from_code("\n".join(self.func_codes))[-12:], 16),)
    if hasattr(self, "params_type"):
        version += (self.params_type.c_code_cache_version(),)
    return version


def get_state_without_graph(self):
    """What a pickle holds of a scalar graph; Theano's own needs ``fgraph``, to leave it out."""
    return {name: value for name, value in vars(self).items()
            if name not in ("fgraph", "_impls", "prepare_node_called")}


def set_state_without_graph(self, state):
    """Restore a scalar graph from a pickle. A key compares its C code, which the pickle holds."""
    self.__dict__.update(state)
    self.prepare_node_called = set()


def build_on_first_use(self, name):
    """Build what is not in the pickle; Theano's own ``__setstate__`` builds it at once."""
    if name == "fgraph":
        self.init_fgraph()
    elif name == "_impls":
        self.init_py_impls()
    else:
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
    return self.__dict__[name]


def check_openmp(compiles):
    """Whether g++ compiles a program with OpenMP: tested until it does, then noted in a file."""
    compiler = hashlib.sha256((theano.config.cxx + gcc_version_str).encode()).hexdigest()[:16]
    known = os.path.join(theano.config.compiledir, f"openmp-{compiler}")
    if os.path.exists(known):
        return True
    if not compiles():
        warn_without_openmp()
        return False
    with contextlib.suppress(OSError):
        open(known, "w").close()
    return True


def warn_without_openmp():
    """Say in one line what Theano warns of in three, for g++ only."""
    warnings.filterwarnings("ignore", "Your g\\+\\+ compiler fails to compile OpenMP")
    hint = ("sudo apt-get install libomp-dev" if "clang" in theano.config.cxx
            else "leave cxx out for g++")
    say(f"{theano.config.cxx} cannot compile with OpenMP: the convolutions use one thread; "
        f"for more, {hint}")


def clean_up_beside_others(clean_up, cache):
    """Clean the folder up, unless another process has just done so.

    ``ModuleCache.clear_unversioned`` gets None for the list of files in a folder that has gone.
    """
    with contextlib.suppress(OSError, TypeError):
        clean_up(cache)
