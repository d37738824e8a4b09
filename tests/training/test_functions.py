"""lenet.training.functions: minibatches, steps and errors, on a logistic regression."""

import math

import numpy
import pytest
import theano
import theano.tensor as T

from lenet.data import shared_dataset
from lenet.errors import UsageError
from lenet.logistic_sgd import LogisticRegression
from lenet.training.evaluation import compile_error, compile_predictions
from lenet.training.functions import compile_functions
from lenet.training.noise import apply_dropout
from lenet.training.updates import Momentum


@pytest.fixture
def sets(rng):
    """Sets of 11, 7 and 5 examples of 3 numbers in 2 classes."""
    return [
        (rng.randn(n, 3).astype(theano.config.floatX), rng.randint(0, 2, n)) for n in (11, 7, 5)
    ]


def compile_training(sets, batch_size, learning_rate=0.5):
    x, y = T.matrix("x"), T.ivector("y")
    model = LogisticRegression(x, n_in=3, n_out=2)
    datasets = [shared_dataset(pair) for pair in sets]
    cost = model.negative_log_likelihood(y)
    return model, compile_functions(model, x, y, cost, datasets, learning_rate, batch_size)


def fraction_wrong(model, pair):
    x, y = pair
    scores = x.dot(model.W.get_value()) + model.b.get_value()
    return (scores.argmax(axis=1) != y).sum() / len(y)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 7, 11])
def test_every_validation_and_test_example_counts(sets, batch_size, rng):
    model, functions = compile_training(sets, batch_size)
    for _ in range(3):
        model.W.set_value(rng.randn(3, 2).astype(theano.config.floatX))
        assert functions.validation_error() == fraction_wrong(model, sets[1])
        assert functions.test_error() == fraction_wrong(model, sets[2])


def test_the_rest_of_the_training_set_is_dropped(sets):
    assert compile_training(sets, 4)[1].n_train_batches == 2  # 11 = 4 + 4 + 3


def test_a_step_on_a_minibatch(sets):
    model, functions = compile_training(sets, 4, learning_rate=0.5)
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
    [(0, "batch size 0"), (-3, "batch size -3"), (12, "the 11 examples of the training set")],
)
def test_minibatches_that_cannot_be(sets, batch_size, words):
    with pytest.raises(UsageError, match=words):
        compile_training(sets, batch_size)


@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf])
def test_rates_that_cannot_work(sets, rate):
    with pytest.raises(UsageError, match="learning rate"):
        compile_training(sets, 4, rate)


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


def test_the_state_is_what_a_training_changes_or_depends_on(sets, rng):
    x, y = T.matrix("x"), T.ivector("y")
    model = LogisticRegression(x, n_in=3, n_out=2)
    frozen = theano.shared(rng.randn(3), "frozen")
    cost = apply_dropout(model.negative_log_likelihood(y) + (model.W.T * frozen).sum(), model.input,
                         0.5, rng)
    functions = compile_functions(model, x, y, cost, [shared_dataset(pair) for pair in sets],
                                  Momentum(0.5, 0.9), 4)
    names = [variable.name for variable in functions.state]
    random_state, = (v for v in functions.state if v.name not in ("W", "b", "velocity", "frozen"))
    assert sorted(filter(None, names)) == ["W", "b", "frozen", "velocity", "velocity"]
    before = random_state.get_value()
    functions.train_minibatch(0)
    assert (random_state.get_value() != before).any()
