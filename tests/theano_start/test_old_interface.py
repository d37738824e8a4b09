"""What the tutorials call by the names of Theano 0.6 and 0.7."""

import warnings

import numpy
import pytest
import theano
import theano.tensor as T
from theano.tensor.nnet import conv
from theano.tensor.signal import downsample
from theano.tensor.signal.downsample import max_pool_2d

from lenet.ops.convpool import ConvPool


def values_of(expression, **values):
    """The value of an expression of x and w."""
    names = {v.name: v for v in theano.gof.graph.inputs([expression]) if v.name in values}
    inputs = [names[name] for name in sorted(names)]
    return theano.function(inputs, expression)(*[values[v.name] for v in inputs])


def convolution(x, w, border_mode, subsample):
    """The definition: each filter, turned by 180 degrees, is moved over all places of the images,
    or over all that it touches; then every so many places are kept."""
    if border_mode == "full":
        rows, columns = w.shape[2] - 1, w.shape[3] - 1
        x = numpy.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)))
    places = [x.shape[d] - w.shape[d] + 1 for d in (2, 3)]
    maps = numpy.zeros((len(x), len(w), *places))
    for i, j in numpy.ndindex(*places):
        window = x[:, :, i:i + w.shape[2], j:j + w.shape[3]]
        maps[:, :, i, j] = numpy.einsum("ncrs,kcrs->nk", window, w[:, :, ::-1, ::-1])
    return maps[:, :, ::subsample[0], ::subsample[1]]


@pytest.mark.parametrize("border_mode", ["valid", "full"])
@pytest.mark.parametrize("subsample", [(1, 1), (2, 3)])
@pytest.mark.parametrize("shapes", [
    {}, dict(image_shape=(2, 3, 9, 8), filter_shape=(4, 3, 3, 2)),
    dict(image_shape=[None, 3, T.constant(9), 8], filter_shape=[None] * 4),
    dict(input_shape=(2, 3, 9, 8))])
def test_conv2d(border_mode, subsample, shapes, rng):
    x, w = rng.rand(2, 3, 9, 8).astype("float32"), rng.rand(4, 3, 3, 2).astype("float32")
    expression = conv.conv2d(T.ftensor4("x"), T.ftensor4("w"), border_mode=border_mode,
                             subsample=subsample, **shapes)
    numpy.testing.assert_allclose(values_of(expression, x=x, w=w),
                                  convolution(x, w, border_mode, subsample), rtol=1e-5)


def test_the_shapes_stand_where_they_did():
    x, w = T.ftensor4("x"), T.ftensor4("w")
    op = conv.conv2d(x, w, (5, 3, 9, 8), (4, 3, 3, 2)).owner.op
    assert (op.imshp, op.kshp) == ((5, 3, 9, 8), (4, 3, 3, 2))


@pytest.mark.parametrize("dtype, options", [
    ("float32", dict(openmp=False)), ("float64", dict(imshp_logical=(3, 9, 8))), ("int32", {})])
def test_what_only_the_old_op_can_do(dtype, options, rng):
    x, w = T.TensorType(dtype, (False,) * 4)("x"), T.TensorType(dtype, (False,) * 4)("w")
    with pytest.warns(UserWarning, match="deprecated"):
        expression = conv.conv2d(x, w, **options)
    assert isinstance(expression.owner.op, conv.ConvOp)
    for name, value in options.items():
        assert getattr(expression.owner.op, name) == value


def test_options_that_no_version_has():
    with pytest.raises(TypeError, match="nonsense"):
        conv.conv2d(T.ftensor4(), T.ftensor4(), nonsense=1)
    with pytest.raises(NotImplementedError, match="same type"):
        conv.conv2d(T.ftensor4(), T.dtensor4())


@pytest.mark.parametrize("ignore_border, rows", [(True, 2), (False, 3)])
def test_max_pool_2d(ignore_border, rows, rng):
    x = rng.rand(2, 3, 5, 4).astype("float32")
    pooled = values_of(downsample.max_pool_2d(input=T.ftensor4("x"), ds=(2, 2),
                                              ignore_border=ignore_border), x=x)
    expected = [x[:, :, 2 * row:2 * row + 2].reshape(2, 3, -1, 2, 2).max(axis=(2, 4))
                for row in range(rows)]
    numpy.testing.assert_array_equal(pooled, numpy.stack(expected, axis=2))


def test_max_pool_2d_of_theano_0_7(rng):
    """Its border counts by default; then come the stride, the padding and the mode."""
    assert max_pool_2d is downsample.max_pool_2d
    x = rng.rand(1, 5, 5).astype("float32")
    image = T.ftensor3("x")
    assert values_of(max_pool_2d(image, (2, 2)), x=x).shape == (1, 3, 3)
    averages = values_of(max_pool_2d(image, (3, 3), True, (1, 1), (1, 1), "average_inc_pad"), x=x)
    assert averages.shape == (1, 5, 5)
    numpy.testing.assert_allclose(averages[0, 0, 0], x[0, :2, :2].sum() / 9, rtol=1e-5)
    numpy.testing.assert_allclose(averages[0, 2, 2], x[0, 1:4, 1:4].mean(), rtol=1e-5)


def test_together_they_become_the_fast_operation_without_a_warning():
    x, w = T.ftensor4("x"), T.ftensor4("w")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        maps = conv.conv2d(input=x, filters=w, filter_shape=(4, 1, 5, 5),
                           image_shape=(10, 1, 28, 28))
        pooled = downsample.max_pool_2d(input=maps, ds=(2, 2), ignore_border=True)
    nodes = theano.function([x, w], pooled).maker.fgraph.toposort()
    assert [type(node.op) for node in nodes] == [ConvPool]
