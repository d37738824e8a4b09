"""Pickles of plain containers, numbers, strings and NumPy arrays, and of nothing else.

A pickle is a program: it names functions, and loading it calls them. Here each name that the
pickle of an array needs stands for a small function of our own, and any other name is refused. So
no code runs but this, and nothing in NumPy can be changed.
"""

import pickle

import numpy

NUMBER_KINDS = "biuf"  # boolean, signed, unsigned, floating point


def load(file):
    """Read the one object in a pickle, which Python 2 or 3 wrote with any NumPy.

    Raises
    ------
    pickle.UnpicklingError
        The pickle is damaged, or names something other than arrays of numbers.
    """
    try:
        # Python 2 wrote the bytes of an array as a string; "bytes" leaves them as they are.
        return _Unpickler(file, encoding="bytes").load()
    except (EOFError, OSError, MemoryError, pickle.UnpicklingError):
        raise
    except Exception as error:  # a damaged pickle makes the unpickler fail in many ways
        raise pickle.UnpicklingError(f"damaged: {error}") from None


def dump(value, file):
    """Write an object as a pickle that Python's own ``pickle.load`` reads with any NumPy.

    The content of a large array is not copied: ``file.write`` gets all of it.
    """
    _Pickler(file, protocol=5).dump(value)


class _Pickler(pickle.Pickler):
    def reducer_override(self, value):
        # NumPy's own choice of a function has another name in NumPy 1 than in NumPy 2.
        if isinstance(value, numpy.ndarray):
            content = pickle.PickleBuffer(numpy.ascontiguousarray(value))
            return numpy.ndarray, (value.shape, value.dtype.str, content)
        return NotImplemented


class _Unpickler(pickle._Unpickler):
    # The one in Python: the one in C has the bytes of an array in memory twice while it reads them.

    def find_class(self, module, name):
        # NumPy 2 and Python 3 renamed two modules.
        known = f"{module}.{name}".replace("numpy._core.", "numpy.core.")
        known = known.replace("__builtin__.", "builtins.")
        if known not in _NAMES:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, which is no part of an array of numbers")
        return _NAMES[known]


class _Function:
    """A function that a pickle may call, but not change."""

    __slots__ = ("function",)

    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments):
        return self.function(*arguments)

    def __setstate__(self, state):
        raise pickle.UnpicklingError("it changes a function")


class _DType:
    """Stands for a ``numpy.dtype``, whose own ``__setstate__`` believes what it is told."""

    __slots__ = ("dtype",)

    def __init__(self, code, *align_and_copy):
        self.dtype = numpy.dtype(code)
        if self.dtype.kind not in NUMBER_KINDS:
            raise pickle.UnpicklingError(
                f"an array of type {self.dtype}, where numbers were expected")

    def __setstate__(self, state):
        # (version, byte order, subtype, field names, fields, item size, alignment, flags)
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(numpy.ndarray):
    """An array that takes its state with a ``_DType`` in it."""

    def __setstate__(self, state):
        if self.size:  # what views the present content would be left without memory
            raise pickle.UnpicklingError("it fills an array twice")
        # ([version,] shape, dtype, column-major order?, bytes)
        *_, shape, dtype, column_major, content = state
        array = _frombuffer(content, dtype, shape, "F" if column_major else "C")
        # NumPy's own method keeps the bytes without copying them.
        super().__setstate__((1, array.shape, array.dtype, bool(column_major), content))


def _frombuffer(content, dtype, shape, order):
    if not isinstance(content, (bytes, bytearray)):
        raise pickle.UnpicklingError(f"an array made of {type(content).__name__}")
    return numpy.frombuffer(content, dtype.dtype).reshape(shape, order=order)


def _encode(text, encoding):
    """How Python 3 writes bytes for Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes encoded as {encoding!r}")
    return text.encode("latin1")


_NAMES = {name: _Function(function) for name, function in {
    "numpy.ndarray": lambda shape, code, content: _frombuffer(content, _DType(code), shape, "C"),
    "numpy.core.multiarray._reconstruct": lambda *subtype_and_shape: _Array(0, "b"),
    "numpy.core.numeric._frombuffer": _frombuffer,
    "numpy.core.multiarray.scalar": lambda dtype, content:
        _frombuffer(content, dtype, (), "C").item(),
    "numpy.dtype": _DType,
    "_codecs.encode": _encode,
    "builtins.bytes": lambda: b"",
}.items()}
