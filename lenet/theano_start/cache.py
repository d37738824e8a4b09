"""Faults of Theano 1.0.5 in keeping compiled operations on disk.

They lie there under a key. An operation without a version in that key is not looked up at all, and
one whose version changes is never found: both cost a second or more at each start, and the second
leaves another file on disk each time. And two processes that tidy the folder up at their ends trip
over each other.
"""

import contextlib

from theano.gof.cmodule import ModuleCache
from theano.gof.op import COp, Op
from theano.gof.utils import hash_from_code


def apply():
    """Let the key of every operation be known and the same in every process, and end quietly."""
    version_operations_without_properties()
    COp.c_code_cache_version = version_of_code
    tidy_up = ModuleCache._on_atexit
    ModuleCache._on_atexit = lambda cache: tidy_up_beside_others(tidy_up, cache)


def version_operations_without_properties():
    """Give operations without properties one that says nothing.

    ``CLinker.cmodule_key_`` takes an empty ``__props__`` for a missing version. All operations
    have the attribute ``default_output``, the same for all of such a class.
    """
    classes = [Op]
    while classes:
        subclass = classes.pop()
        classes += subclass.__subclasses__()
        if subclass.__dict__.get("__props__") == ():
            subclass.__props__ = ("default_output",)


def version_of_code(self):
    """The version of an operation that is written in C: a number made from its code.

    ``COp.c_code_cache_version`` takes ``hash`` of the text, which is another one in each process.
    """
    version = (int(hash_from_code("\n".join(self.func_codes))[-12:], 16),)
    if hasattr(self, "params_type"):
        version += (self.params_type.c_code_cache_version(),)
    return version


def tidy_up_beside_others(tidy_up, cache):
    """Tidy up unless another process has just done it.

    ``ModuleCache.clear_unversioned`` takes None for the list of files in a folder that has gone.
    """
    with contextlib.suppress(OSError, TypeError):
        tidy_up(cache)
