"""lenet.mlp against a few lines of NumPy."""

import numpy
import pytest
import theano
import theano.tensor as T

from lenet.mlp import HiddenLayer


def test_output(rng):
    x = T.matrix("x")
    layer = HiddenLayer(rng, x, n_in=5, n_out=3)
    layer.b.set_value(rng.randn(3).astype(theano.config.floatX))
    values = rng.randn(4, 5).astype(theano.config.floatX)
    expected = numpy.tanh(values.dot(layer.W.get_value()) + layer.b.get_value())
    numpy.testing.assert_allclose(theano.function([x], layer.output)(values), expected, rtol=1e-5)
    assert layer.params == [layer.W, layer.b] and layer.input is x


@pytest.mark.parametrize("activation, factor", [(T.tanh, 1), (None, 1), (T.nnet.sigmoid, 4)])
def test_initial_weights_are_the_tutorials_draws(activation, factor):
    layer = HiddenLayer(
        numpy.random.RandomState(1234), T.matrix(), n_in=30, n_out=20, activation=activation
    )
    bound = (6 / (30 + 20)) ** 0.5
    drawn = numpy.random.RandomState(1234).uniform(-bound, bound, (30, 20)).astype("float32")
    numpy.testing.assert_array_equal(layer.W.get_value(), factor * drawn)
    assert (layer.b.get_value() == numpy.zeros(20)).all()


def test_a_linear_layer(rng):
    x = T.matrix("x")
    layer = HiddenLayer(rng, x, n_in=5, n_out=3, activation=None)
    values = rng.randn(4, 5).astype(theano.config.floatX)
    numpy.testing.assert_allclose(
        theano.function([x], layer.output)(values), values.dot(layer.W.get_value()), rtol=1e-5
    )


def test_given_parameters_are_used(rng):
    W = theano.shared(rng.randn(5, 3))
    b = theano.shared(rng.randn(3))
    layer = HiddenLayer(None, T.matrix(), n_in=5, n_out=3, W=W, b=b)
    assert layer.W is W and layer.b is b


@pytest.mark.parametrize("W_shape, b_shape, name", [((3, 5), (3,), "W"), ((5, 3), (5,), "b")])
def test_given_parameters_that_do_not_fit(W_shape, b_shape, name):
    W, b = theano.shared(numpy.zeros(W_shape)), theano.shared(numpy.zeros(b_shape))
    with pytest.raises(ValueError, match="%s has shape .*5.* but n_in=5 and n_out=3" % name):
        HiddenLayer(None, T.matrix(), n_in=5, n_out=3, W=W, b=b)
