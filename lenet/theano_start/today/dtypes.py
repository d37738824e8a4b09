"""What NumPy 2 changed about types of numbers (NEP 50), as far as Theano relies on it.

Before NumPy 2, ``numpy.asarray(300, "int8")`` kept the lowest 8 bits, and a Python number used with
an array had the type that its value required. Now the former is an error, and the latter takes the
array's type: ``0.1 == numpy.asarray(0.1, "float32")`` has become true.
"""

import contextlib

import numpy

from lenet.theano_start.today.view import Mend


def keep_lowest_bits(safe_asarray):
    """misc/safe_asarray.py:34: conversion to a type that is too small, or to that of a variable."""
    original = safe_asarray._asarray

    def _asarray(a, dtype, order=None):
        if isinstance(getattr(dtype, "dtype", None), str):  # gradient.py:2024
            dtype = dtype.dtype
        try:
            return original(a, dtype, order)
        except OverflowError:
            values = numpy.asarray(a)
            if values.dtype.kind == "f" and (abs(values) < 2.0 ** 63).all():
                values = values.astype("int64")
            # NumPy 1 read a number as a C long, or an unsigned long for these two types.
            if values.dtype.kind not in ("iu" if dtype in ("uint32", "uint64") else "i"):
                raise
            return original(values.astype(dtype), dtype, order)

    safe_asarray._asarray = _asarray


def compare_values(basic):
    """scalar/basic.py:212: the first type that holds a Python number exactly."""
    NumpyAutocaster = basic.NumpyAutocaster
    original = NumpyAutocaster.__call__

    def autocast(self, x):
        if basic.config.cast_policy != "custom" or hasattr(x, "dtype"):
            return original(self, x)
        value = numpy.asarray(x)
        if value.dtype.kind not in "bif":
            raise OverflowError(f"{x} has more than 64 bits")
        floatX = basic.config.floatX
        if isinstance(x, float) and floatX in self.dtypes and floatX != "float64":
            return value.astype(floatX)
        for dtype in self.dtypes:
            if dtype != "float16" or floatX == "float16":
                cast = value.astype(dtype)
                if cast == value:
                    break
        return cast

    NumpyAutocaster.__call__ = autocast


def filter_scalars(basic):
    """scalar/basic.py:319: a Python number for a type that may be too small.

    It is accepted if the user allows that, or if it is a float and the type is floatX; otherwise
    its value must not change.
    """
    original = basic.Scalar.filter

    def filter(self, data, strict=False, allow_downcast=None):
        if isinstance(data, (int, float)) and not hasattr(data, "dtype") and not strict:
            floatX = type(data) is float and self.dtype == basic.config.floatX
            if allow_downcast:
                with contextlib.suppress(OverflowError, ValueError):
                    data = basic.theano._asarray(data, self.dtype)[()]
            elif self.dtype.startswith("float") and not (floatX and allow_downcast is None):
                if numpy.asarray(data) != numpy.asarray(data, self.dtype):
                    raise TypeError(f"{data} is no {self.dtype}, and allow_downcast is not True")
        return original(self, data, strict, allow_downcast)

    basic.Scalar.filter = filter


def upcast_variables(basic):
    """scalar/basic.py:74: NumPy no longer asks a variable for its type."""
    original = basic.upcast

    def upcast(*dtypes):
        return original(*[dtype.dtype if isinstance(dtype, basic.Variable) else dtype
                          for dtype in dtypes])

    basic.upcast = upcast


def convert_degrees(basic):
    """scalar/basic.py:3108 and 3140: a type of Theano's in the place of NumPy's."""
    for op, factor in ((basic.Deg2Rad, numpy.pi / 180), (basic.Rad2Deg, 180 / numpy.pi)):
        original = op.L_op

        def L_op(self, inputs, outputs, gout, original=original, factor=factor):
            if outputs[0].type in basic.float_types:
                return [gout[0] * numpy.asarray(factor, gout[0].type.dtype)]
            return original(self, inputs, outputs, gout)

        op.L_op = L_op


def invert_numbers(basic):
    """scalar/basic.py:2734: a 1 of 32 bits beside a Python number, where Python computes."""
    original = basic.Inv.impl
    basic.Inv.impl = lambda op, x: original(op, numpy.asarray(x)[()])


def widen_mask(rng_mrg):
    """sandbox/rng_mrg.py:389: a mask of 32 bits, used with numbers of 31 bits and a sign."""
    original = rng_mrg.mrg_next_value

    def mrg_next_value(rstate, new_rstate, NORM, mask, offset):
        return original(rstate, new_rstate, NORM, numpy.int64(mask), offset)

    rng_mrg.mrg_next_value = mrg_next_value


def fill_with_an_array(debugmode):
    """compile/debugmode.py:1105: buffers of all types are filled with a Python number."""
    original = debugmode._get_preallocated_maps

    def _get_preallocated_maps(node, thunk, prealloc_modes, def_val, *others):
        return original(node, thunk, prealloc_modes, numpy.asarray(def_val), *others)

    debugmode._get_preallocated_maps = _get_preallocated_maps


MENDS = [
    Mend("theano.misc.safe_asarray", keep_lowest_bits, numpy=(1, 24)),
    Mend("theano.scalar.basic", compare_values, numpy=(2, 0)),
    Mend("theano.scalar.basic", filter_scalars, numpy=(2, 0)),
    Mend("theano.scalar.basic", upcast_variables, numpy=(2, 0)),
    Mend("theano.scalar.basic", invert_numbers, numpy=(2, 0)),
    Mend("theano.scalar.basic", convert_degrees, numpy=(2, 0)),
    Mend("theano.compile.debugmode", fill_with_an_array, numpy=(2, 0)),
    Mend("theano.sandbox.rng_mrg", widen_mask, numpy=(2, 0)),
]
