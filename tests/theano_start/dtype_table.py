"""The types that Theano gives to numbers, as a table: one character, NumPy's, for each type.

    python tests/theano_start/dtype_table.py > tests/theano_start/dtypes_float32.txt
    THEANO_FLAGS=floatX=float64 python tests/theano_start/dtype_table.py > ..._float64.txt

The two files were made with NumPy 1.23.5, and every NumPy has to give the same.
"""

import warnings

import numpy

import lenet  # noqa: F401  (starts Theano)

# isort: split
import theano
import theano.tensor as T
from theano import scalar

TYPES = ("bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64 "
         "complex64 complex128").split()
LIMITS = [sign * 2 ** bits + beyond for bits in (0, 7, 8, 15, 16, 31, 32, 53, 63, 64)
          for sign in (1, -1) for beyond in (-1, 0)]
FLOATS = [0.0, 0.1, -0.5, 16777217.0, 65520.0, 1e39, 1e-50, float("inf"), float("nan")]
NUMBERS = LIMITS + FLOATS + [True, 1j] + [numpy.dtype(name).type(1) for name in TYPES]
LISTS = [[], [1, 2], [1, 300], [0.5, 2], [True], [2 ** 40], [2 ** 63], [-1, 2 ** 63], [[1]]]

CONSTRUCTORS = {
    "constant": T.constant,
    "as_tensor_variable": T.as_tensor_variable,
    "shared": theano.shared,
    "scalar.constant": scalar.constant,
    "alloc": lambda x: T.alloc(x, 2),
    "arange": lambda x: T.arange(x) if abs(x) < 2 ** 40 else T.arange(x, x + 1),
    "stack": lambda x: T.stack([x, x]),
}
OPERATORS = {
    "+": lambda v, x: v + x, "-": lambda v, x: v - x, "*": lambda v, x: v * x,
    "/": lambda v, x: v / x, "//": lambda v, x: v // x, "%": lambda v, x: v % x,
    "**": lambda v, x: v ** x, "r+": lambda v, x: x + v, "r-": lambda v, x: x - v,
    "r/": lambda v, x: x / v, "r//": lambda v, x: v.__rfloordiv__(x), "r**": lambda v, x: x ** v,
    "maximum": T.maximum, "lt": T.lt, "switch": lambda v, x: T.switch(T.eq(v, v), v, x),
    "clip": lambda v, x: T.clip(v, 0, x), "fill": T.fill,
    "set_subtensor": lambda v, x: T.set_subtensor(v[1:], x),
}


def type_of(make, *arguments):
    """The character of a result's type, or ! where there is none."""
    try:
        return numpy.dtype(make(*arguments).dtype).char
    except Exception:
        return "!"


def lines():
    """The table: after its name, each row has a character for each of NUMBERS (or LISTS)."""
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for name, make in CONSTRUCTORS.items():
            yield f"{name} {''.join(type_of(make, x) for x in NUMBERS)}"
        yield f"list {''.join(type_of(T.constant, x) for x in LISTS)}"
        for dtype in TYPES:
            vector = T.TensorType(dtype, (False,))()
            for name, make in OPERATORS.items():
                yield f"{dtype} {name} {''.join(type_of(make, vector, x) for x in NUMBERS)}"


if __name__ == "__main__":
    print("\n".join(lines()))
