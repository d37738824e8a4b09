"""lenet.training.functions: minibatches, steps and errors, on a logistic regression."""

import math

import numpy
import pytest
import theano
import theano.tensor as T

from lenet.data import shared_dataset
from lenet.errors import UsageError
from lenet.logistic_sgd import LogisticRegression
from lenet.training.functions import (
    compile_error,
    compile_functions,
    compile_predictions,
    falling_rate,
    in_training,
    velocities,
)


@pytest.fixture
def sets(rng):
    """Sets of 11, 7 and 5 examples of 3 numbers in 2 classes."""
    return [
        (rng.randn(n, 3).astype(theano.config.floatX), rng.randint(0, 2, n)) for n in (11, 7, 5)
    ]


def compiled(sets, batch_size, learning_rate=0.5):
    x, y = T.matrix("x"), T.ivector("y")
    model = LogisticRegression(x, n_in=3, n_out=2)
    datasets = [shared_dataset(pair) for pair in sets]
    cost = model.negative_log_likelihood(y)
    return model, compile_functions(model, x, y, cost, datasets, learning_rate, batch_size)


def fraction_wrong(model, pair):
    x, y = pair
    scores = x.dot(model.W.get_value()) + model.b.get_value()
    return (scores.argmax(axis=1) != y).sum() / len(y)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5])
def test_every_validation_and_test_example_counts(sets, batch_size, rng):
    model, functions = compiled(sets, batch_size)
    for _ in range(3):
        model.W.set_value(rng.randn(3, 2).astype(theano.config.floatX))
        assert functions.validation_error() == fraction_wrong(model, sets[1])
        assert functions.test_error() == fraction_wrong(model, sets[2])


def test_the_rest_of_the_training_set_is_dropped(sets):
    assert compiled(sets, 4)[1].n_train_batches == 2  # 11 = 4 + 4 + 3


def test_a_step_on_a_minibatch(sets):
    model, functions = compiled(sets, 4, learning_rate=0.5)
    x, y = sets[0][0][4:8], sets[0][1][4:8]  # minibatch 1
    # With zero parameters both classes have probability 1/2, and the cost is log 2.
    assert functions.train_minibatch(1) == pytest.approx(numpy.log(2))
    gradient = x.T.dot(0.5 - numpy.eye(2)[y]) / 4
    numpy.testing.assert_allclose(model.W.get_value(), -0.5 * gradient, rtol=1e-5, atol=1e-7)
    numpy.testing.assert_allclose(
        model.b.get_value(), -0.5 * (0.5 - numpy.eye(2)[y]).mean(axis=0), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize(
    "batch_size, words",
    [(0, "batch size 0"), (-3, "batch size -3"), (12, "the 11 examples of the training set"),
     (8, "the 7 examples of the validation set"), (6, "the 5 examples of the test set")],
)
def test_minibatches_that_cannot_be(sets, batch_size, words):
    with pytest.raises(UsageError, match=words):
        compiled(sets, batch_size)


@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf])
def test_rates_that_cannot_work(sets, rate):
    with pytest.raises(UsageError, match="learning rate"):
        compiled(sets, 4, rate)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_a_set_is_evaluated_without_training(sets, batch_size, rng):
    x, y = T.matrix("x"), T.ivector("y")
    model = LogisticRegression(x, n_in=3, n_out=2)
    model.W.set_value(rng.randn(3, 2).astype(theano.config.floatX))
    data = shared_dataset(sets[1])  # 7 examples
    assert compile_error(model, x, y, data, batch_size)() == fraction_wrong(model, sets[1])
    predictions = compile_predictions(model, x, data, batch_size)()
    assert predictions.tolist() == sets[1][0].dot(model.W.get_value()).argmax(axis=1).tolist()


def test_a_cost_of_ones_own_is_minimised(sets):
    x, y = T.matrix("x"), T.ivector("y")
    model = LogisticRegression(x, n_in=3, n_out=2)
    model.W.set_value(numpy.ones((3, 2), dtype=theano.config.floatX))
    cost = (model.W ** 2).sum() + 0 * (x.sum() + y.sum() + model.b.sum())
    functions = compile_functions(model, x, y, cost, [shared_dataset(pair) for pair in sets], 0.25,
                                  4)
    assert functions.train_minibatch(0) == 6  # the cost before the step
    numpy.testing.assert_array_equal(model.W.get_value(), numpy.full((3, 2), 1 - 0.25 * 2))


def test_a_learning_rate_that_changes(sets):
    x, y = T.matrix("x"), T.ivector("y")
    model = LogisticRegression(x, n_in=3, n_out=2)
    rate = theano.shared(numpy.asarray(0.25, dtype=theano.config.floatX))
    cost = model.b.sum() + 0 * (x.sum() + y.sum() + model.W.sum())
    functions = compile_functions(model, x, y, cost, [shared_dataset(pair) for pair in sets], rate,
                                  4)
    functions.train_minibatch(0)
    rate.set_value(numpy.asarray(2, dtype=theano.config.floatX))
    functions.train_minibatch(1)
    assert model.b.get_value().tolist() == [-2.25, -2.25]


def test_momentum_adds_a_fraction_of_the_last_step(sets):
    x, y = T.matrix("x"), T.ivector("y")
    model = LogisticRegression(x, n_in=3, n_out=2)
    model.velocities = velocities(model.params, 0.75)
    functions = compile_functions(model, x, y, model.negative_log_likelihood(y),
                                  [shared_dataset(pair) for pair in sets], 0.5, 4, 0.75)
    W, b, W_step, b_step = numpy.zeros((3, 2)), numpy.zeros(2), 0, 0
    for minibatch in (0, 1, 0):
        functions.train_minibatch(minibatch)
        rows = slice(4 * minibatch, 4 * minibatch + 4)
        images, labels = sets[0][0][rows].astype("float64"), sets[0][1][rows]
        p = numpy.exp(images.dot(W) + b)
        p /= p.sum(axis=1, keepdims=True)
        slope = (p - numpy.eye(2)[labels]) / 4
        W_step = 0.75 * W_step - 0.5 * images.T.dot(slope)
        b_step = 0.75 * b_step - 0.5 * slope.sum(axis=0)
        W, b = W + W_step, b + b_step
        for param, expected in zip(model.params + model.velocities, (W, b, W_step, b_step)):
            # sums of 4 floats of about 1
            numpy.testing.assert_allclose(param.get_value(), expected, atol=1e-6)


def test_without_momentum_nothing_is_added():
    assert velocities(LogisticRegression(T.matrix(), 3, 2).params, 0) == []


@pytest.mark.parametrize("momentum", [-0.1, 1, math.nan])
def test_momentum_that_cannot_work(momentum):
    with pytest.raises(UsageError, match="momentum .*; expected at least 0 and less than 1"):
        velocities([], momentum)


def test_the_rate_falls_after_each_epoch():
    rate, epoch_begins = falling_rate(0.4, 0.5)
    for epoch, expected in ((1, 0.4), (2, 0.2), (4, 0.05), (1, 0.4)):
        epoch_begins(epoch)
        assert rate.get_value() == pytest.approx(expected) and rate.dtype == theano.config.floatX
    assert falling_rate(0.4, 1) == (0.4, None)


def test_the_rate_rises_during_the_warm_up():
    rate, epoch_begins = falling_rate(0.4, 1, warmup=3)
    for epoch, expected in ((1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4), (5, 0.4)):
        epoch_begins(epoch)
        assert rate.get_value() == pytest.approx(expected)
    rate, epoch_begins = falling_rate(0.4, 0.5, warmup=1)
    for epoch, expected in ((1, 0.2), (2, 0.2), (3, 0.1)):
        epoch_begins(epoch)
        assert rate.get_value() == pytest.approx(expected)
    with pytest.raises(UsageError, match="warmup -1"):
        falling_rate(0.4, 1, warmup=-1)


@pytest.mark.parametrize("rate, decay, words", [
    (0, 0.5, "learning rate 0"), (1, 0, "decay 0"), (1, -1, "decay -1"), (1, 1.1, "decay 1.1"),
    (1, math.nan, "decay nan")])
def test_rates_that_cannot_fall(rate, decay, words):
    with pytest.raises(UsageError, match=words):
        falling_rate(rate, decay)


def test_what_stands_in_for_an_output_in_training():
    x = T.scalar("x")
    first = 2 * x
    second = first + 1
    cost = second ** 2
    trained = in_training(cost, [(first, 3 * x), (second, first + 10)])
    assert theano.function([x], [cost, trained])(5) == [11 ** 2, 25 ** 2]  # 3 * 5 + 10 = 25
    assert in_training(cost, []) is cost
