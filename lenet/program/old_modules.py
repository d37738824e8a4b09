"""Python 2's library, for translated modules: what ``past`` does not give to all modules."""

import functools
import importlib.util
import io
import types

from lenet.program import binary, old_python
from lenet.theano_start.today.view import copy_module


@functools.lru_cache(None)
def find(name):
    """The module that Python 2 had under a name; None if it is the one that there is now.

    A module of the program itself comes first.
    """
    from fissix.fixes import fix_imports

    if name in CHANGED:
        return CHANGED[name]()
    if name in fix_imports.MAPPING and importlib.util.find_spec(name) is None:
        return importlib.import_module(fix_imports.MAPPING[name])
    return None


def make_pickle():
    """``pickle``, which reads strings of Python 2, and files that were opened as text."""
    import pickle

    class Unpickler(old_python.Unpickler):
        def __init__(self, file, **options):
            super().__init__(as_bytes(file), **options)

        def load(self):
            return super().load()  # the caller of the file's methods is not the program

    def loads(data, **options):
        data = data.encode("latin1") if isinstance(data, str) else data
        return old_python.loads(data, **options)

    return copy_module(
        pickle, Unpickler=Unpickler, loads=loads,
        load=lambda file, **options: Unpickler(file, **options).load(),
        dump=lambda value, file, *protocol, **options: pickle.dump(
            value, as_bytes(file), *protocol, **options),
        Pickler=lambda file, *protocol, **options: pickle.Pickler(
            as_bytes(file), *protocol, **options))


def as_bytes(file):
    """The binary file below a text file."""
    return file.buffer if isinstance(file, io.TextIOWrapper) else file


def make_csv():
    """``csv``, which also reads files that were opened as binary."""
    import csv

    def take_bytes(read):
        return lambda lines, *arguments, **options: read(
            map(binary.as_text, lines), *arguments, **options)

    return copy_module(csv, reader=take_bytes(csv.reader), DictReader=take_bytes(csv.DictReader))


def make_urllib(name="urllib"):
    """``urllib`` or ``urllib2``, whose functions are now in several modules."""
    from fissix.fixes.fix_urllib import MAPPING

    names = {}
    for module, functions in MAPPING[name]:
        found = importlib.import_module(module)
        names.update((one, getattr(found, one)) for one in functions if hasattr(found, one))
    return copy_module(importlib.import_module("urllib"), **names)


def make_types():
    return copy_module(
        types, BooleanType=bool, ClassType=type, ComplexType=complex, DictType=dict,
        DictionaryType=dict, FileType=io.IOBase, FloatType=float, InstanceType=object, IntType=int,
        ListType=list, LongType=int, NoneType=type(None), ObjectType=object, SliceType=slice,
        StringType=str, StringTypes=(str, bytes), TupleType=tuple, TypeType=type, UnicodeType=str,
        XRangeType=range)


def make_random():
    """``random``, whose whole numbers came from those between 0 and 1."""
    import random

    class Random(random.Random):
        def _randbelow(self, n):  # what randint, choice, shuffle and sample call
            return int(self.random() * n)

    shared = Random()
    return copy_module(random, **{name: getattr(shared, name) for name in random.__all__
                                  if hasattr(shared, name)}, Random=Random)


def make_operator():
    import operator

    from lenet.program import python2

    return copy_module(operator, div=python2.divide, idiv=python2.divide_in_place,
                       isCallable=callable, sequenceIncludes=operator.contains)


def make_string_io():
    """``StringIO``: bytes or text, as its first value is."""
    return types.SimpleNamespace(StringIO=lambda value="": (
        io.BytesIO(value) if isinstance(value, bytes) else io.StringIO(value)))


def make_builtin():
    from lenet.program import python2

    class Module(types.ModuleType):
        def __setattr__(self, name, value):  # a name for all modules of the program
            super().__setattr__(name, value)
            python2.BUILTINS[name] = value

    module = Module("__builtin__")
    vars(module).update(python2.BUILTINS)
    return module


CHANGED = {
    "__builtin__": make_builtin,
    "StringIO": make_string_io,
    "cPickle": make_pickle,
    "cStringIO": make_string_io,
    "csv": make_csv,
    "operator": make_operator,
    "pickle": make_pickle,
    "random": make_random,
    "types": make_types,
    "urllib": make_urllib,
    "urllib2": functools.partial(make_urllib, "urllib2"),
}
