"""What NumPy had before versions 1.18 to 2.5, under ``python -m lenet``."""

import functools
import sys

import numpy

from lenet.installed import numpy_version
from lenet.theano_start.today.numpy_names import Casts

MAXDIMS = 32
NINF, NZERO, PZERO = -numpy.inf, -0.0, 0.0
MachAr = functools.partial(numpy.finfo, float)
cast = Casts()
sctypes = {
    "int": [numpy.int8, numpy.int16, numpy.int32, numpy.int64],
    "uint": [numpy.uint8, numpy.uint16, numpy.uint32, numpy.uint64],
    "float": [numpy.float16, numpy.float32, numpy.float64, numpy.longdouble],
    "complex": [numpy.complex64, numpy.complex128, numpy.clongdouble],
    "others": [bool, object, bytes, str, numpy.void],
}


# --- arrays from lists ----------------------------------------------------------------------------

def allow_ragged(make):
    """Let rows of several lengths become an array of objects, as before NumPy 1.24, and
    ``copy=False`` copy where it must, as before NumPy 2."""

    @functools.wraps(make)
    def make_array(a, dtype=None, *args, **options):
        if options.get("copy") is False and numpy_version() >= (2, 0):
            options["copy"] = None
        try:
            return make(a, dtype, *args, **options)
        except ValueError as error:
            if dtype is not None or "inhomogeneous" not in str(error):
                raise
        return make(a, object, *args, **options)

    return make_array


def allow_generators(join):
    """Let arrays come from a generator, or ``map``, as before NumPy 1.24."""

    @functools.wraps(join)
    def join_arrays(arrays, *args, **options):
        arrays = arrays if hasattr(arrays, "__len__") else list(arrays)
        return join(arrays, *args, **options)

    return join_arrays


array, asarray, asanyarray = map(allow_ragged, (numpy.array, numpy.asarray, numpy.asanyarray))
vstack, hstack, dstack, column_stack, concatenate = map(allow_generators, (
    numpy.vstack, numpy.hstack, numpy.dstack, numpy.column_stack, numpy.concatenate))


def asscalar(a):
    """The number in an array of one."""
    return numpy.asarray(a).item()


def asfarray(a, dtype=numpy.float64):
    """An array of floats."""
    dtype = numpy.dtype(dtype)
    return numpy.asarray(a, dtype if dtype.kind in "fc" else numpy.float64)


def fastCopyAndTranspose(a):
    """A copy of a matrix with its axes exchanged."""
    return numpy.asarray(a).T.copy()


def fromstring(string, dtype=float, count=-1, sep="", **options):
    """An array from bytes, or from a text with separators."""
    if sep:
        return numpy.fromstring(string, dtype, count, sep=sep, **options)
    data = string.encode("latin1") if isinstance(string, str) else string
    return numpy.frombuffer(data, dtype, count, **options).copy()


def in1d(ar1, ar2, *args, **options):
    """For each element of ``ar1``, in a vector, whether it is in ``ar2``."""
    return numpy.isin(numpy.ravel(ar1), ar2, *args, **options)


def msort(a):
    """A copy that is sorted along its first axis."""
    return numpy.sort(a, axis=0)


# --- types of numbers -----------------------------------------------------------------------------

def find_common_type(array_types, scalar_types):
    """A number's type decides only if it is of a higher kind than the arrays'."""
    if not array_types or not scalar_types:
        return numpy.result_type(*array_types, *scalar_types)
    arrays, scalars = numpy.result_type(*array_types), numpy.result_type(*scalar_types)
    kinds = "buifc"
    higher = kinds.index(scalars.kind) > kinds.index(arrays.kind)
    return numpy.result_type(arrays, scalars) if higher else arrays


def issctype(rep):
    """Whether something stands for a type of numbers."""
    return isinstance(rep, numpy.dtype) or isinstance(rep, type) and obj2sctype(rep) is not None


def issubclass_(arg1, arg2):
    """``issubclass``, without an error for what is no class."""
    return isinstance(arg1, type) and issubclass(arg1, arg2)


def issubsctype(arg1, arg2):
    """Whether a type of numbers, or an array's, belongs to another."""
    return issubclass(obj2sctype(arg1), obj2sctype(arg2))


def maximum_sctype(t):
    """The most exact type of the same kind."""
    kind = {"i": "int", "u": "uint", "f": "float", "c": "complex"}.get(numpy.dtype(t).kind)
    return sctypes[kind][-1] if kind else numpy.dtype(t).type


def obj2sctype(rep, default=None):
    """The type of numbers that something stands for, or an array has."""
    if isinstance(rep, type) and issubclass(rep, numpy.generic):
        return rep
    try:
        return numpy.dtype(getattr(rep, "dtype", rep)).type
    except TypeError:
        return default


def sctype2char(sctype):
    """The letter of a type of numbers."""
    return numpy.dtype(sctype).char


class Sizes(dict):
    """{type of numbers: its bytes}"""

    def __missing__(self, sctype):
        return numpy.dtype(sctype).itemsize


nbytes = Sizes()


# --- the rest -------------------------------------------------------------------------------------

def deprecate(*args, **options):
    """A decorator that warned."""
    return args[0] if args and callable(args[0]) else lambda function: function


def disp(mesg, device=None, linefeed=True):
    """Print a message."""
    print(mesg, end="\n" if linefeed else "", file=device or sys.stdout, flush=True)


def recfromtxt(fname, **options):
    """A table's rows as records."""
    options.setdefault("dtype", None)
    return numpy.genfromtxt(fname, **options).view(numpy.recarray)


def recfromcsv(fname, **options):
    """The same for values between commas under a line of names."""
    defaults = dict(case_sensitive="lower", names=True, delimiter=",")
    return recfromtxt(fname, **{**defaults, **options})


class Tester:
    """What packages imported for a function of theirs, ``test``."""

    def test(self, *args, **options):
        raise ImportError("numpy.testing.Tester is gone: run the tests with pytest")

    bench = test
