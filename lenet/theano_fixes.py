"""Two faults of Theano 1.0.5 that make every process compile again what is compiled already.

Theano keeps compiled operations on disk under a key. An operation without a version in that key
is not looked up at all, and one whose version changes is never found: both cost a second or more
at each start, and the second leaves another file on disk each time.
"""

from theano.gof.op import COp, Op
from theano.gof.utils import hash_from_code


def apply():
    """Let the key of every operation be known and the same in every process."""
    version_operations_without_properties()
    COp.c_code_cache_version = version_of_code


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
