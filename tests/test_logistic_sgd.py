"""lenet.logistic_sgd against a few lines of NumPy."""

import numpy
import pytest
import theano
import theano.tensor as T

from lenet import logistic_sgd
from lenet.logistic_sgd import LogisticRegression


@pytest.fixture
def layer(rng):
    """A layer with parameters that are not zero, and the matrix it is applied to."""
    layer = LogisticRegression(T.matrix("x"), n_in=7, n_out=4)
    layer.W.set_value(rng.randn(7, 4).astype(theano.config.floatX))
    layer.b.set_value(rng.randn(4).astype(theano.config.floatX))
    return layer


def compute_probabilities(layer, x):
    scores = numpy.exp(x.dot(layer.W.get_value()) + layer.b.get_value())
    return scores / scores.sum(axis=1, keepdims=True)


def test_parameters_are_zero_at_first():
    layer = LogisticRegression(T.matrix(), n_in=3, n_out=2)
    assert [p.get_value().shape for p in layer.params] == [(3, 2), (2,)]
    assert all((p.get_value() == 0).all() for p in layer.params)
    assert all(p.dtype == theano.config.floatX for p in layer.params)


def test_probabilities_and_predictions(layer, rng):
    x = rng.randn(5, 7).astype(theano.config.floatX)
    expected = compute_probabilities(layer, x)
    p, predicted = theano.function([layer.input], [layer.p_y_given_x, layer.y_pred])(x)
    numpy.testing.assert_allclose(p, expected, rtol=1e-5)  # float32 has about 7 digits
    assert predicted.tolist() == expected.argmax(axis=1).tolist()


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_cost_is_the_mean_and_errors_the_fraction(layer, rng, dtype):
    x = rng.randn(6, 7).astype(theano.config.floatX)
    p = compute_probabilities(layer, x)
    labels = p.argmax(axis=1)
    labels[:2] = (labels[:2] + 1) % 4  # two of six are wrong
    y = T.vector("y", dtype)
    cost, errors = theano.function(
        [layer.input, y], [layer.negative_log_likelihood(y), layer.errors(y)]
    )(x, labels.astype(dtype))
    expected = -sum(numpy.log(p[i, labels[i]]) for i in range(6)) / 6
    assert cost == pytest.approx(expected, rel=1e-5)
    assert errors == pytest.approx(2 / 6)


def test_the_gradient_is_predicted_minus_true(layer, rng):
    """d cost / d W = x^T (p - onehot(y)) / n, d cost / d b = the mean of p - onehot(y)."""
    x = rng.randn(6, 7).astype(theano.config.floatX)
    labels = rng.randint(0, 4, 6).astype("int32")
    y = T.ivector("y")
    W, b = theano.function(
        [layer.input, y], T.grad(layer.negative_log_likelihood(y), layer.params)
    )(x, labels)
    difference = compute_probabilities(layer, x) - numpy.eye(4)[labels]
    numpy.testing.assert_allclose(W, x.T.dot(difference) / 6, rtol=1e-4, atol=1e-6)
    numpy.testing.assert_allclose(b, difference.mean(axis=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("y", [T.imatrix("y"), T.vector("y"), T.iscalar("y")])
def test_labels_of_the_wrong_type(layer, y):
    with pytest.raises(TypeError, match="expected"):
        layer.errors(y)


def test_given_parameters_are_used(rng):
    W, b = theano.shared(rng.randn(4, 3)), theano.shared(rng.randn(3))
    layer = LogisticRegression(T.matrix(), n_in=4, n_out=3, W=W, b=b)
    assert layer.params == [W, b]


@pytest.mark.parametrize("W_shape, b_shape, name", [((4, 7), (3,), "W"), ((4, 3), (4,), "b")])
def test_given_parameters_that_do_not_fit(W_shape, b_shape, name):
    W, b = theano.shared(numpy.zeros(W_shape)), theano.shared(numpy.zeros(b_shape))
    with pytest.raises(ValueError, match="%s has shape .*; expected .*3" % name):
        LogisticRegression(T.matrix(), n_in=4, n_out=3, W=W, b=b)


def test_the_command_trains_as_numpy_does(small_dataset, small_sets, capsys):
    rate, size, n_epochs = 0.13, 50, 3
    _, result = logistic_sgd.sgd_optimization_mnist(rate, n_epochs, small_dataset, size)
    W, b, validation_errors, test_errors = numpy.zeros((784, 10)), numpy.zeros(10), [], []
    for _ in range(n_epochs):
        for start in range(0, 250, size):
            x, y = (part[start:start + size] for part in small_sets[0])
            e = numpy.exp(x.dot(W) + b)
            delta = (e / e.sum(axis=1, keepdims=True) - numpy.eye(10)[y]) / size
            W -= rate * x.T.dot(delta)
            b -= rate * delta.sum(axis=0)
        for errors, (x, y) in zip((validation_errors, test_errors), small_sets[1:]):
            errors.append((x.dot(W) + b).argmax(axis=1) != y)
    best = numpy.argmin([wrong.mean() for wrong in validation_errors])
    # Sets of 130 and 120 digits: all of them count, also those of the last minibatch.
    assert result.best_validation_error == validation_errors[best].mean()
    assert result.test_error == test_errors[best].mean()
    assert result.best_iteration == 5 * best + 4


def test_patience_is_the_tutorials(monkeypatch, small_dataset, capsys):
    seen = {}

    def early_stopping(*arguments, **options):
        seen.update(options)
        raise StopIteration

    monkeypatch.setattr(logistic_sgd, "early_stopping", early_stopping)
    with pytest.raises(StopIteration):
        logistic_sgd.sgd_optimization_mnist(dataset=small_dataset, batch_size=50)
    assert seen["patience"] == 5000
