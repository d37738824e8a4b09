"""Read and write pickles of plain containers, numbers and NumPy arrays, and nothing else.

A pickle is a program: it names functions, and loading it calls them. Here every name that the
pickle of an array needs stands for a small function of our own, and any other name is refused
before anything is called. So no code comes from the file, not even calls of NumPy with arguments
of the file's choosing.
"""

import math
import pickle
import struct

import numpy

# The modules that the versions of NumPy since 2006 name in the pickle of an array.
NUMPY_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray",
                 "numpy.core.numeric", "numpy._core.numeric")

# Kinds of numbers: boolean, signed, unsigned, floating point.
NUMBER_KINDS = "biuf"


def load(file):
    """Read the one object that a pickle holds.

    Parameters
    ----------
    file : binary file
        Read from its present position.

    Returns
    -------
    object
        Tuples, lists, dicts, numbers, strings and ``numpy.ndarray`` of numbers. Arrays are
        read-only views of the bytes that were read: nothing is held twice.

    Raises
    ------
    pickle.UnpicklingError
        The pickle is damaged, or names something else than arrays of numbers.
    """
    try:
        # Python 2 wrote the bytes of an array as a string; "bytes" leaves them as they are.
        return _finished(_Unpickler(file, encoding="bytes").load(), {})
    except (EOFError, OSError, MemoryError, pickle.UnpicklingError):
        raise
    except Exception as error:  # a damaged pickle makes the unpickler fail in many ways
        raise pickle.UnpicklingError("damaged: %s" % error) from None


class _Unpickler(pickle._Unpickler):
    # The unpickler in Python: the one in C lets a file of ten bytes ask for 32 GB of memory, for
    # a table of what it may refer to. Reading an array takes both the same time.

    def find_class(self, module, name):
        if module in NUMPY_MODULES and name in _NUMPY_NAMES:
            return _NUMPY_NAMES[name]
        if (module, name) == ("_codecs", "encode"):
            return _Function(_encode)
        if name == "bytes" and module in ("builtins", "__builtin__"):
            return _Function(_no_bytes)
        raise pickle.UnpicklingError(
            "it names %s.%s, which is no part of an array of numbers" % (module, name)
        )

    def persistent_load(self, pid):
        raise pickle.UnpicklingError("it refers to an object outside the file")


def _finished(value, done):
    """Replace the stand-ins in ``value`` by the arrays that they stand for, each once."""
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, _Array):
        done[id(value)] = value.array()
    elif isinstance(value, list):
        done[id(value)] = copy = []
        copy.extend(_finished(item, done) for item in value)
    elif isinstance(value, tuple):
        done[id(value)] = tuple(_finished(item, done) for item in value)
    elif isinstance(value, dict):
        done[id(value)] = copy = {}
        copy.update((key, _finished(item, done)) for key, item in value.items())
    else:
        return value
    return done[id(value)]


# --- what stands for NumPy while a pickle is read -------------------------------------------


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
    """Stands for a ``numpy.dtype``."""

    def __init__(self, code):
        self.code = code
        self.byteorder = "="

    def __setstate__(self, state):
        # (version, byte order, subtype, field names, fields, item size, alignment[, flags])
        if any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("an array has fields, where numbers were expected")
        self.byteorder = _text(state[1])

    def dtype(self):
        """The type of number, refused if it is none."""
        try:
            dtype = numpy.dtype(self.code).newbyteorder(self.byteorder)
        except (TypeError, ValueError):
            dtype = None
        if dtype is None or dtype.kind not in NUMBER_KINDS:
            raise pickle.UnpicklingError(
                "an array of type %r, where numbers were expected" % (self.code,)
            )
        return dtype


class _Array:
    """Stands for a ``numpy.ndarray``."""

    def __init__(self, state=()):
        self.__setstate__(state)

    def __setstate__(self, state):
        # ([version,] shape, dtype, column-major order?, bytes)
        self.state = tuple(state)[-4:]

    def array(self):
        """The array, its shape checked against its bytes."""
        if len(self.state) != 4:
            raise pickle.UnpicklingError("an array without contents")
        shape, dtype, column_major, content = self.state
        if not isinstance(dtype, _DType) or not isinstance(content, (bytes, bytearray)):
            raise pickle.UnpicklingError("an array without numbers")
        dtype = dtype.dtype()
        if not (isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)):
            raise pickle.UnpicklingError("an array of shape %r" % (shape,))
        if math.prod(shape) * dtype.itemsize != len(content):
            raise pickle.UnpicklingError(
                "an array of shape %r and type %s with %d bytes" % (shape, dtype, len(content))
            )
        order = "F" if column_major else "C"
        return numpy.frombuffer(content, dtype).reshape(shape, order=order)


_ARRAY_CLASS = object()


def _reconstruct(subtype, shape, code):
    """``_reconstruct(ndarray, (0,), b"b")``: an empty array, to be filled by its state."""
    if subtype is not _ARRAY_CLASS:
        raise pickle.UnpicklingError("an array of a class of its own")
    return _Array()


def _dtype(code, *align_and_copy):
    return _DType(_text(code))


def _scalar(dtype, content):
    return _Array(((), dtype, False, content)).array().item()


def _frombuffer(content, dtype, shape, order):
    """How pickles of protocol 5 make an array."""
    return _Array((shape, dtype, _text(order) == "F", content))


def _encode(text, encoding):
    """``_codecs.encode(text, "latin1")``: how Python 3 writes bytes for Python 2."""
    if _text(encoding) != "latin1":
        raise pickle.UnpicklingError("bytes encoded as %r" % (encoding,))
    return text.encode("latin1")


def _no_bytes():
    """``bytes()``: how Python 3 writes empty bytes for Python 2."""
    return b""


def _text(value):
    """The string ``value``, which Python 2 wrote as bytes."""
    if isinstance(value, bytes):
        value = value.decode("ascii")
    if not isinstance(value, str):
        raise pickle.UnpicklingError("%r, where a string was expected" % (value,))
    return value


_NUMPY_NAMES = {
    "ndarray": _ARRAY_CLASS,
    "_reconstruct": _Function(_reconstruct),
    "dtype": _Function(_dtype),
    "scalar": _Function(_scalar),
    "_frombuffer": _Function(_frombuffer),
}


# --- writing --------------------------------------------------------------------------------


class Pieces:
    """An array that is written without ever being in memory as a whole.

    Parameters
    ----------
    shape : tuple of int
    dtype : str
        Type of its numbers.
    pieces : function without arguments
        Gives the array from its first row to its last, in arrays of some rows each.
    """

    def __init__(self, shape, dtype, pieces):
        self.shape, self.dtype, self.pieces = shape, numpy.dtype(dtype), pieces
        self.nbytes = math.prod(shape) * self.dtype.itemsize


def dump(value, file):
    """Write tuples of arrays, byte for byte the same under every Python and NumPy.

    The names in the file are those of NumPy 1, which NumPy 2 still understands; Python's own
    pickler would write those of the NumPy that happens to be installed.

    Parameters
    ----------
    value : tuple, numpy.ndarray, Pieces, list, dict, str or int
        Arrays of at most three dimensions and 4 GiB, of numbers; strings; whole numbers of 32
        bits; tuples, lists and dicts of such values.
    file : binary file
        Written to at its present position.
    """
    file.write(pickle.PROTO + b"\x03")
    _write(value, file)
    file.write(pickle.STOP)


def _write(value, file):
    if isinstance(value, tuple):
        several = len(value) > 3
        if several:
            file.write(pickle.MARK)
        for item in value:
            _write(item, file)
        file.write(pickle.TUPLE if several else _TUPLE[len(value)])
    elif isinstance(value, list):
        file.write(pickle.EMPTY_LIST + pickle.MARK)
        for item in value:
            _write(item, file)
        file.write(pickle.APPENDS)
    elif isinstance(value, dict):
        file.write(pickle.EMPTY_DICT + pickle.MARK)
        for key, item in value.items():
            _write(key, file)
            _write(item, file)
        file.write(pickle.SETITEMS)
    elif isinstance(value, str):
        file.write(_string(value))
    elif isinstance(value, int):
        file.write(_integer(value))
    elif isinstance(value, Pieces):
        _write_array(value, value.pieces(), file)
    else:
        _write_array(value, [value], file)


def _write_array(array, pieces, file):
    shape = b"".join(_integer(n) for n in array.shape) + _TUPLE[len(array.shape)]
    little = array.dtype.newbyteorder("<")
    dtype = (
        _global("numpy", "dtype")
        + _string(little.str[1:]) + pickle.NEWFALSE + pickle.NEWTRUE + pickle.TUPLE3
        + pickle.REDUCE
        + pickle.MARK + _integer(3) + _string("<") + pickle.NONE * 3
        + _integer(-1) + _integer(-1) + _integer(0) + pickle.TUPLE
        + pickle.BUILD
    )
    file.write(
        _global("numpy.core.multiarray", "_reconstruct")
        + _global("numpy", "ndarray") + _integer(0) + pickle.TUPLE1
        + pickle.SHORT_BINBYTES + b"\x01b" + pickle.TUPLE3
        + pickle.REDUCE
        + pickle.MARK + _integer(1) + shape + dtype + pickle.NEWFALSE
        + pickle.BINBYTES + struct.pack("<I", array.nbytes)
    )
    for piece in pieces:
        file.write(numpy.ascontiguousarray(piece, little).data)
    file.write(pickle.TUPLE + pickle.BUILD)


_TUPLE = (pickle.EMPTY_TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3)


def _global(module, name):
    return pickle.GLOBAL + ("%s\n%s\n" % (module, name)).encode("ascii")


def _integer(number):
    return pickle.BININT + struct.pack("<i", number)


def _string(text):
    text = text.encode("utf-8")
    return pickle.BINUNICODE + struct.pack("<I", len(text)) + text
