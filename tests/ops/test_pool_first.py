"""Pooling comes before a bias and an activation that do not fall, and the numbers stay."""

import os

import numpy
import pytest
import theano
import theano.tensor as T
from ops.test_rewrites import compile_both, op_names, optimize
from theano.tensor.nnet import conv2d
from theano.tensor.signal.pool import pool_2d

pytestmark = pytest.mark.skipif(
    os.environ.get("LENET_OPS") == "0", reason="LENET_OPS=0 switches the ops off"
)

FLOATX = theano.config.floatX
ACTIVATIONS = {
    "tanh": T.tanh,
    "sigmoid": T.nnet.sigmoid,
    "softplus": T.nnet.softplus,
    "relu": T.nnet.relu,
    "maximum": lambda x: T.maximum(0, x),
    "relu6": lambda x: T.clip(x, 0, 6),
    "LeCun's tanh": lambda x: 1.7159 * T.tanh(x * 2 / 3),
    "linear": lambda x: x,
}


def lasagne(x, w, b, function, border_mode="valid", **pool):
    """A layer as Lasagne writes it, also the texts that do not use the tutorial's layer."""
    y = function(conv2d(x, w, border_mode=border_mode) + b.dimshuffle("x", 0, "x", "x"))
    return pool_2d(y, **dict({"ws": (2, 2), "ignore_border": True}, **pool))


def keras(x, w, b, function):
    """A layer as Keras 2.3.1 writes it with its own order of axes: channels last."""
    y = conv2d(x.dimshuffle(0, 3, 1, 2), w.dimshuffle(3, 2, 0, 1), filter_shape=(4, 2, 3, 2))
    y = function(y.dimshuffle(0, 2, 3, 1) + b.reshape((1, 1, 1, b.shape[0])))
    return pool_2d(y.dimshuffle(0, 3, 1, 2), ws=(2, 2), ignore_border=True).dimshuffle(0, 2, 3, 1)


def keras_values(x, w, b):
    return x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0), b


def network(layer, function):
    """Inputs, the pooled maps, and the gradients of a cost that weighs each of them."""
    inputs = x, w, b = T.tensor4("x"), T.tensor4("w"), T.vector("b")
    z = layer(x, w, b, function)
    weights = T.cast(T.arange(z.size) / z.size, FLOATX)
    return inputs, [z] + T.grad((z * weights.reshape(z.shape)).sum(), list(inputs))


def make_values(rng, scale=1):
    shapes = (5, 2, 9, 10), (4, 2, 3, 2), (4,)
    return [(scale * rng.randn(*shape)).astype(FLOATX) for shape in shapes]


def assert_same(inputs, outputs, *values, scales=(1,)):
    """The graph is fused, and gives the numbers of Theano's own for ``values`` of these scales."""
    with_ops, without = compile_both(inputs, outputs)
    found = op_names(node.op for node in with_ops.maker.fgraph.toposort())
    for name in ("ConvPool", "ConvPoolGrad", "ConvPoolBiasGrad"):
        assert found.count(name) == 1
    assert not {"Pool", "MaxPoolGrad", "CorrMM"} & set(found)
    for arrays, scale in zip(values, scales):
        for a, b in zip(with_ops(*arrays), without(*arrays)):
            numpy.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * scale ** 2)


@pytest.mark.parametrize("function", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_as_lasagne_writes_it(function, rng):
    scales = 1, 30
    assert_same(*network(lasagne, function), *[make_values(rng, scale) for scale in scales],
                scales=scales)


@pytest.mark.parametrize("name", ["tanh", "relu", "maximum"])
def test_as_keras_writes_it(name, rng):
    assert_same(*network(keras, ACTIVATIONS[name]), keras_values(*make_values(rng)))


@pytest.mark.parametrize("border_mode", ["valid", "full"])
def test_windows_that_are_not_full(border_mode, rng):
    """As in Newmu's convolutional net: maps of 7 x 9 or 11 x 11, whose border is kept."""
    def layer(*arguments):
        return lasagne(*arguments, border_mode=border_mode, ignore_border=False)

    assert_same(*network(layer, ACTIVATIONS["maximum"]), make_values(rng))


def test_windows_over_whole_sentences(rng):
    """As Kim writes it: images of 40 words x 7 numbers, the last of them padding."""
    def layer(*arguments):
        return lasagne(*arguments, ws=(38, 1))

    x, w, b = [rng.randn(*shape).astype(FLOATX) for shape in ((5, 1, 40, 7), (4, 1, 3, 7), (4,))]
    x[:, :, 30:] = 0
    assert_same(*network(layer, ACTIVATIONS["maximum"]), (x, w, b), (x, w, abs(b)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_ties_all_receive_the_gradient(name, rng):
    """Where images are empty, all elements of a window are equal: the bias gets each of them."""
    x, w, b = make_values(rng)
    x[:, :, :6] = 0
    x[:, :, :, 7:] = 0
    inputs, outputs = network(lasagne, ACTIVATIONS[name])
    assert_same(inputs, outputs, (x, w, b))
    everywhere = theano.function(inputs, outputs[-1])(numpy.zeros_like(x), w, numpy.ones_like(b))
    slope = theano.function([inputs[0]], T.grad(ACTIVATIONS[name](inputs[0]).sum(), inputs[0]))(
        numpy.ones((1, 1, 1, 1), FLOATX)).item()
    # of 3 x 4 windows of 2 x 2 elements each; 240 of them in 5 images of 4 maps
    share = numpy.arange(240).reshape(5, 4, 12).sum(axis=(0, 2)) / 240
    numpy.testing.assert_allclose(everywhere, 4 * slope * share, rtol=1e-5)


def test_units_that_are_off():
    """ReLU's derivative at 0 is a half in Theano's abs(x), and 0 where all of a window is below."""
    x = numpy.array([[-3, -2, 0, -1, 0, 0], [-4, -1, -5, -2, 0, 0]], FLOATX).reshape(1, 1, 2, 6)
    w, b = numpy.ones((1, 1, 1, 1), FLOATX), numpy.zeros(1, FLOATX)
    inputs = T.tensor4(), T.tensor4(), T.vector()
    z = lasagne(*inputs, T.nnet.relu)
    gradients = [function(x, w, b) for function in compile_both(inputs, T.grad(z.sum(), inputs[0]))]
    numpy.testing.assert_array_equal(gradients[0], gradients[1])
    numpy.testing.assert_array_equal(
        gradients[0][0, 0], [[0, 0, .5, 0, .5, .5], [0, 0, 0, 0, .5, .5]])


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_rounding_that_makes_elements_equal(name):
    """Elements that only the activation makes equal: the largest alone receives the gradient.

    20 and 19 are both 1 after tanh in float32; sigmoid is 1 - 2.1e-9 and 1 - 5.6e-9, also 1.
    """
    x = numpy.array([[20, 19], [1, 0]], "float32").reshape(1, 1, 2, 2)
    w = numpy.ones((1, 1, 1, 1), "float32")
    inputs = T.ftensor4(), T.ftensor4()
    z = pool_2d(ACTIVATIONS[name](conv2d(*inputs)), (2, 2), ignore_border=True)
    outputs = [z, T.grad(z.sum(), inputs[0])]
    (z1, ours), (z2, theirs) = (function(x, w) for function in compile_both(inputs, outputs))
    assert z1 == z2 == 1
    assert ours[0, 0, 0, 1] == 0
    # what is missing is the slope there
    slope = {"tanh": 0, "sigmoid": 5.7e-9}[name]
    numpy.testing.assert_allclose(ours, theirs, rtol=0, atol=slope)


@pytest.mark.parametrize("layer", [
    lambda x, w, b: lasagne(x, w, b, T.sin),
    lambda x, w, b: lasagne(x, w, b, T.sqr),
    lambda x, w, b: lasagne(x, w, b, T.neg),
    lambda x, w, b: lasagne(x, w, b, lambda y: -2 * y),
    lambda x, w, b: lasagne(x, w, b, lambda y: y * b.dimshuffle("x", 0, "x", "x")),
    lambda x, w, b: lasagne(x, w, b, lambda y: 1 - y),
    lambda x, w, b: lasagne(x, w, b, lambda y: y + abs(b.sum() + y)),
    lambda x, w, b: lasagne(x, w, b, lambda y: T.tanh(y + T.arange(8.).astype(FLOATX))),
    lambda x, w, b: lasagne(x, w, b, T.tanh, stride=(1, 1)),
    lambda x, w, b: lasagne(x, w, b, T.tanh, mode="sum"),
    lambda x, w, b: pool_2d(T.tanh(x), (2, 2), ignore_border=True) + w.sum() + b.sum()])
def test_what_is_left(layer):
    inputs = T.tensor4(), T.tensor4(), T.vector()
    z = layer(*inputs)
    for outputs in (z, T.grad(z.sum(), inputs[:2])):
        assert op_names(optimize(inputs, outputs)).count("ConvPool") == 0


def test_unpooled_maps_that_are_used_elsewhere():
    inputs = x, w, b = T.tensor4(), T.tensor4(), T.vector()
    y = T.tanh(conv2d(x, w) + b.dimshuffle("x", 0, "x", "x"))
    z = pool_2d(y, (2, 2), ignore_border=True)
    for outputs in ([z, y], [z, (y ** 2).sum()], T.grad(z.sum() + (y ** 2).sum(), [w, b]),
                    [z, pool_2d(y, (3, 3), ignore_border=True)], [z, T.grad(z.sum(), y)],
                    [T.grad(T.grad(z.sum(), w).sum(), x)]):
        assert "ConvPool" not in op_names(optimize(inputs, outputs))


def test_fewer_elements_pass_through_the_activation():
    inputs, outputs = network(lasagne, T.tanh)
    order = op_names(optimize(inputs, outputs[0]))
    assert order.index("ConvPool") < order.index("Activation")
