"""lenet.convolutional_mlp against NumPy and SciPy, and against the tutorial's first epoch."""

import numpy
import pytest
import scipy.signal
import theano
import theano.tensor as T

from lenet.convolutional_mlp import LeNet5, LeNetConvPoolLayer, check_nkerns
from lenet.errors import UsageError


def conv_pool(images, W, b, poolsize):
    """The layer, image by image and map by map, in double precision."""
    output = []
    for image in images.astype("float64"):
        for filters, bias in zip(W.astype("float64"), b):
            # scipy's convolve2d flips the filter, as the definition of convolution says.
            maps = sum(scipy.signal.convolve2d(channel, filter, mode="valid")
                       for channel, filter in zip(image, filters))
            rows, columns = (n // window for n, window in zip(maps.shape, poolsize))
            windows = maps[:rows * poolsize[0], :columns * poolsize[1]].reshape(
                rows, poolsize[0], columns, poolsize[1]
            )
            output.append(numpy.tanh(windows.max(axis=(1, 3)) + bias))
    return numpy.array(output).reshape((len(images), len(W)) + output[0].shape)


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


def forward(model, images):
    """LeNet-5 with the parameters of ``model``, in NumPy: the probabilities."""
    W3, b3, W2, b2, W1, b1, W0, b0 = (p.get_value() for p in model.params)
    maps = conv_pool(conv_pool(images, W0, b0, (2, 2)), W1, b1, (2, 2))
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
