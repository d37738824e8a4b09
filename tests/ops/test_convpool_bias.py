"""The gradient of a bias under max-pooling."""

import numpy
import pytest
import theano
import theano.tensor as T

from lenet.ops.convpool import record_dtype, record_words
from lenet.ops.convpool_bias import ConvPoolBiasGrad


@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-5), ("float64", 1e-13)])
@pytest.mark.parametrize("window", [(2, 2), (3, 3), (4, 8), (8, 8)])
@pytest.mark.parametrize("shape", [(3, 5, 4, 7), (1, 1, 1, 1), (0, 2, 3, 3), (2, 3, 0, 4)])
@pytest.mark.parametrize("openmp", [False, True])
def test_each_bit_counts(dtype, rtol, window, shape, openmp, rng):
    elements = window[0] * window[1]
    gz = rng.randn(*shape).astype(dtype)
    images, maps, *size = shape
    bits = rng.randint(0, 2, (images, maps, record_words(window), min(32, elements), *size))
    expected = (gz.astype("float64") * bits.sum(axis=(2, 3))).sum(axis=(0, 2, 3))
    powers = 2 ** numpy.arange(bits.shape[3]).reshape(-1, 1, 1)
    record = (bits * powers).sum(axis=3).astype(record_dtype(window))
    record = record.reshape(images, maps * bits.shape[2], *size)
    inputs = T.TensorType(dtype, [False] * 4)(), T.TensorType(record.dtype, [False] * 4)()
    op = ConvPoolBiasGrad(window, openmp=openmp)
    for mode in (None, theano.Mode("py", None)):
        function = theano.function(inputs, op(*inputs), mode=mode)
        scale = numpy.abs(gz).sum() * elements
        turned = [a[:, :, ::-1].transpose(0, 1, 3, 2) for a in (gz, record)]
        for a, b in ((gz, record), turned):
            numpy.testing.assert_allclose(function(a, b), expected, rtol=rtol, atol=rtol * scale)


def test_what_does_not_fit():
    gz, record = T.tensor4(dtype="float32"), T.tensor4(dtype="uint8")
    op = ConvPoolBiasGrad((2, 2))
    for mode in (None, theano.Mode("py", None)):
        function = theano.function([gz, record], op(gz, record), mode=mode)
        with pytest.raises(ValueError, match="differ in shape"):
            function(numpy.zeros((1, 2, 3, 4), "float32"), numpy.zeros((1, 2, 3, 3), "uint8"))
    with pytest.raises(TypeError, match="gradient should be"):
        op(T.matrix(), record)
    with pytest.raises(TypeError, match="record should be"):
        ConvPoolBiasGrad((3, 3))(gz, record)
