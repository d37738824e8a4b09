"""lenet.mlp against a few lines of NumPy."""

import numpy
import pytest
import theano
import theano.tensor as T

from lenet import mlp
from lenet.errors import UsageError
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
    with pytest.raises(ValueError, match="%s has shape .*5.* expected .*3" % name):
        HiddenLayer(None, T.matrix(), n_in=5, n_out=3, W=W, b=b)


def test_the_sums_of_the_weights(rng):
    model = mlp.MLP(rng, T.matrix(), n_in=4, n_hidden=3, n_out=2)
    model.logRegressionLayer.W.set_value(rng.randn(3, 2).astype(theano.config.floatX))
    model.hiddenLayer.b.set_value(rng.randn(3).astype(theano.config.floatX))  # does not count
    W1, W2 = model.hiddenLayer.W.get_value(), model.logRegressionLayer.W.get_value()
    assert model.L1.eval() == pytest.approx(abs(W1).sum() + abs(W2).sum(), rel=1e-5)
    assert model.L2_sqr.eval() == pytest.approx((W1 ** 2).sum() + (W2 ** 2).sum(), rel=1e-5)
    assert model.params == model.hiddenLayer.params + model.logRegressionLayer.params


@pytest.mark.parametrize("L1_reg, L2_reg", [(0, 0), (0.5, 0), (0, 0.25), (0.5, 0.25)])
def test_the_cost_that_is_trained(L1_reg, L2_reg, small_dataset, small_sets, monkeypatch, capsys):
    seen = {}

    def compile_functions(model, x, y, cost, *others):
        seen.update(model=model, cost=theano.function([x, y], cost))
        raise StopIteration

    monkeypatch.setattr(mlp, "compile_functions", compile_functions)
    with pytest.raises(StopIteration):
        mlp.test_mlp(L1_reg=L1_reg, L2_reg=L2_reg, dataset=small_dataset, n_hidden=7)
    x, y = small_sets[0]
    W1 = seen["model"].hiddenLayer.W.get_value()
    bound = (6 / (784 + 7)) ** 0.5
    drawn = numpy.random.RandomState(1234).uniform(-bound, bound, (784, 7))
    numpy.testing.assert_array_equal(W1, drawn.astype(theano.config.floatX))
    # The softmax layer starts at zero: every class has a probability of 1 / 10.
    expected = numpy.log(10) + L1_reg * abs(drawn).sum() + L2_reg * (drawn ** 2).sum()
    assert seen["cost"](x, y.astype("int32")) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("activation, function", [
    (T.tanh, numpy.tanh), (T.nnet.sigmoid, lambda a: 1 / (1 + numpy.exp(-a))),
    (T.nnet.relu, lambda a: numpy.maximum(0, a)),
    (T.nnet.softplus, lambda a: numpy.log(1 + numpy.exp(a)))])
def test_the_activation(activation, function, rng):
    x = T.matrix("x")
    model = mlp.MLP(rng, x, n_in=6, n_hidden=4, n_out=3, activation=activation)
    model.logRegressionLayer.W.set_value(rng.randn(4, 3).astype(theano.config.floatX))
    model.hiddenLayer.b.set_value(rng.randn(4).astype(theano.config.floatX))
    W1, b1, W2, b2 = (param.get_value() for param in model.params)
    values = 3 * rng.randn(5, 6).astype(theano.config.floatX)
    scores = numpy.exp(function(values.dot(W1) + b1).dot(W2) + b2)
    numpy.testing.assert_allclose(theano.function([x], model.p_y_given_x)(values),
                                  scores / scores.sum(axis=1, keepdims=True), rtol=1e-4)


def test_another_cost_is_put_in_the_place_of_the_likelihood(small_dataset, monkeypatch, capsys):
    seen = {}

    def compile_functions(model, x, y, cost, *others):
        seen.update(model=model, cost=cost)
        raise StopIteration

    def make_cost(model, y, rng):
        seen["draw"] = rng.rand()
        return model.negative_log_likelihood(y) + 1000

    monkeypatch.setattr(mlp, "compile_functions", compile_functions)
    with pytest.raises(StopIteration):
        mlp.test_mlp(dataset=small_dataset, n_hidden=7, training_cost=make_cost)
    # What noise draws, it draws after the weights.
    rng = numpy.random.RandomState(1234)
    rng.uniform(size=(784, 7))
    assert seen["draw"] == rng.rand()
    assert "1000" in theano.pp(seen["cost"])
    assert "1000" not in theano.pp(seen["model"].p_y_given_x)


@pytest.mark.parametrize("option", [
    {"n_hidden": 0}, {"L1_reg": -1}, {"L2_reg": float("nan")}, {"learning_rate": 0}])
def test_arguments_that_cannot_work(option, small_dataset):
    with pytest.raises(UsageError, match=next(iter(option)).replace("_rate", " rate")):
        mlp.test_mlp(dataset=small_dataset, **option)
