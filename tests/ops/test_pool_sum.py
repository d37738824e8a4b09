"""Sums and means of windows against NumPy, and where they are in a graph."""

import os

import numpy
import pytest
import theano
import theano.tensor as T
from theano.tensor.signal.pool import pool_2d

from lenet.ops.pool_sum import SumPool, SumPoolGrad


# All eight choices of a type, sum or mean, and threads; two that share nothing for each window.
@pytest.mark.parametrize("window, dtype, mean, openmp", [
    ((2, 2), "float32", False, False), ((2, 2), "float64", True, True),
    ((3, 2), "float32", True, True), ((3, 2), "float64", False, False),
    ((1, 1), "float32", False, True), ((1, 1), "float64", True, False),
    ((2, 5), "float32", True, False), ((2, 5), "float64", False, True)])
def test_windows(window, dtype, mean, openmp, rng):
    x, g = (T.TensorType(dtype, (False,) * 4)() for _ in range(2))
    options = dict(window=window, mean=mean, openmp=openmp)
    outputs = [SumPool(**options)(x), SumPoolGrad(**options)(x, g)]
    (wh, ww), elements = window, window[0] * window[1] if mean else 1
    for mode in (None, theano.Mode("py", None)):
        function = theano.function([x, g], outputs, mode=mode)
        for shape in ((2, 3, 8, 10), (3, 2, 7, 11), (0, 2, 4, 4), (1, 1, 1, 1), (4, 40, 32, 33)):
            rows, columns = shape[2] // wh, shape[3] // ww
            xv, gv = rng.randn(*shape), rng.randn(*shape[:2], rows, columns)
            z, gx = numpy.zeros_like(gv), numpy.zeros_like(xv)
            for r, c in numpy.ndindex(rows, columns):
                part = (Ellipsis, slice(r * wh, r * wh + wh), slice(c * ww, c * ww + ww))
                z[:, :, r, c] = xv[part].sum(axis=(2, 3)) / elements
                gx[part] = gv[:, :, r:r + 1, c:c + 1] / elements
            for found, expected in zip(function(xv.astype(dtype), gv.astype(dtype)), (z, gx)):
                assert found.dtype == dtype
                numpy.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
            strided = [a.astype(dtype).copy("F") for a in (xv, gv)]
            numpy.testing.assert_allclose(function(*strided)[0], z, rtol=1e-6, atol=1e-6)


def test_what_does_not_fit():
    x = T.tensor4(dtype="float32")
    for mode in (None, theano.Mode("py", None)):
        function = theano.function([x], SumPoolGrad((2, 2))(x, x), mode=mode)
        with pytest.raises(ValueError, match="differ in shape"):
            function(numpy.zeros((1, 2, 4, 4), "f"))


@pytest.mark.skipif(os.environ.get("LENET_OPS") == "0", reason="LENET_OPS=0 switches the ops off")
@pytest.mark.parametrize("mode", ["sum", "average_inc_pad", "average_exc_pad"])
def test_in_the_place_of_theanos_ops(mode, rng):
    x = T.tensor4("x")
    z = pool_2d(x, (2, 3), ignore_border=True, mode=mode)
    outputs = [z, T.grad((z ** 2).sum(), x)]
    function = theano.function([x], outputs)
    plain = theano.function(
        [x], outputs, mode=theano.compile.get_default_mode().excluding("lenet_ops"))
    names = [{type(node.op).__name__ for node in f.maker.fgraph.toposort()}
             for f in (function, plain)]
    assert {"SumPool", "SumPoolGrad"} <= names[0] and not {"Pool", "AveragePoolGrad"} & names[0]
    assert {"Pool", "AveragePoolGrad"} <= names[1]
    value = rng.randn(3, 4, 9, 11).astype(theano.config.floatX)
    for found, expected in zip(function(value), plain(value)):  # in Theano's order: the same bits
        numpy.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("pooling", [{"mode": "max"}, {"stride": (1, 2)}, {"pad": (1, 1)},
                                     {"ignore_border": False}])
def test_pooling_that_is_left(pooling):
    options = dict({"mode": "sum", "ignore_border": True}, **pooling)
    x = T.tensor4("x")
    if "pad" in options:
        options["mode"] = "average_inc_pad"
    function = theano.function([x], pool_2d(x, (2, 2), **options))
    assert not any(isinstance(node.op, SumPool) for node in function.maker.fgraph.toposort())
