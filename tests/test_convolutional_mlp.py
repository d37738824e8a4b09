"""lenet.convolutional_mlp against NumPy and SciPy, and against the tutorial's first epoch."""

import numpy
import pytest
import theano
import theano.tensor as T
from test_pooling import convolve, over_windows

from lenet.convolutional_mlp import LeNet5, LeNetConvPoolLayer, check_nkerns, evaluate_lenet5
from lenet.errors import UsageError
from lenet.pooling import StochasticPoolLayer


def conv_pool(images, W, b, poolsize):
    """The layer, in double precision."""
    maps = convolve(images, W)
    rows, columns = (n // window for n, window in zip(maps.shape[2:], poolsize))
    windows = maps[:, :, :rows * poolsize[0], :columns * poolsize[1]].reshape(
        maps.shape[:2] + (rows, poolsize[0], columns, poolsize[1])
    )
    return numpy.tanh(windows.max(axis=(3, 5)) + b[:, None, None])


@pytest.mark.parametrize(
    "image_shape, filter_shape, poolsize",
    [
        ((2, 1, 28, 28), (3, 1, 5, 5), (2, 2)),
        ((3, 4, 9, 12), (2, 4, 3, 2), (2, 3)),  # 7 x 11 maps: a border is left out
        ((1, 2, 5, 5), (2, 2, 5, 5), (1, 1)),
    ],
)
def test_layer(rng, image_shape, filter_shape, poolsize):
    x = T.tensor4("x")
    layer = LeNetConvPoolLayer(rng, x, filter_shape, image_shape, poolsize)
    layer.b.set_value(rng.randn(filter_shape[0]).astype(theano.config.floatX))
    images = rng.randn(*image_shape).astype(theano.config.floatX)
    expected = conv_pool(images, layer.W.get_value(), layer.b.get_value(), poolsize)
    # tanh saturates: errors of the sums count absolutely
    numpy.testing.assert_allclose(theano.function([x], layer.output)(images), expected, atol=1e-5)


def test_initial_filters_are_the_tutorials_draws():
    shape = (20, 3, 5, 5)
    layer = LeNetConvPoolLayer(
        numpy.random.RandomState(23455), T.tensor4(), shape, (None, 3, 28, 28), (2, 3)
    )
    fan_in, fan_out = 3 * 5 * 5, 20 * 5 * 5 // 6  # 75 and 83, rounded down
    bound = (6 / (fan_in + fan_out)) ** 0.5
    drawn = numpy.random.RandomState(23455).uniform(-bound, bound, shape)
    numpy.testing.assert_array_equal(layer.W.get_value(), drawn.astype(theano.config.floatX))
    assert (layer.b.get_value() == 0).all()
    assert layer.params == [layer.W, layer.b]


@pytest.mark.parametrize(
    "filter_shape, image_shape",
    [((3, 2, 5, 5), (1, 1, 28, 28)), ((3, 1, 5, 5), (1, 1, 5, 28)), ((3, 1, 5, 5), (1, 1, 28, 4))],
)
def test_shapes_that_do_not_fit(rng, filter_shape, image_shape):
    with pytest.raises(ValueError) as error:
        LeNetConvPoolLayer(rng, T.tensor4(), filter_shape, image_shape)
    assert str(filter_shape) in str(error.value) and str(image_shape) in str(error.value)


@pytest.mark.parametrize("W_shape, b_shape, name", [((3, 1, 5, 4), (3,), "W"),
                                                    ((3, 1, 5, 5), (2,), "b")])
def test_given_parameters_that_do_not_fit(W_shape, b_shape, name):
    W, b = theano.shared(numpy.zeros(W_shape)), theano.shared(numpy.zeros(b_shape))
    with pytest.raises(ValueError, match="%s has shape .*; expected .*3" % name):
        LeNetConvPoolLayer(None, T.tensor4(), (3, 1, 5, 5), (None, 1, 28, 28), W=W, b=b)


@pytest.mark.parametrize("nkerns", [(20,), (20, 0), (20.0, 50.0), ("20", "50")])
def test_numbers_of_filters_that_cannot_be(nkerns):
    with pytest.raises(UsageError, match="nkerns .*; expected two positive whole numbers"):
        check_nkerns(nkerns)


def forward(model, images, poolsizes=((2, 2), (2, 2))):
    """LeNet-5 with the parameters of ``model``, in NumPy: the probabilities."""
    W3, b3, W2, b2, W1, b1, W0, b0 = (p.get_value() for p in model.params)
    maps = conv_pool(conv_pool(images, W0, b0, poolsizes[0]), W1, b1, poolsizes[1])
    hidden = numpy.tanh(maps.reshape(len(images), -1).dot(W2) + b2)
    scores = numpy.exp(hidden.dot(W3) + b3)
    return scores / scores.sum(axis=1, keepdims=True)


def test_lenet5_shapes_and_order_of_draws():
    model = LeNet5(numpy.random.RandomState(23455), T.matrix("x"))
    shapes = [p.get_value(borrow=True).shape for p in model.params]
    assert shapes == [(500, 10), (10,), (800, 500), (500,), (50, 20, 5, 5), (50,), (20, 1, 5, 5),
                      (20,)]
    rng = numpy.random.RandomState(23455)
    for layer, fans in ((model.layer0, 25 + 125), (model.layer1, 500 + 312), (model.layer2, 1300)):
        bound = (6 / fans) ** 0.5
        W = layer.W.get_value()
        drawn = rng.uniform(-bound, bound, W.shape).astype(theano.config.floatX)
        numpy.testing.assert_array_equal(W, drawn)


def test_lenet5_of_another_size(rng):
    x = T.matrix("x")
    model = LeNet5(rng, x, image_shape=(3, 16, 21), nkerns=(2, 3), n_out=4, n_hidden=5)
    model.layer3.W.set_value(rng.randn(5, 4).astype(theano.config.floatX))
    images = rng.rand(7, 3, 16, 21).astype(theano.config.floatX)
    p = theano.function([x], model.p_y_given_x)(images.reshape(7, -1))
    numpy.testing.assert_allclose(p, forward(model, images), atol=1e-5)


@pytest.mark.parametrize("filter_size, poolsize, size0, size1", [
    (((7, 7), (3, 3)), (2, 2), (11, 11), (4, 4)),  # 28 - 7 + 1 = 22; 11 - 3 + 1 = 9
    ((5, 3), ((2, 3), (1, 2)), (12, 8), (8, 3)),  # 24 x 26; 8 x 6
])
def test_lenet5_of_other_sizes(filter_size, poolsize, size0, size1, rng):
    x = T.matrix("x")
    model = LeNet5(rng, x, nkerns=(2, 3), n_hidden=5, filter_size=filter_size, poolsize=poolsize)
    assert (model.layer0.map_size, model.layer1.map_size) == (size0, size1)
    model.layer3.W.set_value(rng.randn(5, 10).astype(theano.config.floatX))
    images = rng.rand(4, 1, 28, 28).astype(theano.config.floatX)
    poolsizes = poolsize if isinstance(poolsize[0], tuple) else (poolsize, poolsize)
    f = theano.function([x], [model.p_y_given_x, model.layer0.output, model.layer1.output])
    p, *maps = f(images.reshape(4, -1))
    numpy.testing.assert_allclose(p, forward(model, images, poolsizes), atol=1e-5)
    assert [m.shape for m in maps] == [(4, 2) + size0, (4, 3) + size1]


@pytest.mark.parametrize("activation, function", [
    (T.tanh, numpy.tanh), (T.nnet.sigmoid, lambda a: 1 / (1 + numpy.exp(-a))),
    (T.nnet.relu, lambda a: numpy.maximum(0, a)),
    (T.nnet.softplus, lambda a: numpy.log(1 + numpy.exp(a)))])
def test_the_activation_of_all_layers_but_the_last(activation, function, rng):
    x = T.matrix("x")
    model = LeNet5(rng, x, nkerns=(2, 3), n_hidden=5, activation=activation)
    layers = (model.layer0, model.layer1, model.layer2)
    f = theano.function([x], [layer.output for layer in layers])
    images = rng.rand(2, 784).astype(theano.config.floatX)
    maps0, maps1, hidden = f(images)
    below = images.reshape(2, 1, 28, 28)
    for layer, maps in zip(layers, (maps0, maps1)):
        pooled = over_windows(convolve(below, layer.W.get_value()), (2, 2), (2, 2),
                              lambda a: a.max(axis=(2, 3)))
        numpy.testing.assert_allclose(maps, function(pooled), atol=1e-5)
        below = maps
    numpy.testing.assert_allclose(
        hidden, function(below.reshape(2, -1).dot(model.layer2.W.get_value())), atol=1e-5)


def test_a_kind_of_pooling_leaves_the_draws_as_they_are():
    models = [LeNet5(numpy.random.RandomState(1), T.matrix(), nkerns=(2, 3), n_hidden=5, **options)
              for options in ({}, {"activation": T.nnet.relu,
                                   "conv_pool_layer": StochasticPoolLayer})]
    for param, same in zip(*(model.params for model in models)):
        numpy.testing.assert_array_equal(param.get_value(), same.get_value())


def test_the_sum_of_the_squared_weights(rng):
    model = LeNet5(rng, T.matrix(), nkerns=(2, 3), n_hidden=5)
    model.layer3.W.set_value(rng.randn(5, 10).astype(theano.config.floatX))
    model.layer1.b.set_value(rng.randn(3).astype(theano.config.floatX))  # does not count
    expected = sum((param.get_value() ** 2).sum() for param in model.params[::2])
    assert model.L2_sqr.eval() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("option, words", [
    ({"filter_size": (30, 30)}, "too small for filter_shape .*30, 30"),
    ({"filter_size": ((5, 5), (13, 13))}, "image_shape .*12, 12.* is too small"),
    ({"poolsize": ((2, 2), (9, 9))}, "too small for .* poolsize .9, 9"),
    ({"filter_size": (0, 5)}, "filter_size .0, 5.; expected positive"),
    ({"poolsize": ((2, 2), (2, 2), (2, 2))}, "poolsize .*; expected positive"),
    ({"poolsize": (2.0, 2)}, "poolsize .*; expected positive"),
    ({"conv_pool_layer": StochasticPoolLayer}, "pooling stochastic needs maps without negative"),
    ({"n_hidden": 0}, "n_hidden 0"), ({"L2_reg": -1}, "L2_reg -1"),
    ({"nkerns": (20,)}, "nkerns 20; expected two positive"),
])
def test_options_that_cannot_work(option, words, small_dataset):
    with pytest.raises(UsageError, match=words):
        evaluate_lenet5(dataset=small_dataset, batch_size=50, **option)


def test_training_follows_the_tutorial_minibatch_by_minibatch(mnist_arrays):
    """Two steps in Theano and in NumPy: same costs, same gradients by finite differences."""
    x, y = T.matrix("x"), T.ivector("y")
    model = LeNet5(numpy.random.RandomState(23455), x, nkerns=(2, 3), n_hidden=10)
    cost = model.negative_log_likelihood(y)
    gradients = T.grad(cost, model.params)
    updates = [(p, p - 0.1 * g) for p, g in zip(model.params, gradients)]
    step = theano.function([x, y], [cost] + gradients, updates=updates)
    train_x, train_y = mnist_arrays[0]
    rng = numpy.random.RandomState(0)
    for index in range(2):
        images, labels = train_x[index * 4:index * 4 + 4], train_y[index * 4:index * 4 + 4]

        def cost_in_numpy(images=images, labels=labels):
            p = forward(model, images.reshape(-1, 1, 28, 28))
            return -numpy.log(p[range(4), labels]).mean()

        before = cost_in_numpy()
        slopes = []
        for parameter in model.params:
            values = parameter.get_value()
            position = numpy.unravel_index(rng.randint(values.size), values.shape)
            ends = []
            for distance in (0.01, -0.01):
                moved = values.copy()
                moved[position] += distance
                parameter.set_value(moved)
                ends.append(cost_in_numpy())
            parameter.set_value(values)
            slopes.append((position, (ends[0] - ends[1]) / 0.02))
        found, *found_gradients = step(images, labels.astype("int32"))
        assert found == pytest.approx(before, rel=1e-5)
        for gradient, (position, slope) in zip(found_gradients, slopes):
            # a finite difference over 0.02 has an error of the order of 0.01 ** 2
            assert gradient[position] == pytest.approx(slope, rel=1e-2, abs=1e-4)
