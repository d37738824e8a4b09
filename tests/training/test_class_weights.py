"""lenet.training.class_weights: all classes count the same."""

import numpy
import pytest
import theano
import theano.tensor as T

from lenet.logistic_sgd import LogisticRegression
from lenet.training.class_weights import balance_classes, weigh_likelihood


def test_each_class_weighs_the_same_in_all():
    labels = numpy.array([0] * 12 + [1] * 3 + [3] * 1)
    weights = balance_classes(labels, 4)
    # 16 / (3 * 12), 16 / (3 * 3), and 16 / 3 of the one image of the last class; none has class 2.
    assert weights == pytest.approx([4 / 9, 16 / 9, 0, 16 / 3])
    totals = numpy.bincount(labels, weights[labels], 4)
    assert totals == pytest.approx([16 / 3, 16 / 3, 0, 16 / 3])


def test_the_weighted_cost_and_its_gradient(rng):
    x, y = T.matrix("x"), T.ivector("y")
    model = LogisticRegression(x, n_in=5, n_out=3)
    W = rng.randn(5, 3).astype(theano.config.floatX)
    model.W.set_value(W)
    weights = [0.5, 2.0, 1.0]
    cost = weigh_likelihood(model, y, weights)
    function = theano.function([x, y], [cost, T.grad(cost, model.W)])
    images = rng.randn(7, 5).astype(theano.config.floatX)
    labels = rng.randint(0, 3, 7).astype("int32")
    found_cost, found_gradient = function(images, labels)

    scores = numpy.exp(images @ W)
    p = scores / scores.sum(axis=1, keepdims=True)
    w = numpy.take(weights, labels)
    assert found_cost == pytest.approx(-(w * numpy.log(p[range(7), labels])).mean(), rel=1e-5)
    # Of the cross-entropy of a softmax: x^T (p - one-hot), each example times its weight.
    p[range(7), labels] -= 1
    numpy.testing.assert_allclose(found_gradient, images.T @ (w[:, None] * p) / 7, rtol=1e-4,
                                  atol=1e-6)


def test_equal_weights_change_nothing(rng):
    x, y = T.matrix("x"), T.ivector("y")
    model = LogisticRegression(x, n_in=5, n_out=3)
    model.W.set_value(rng.randn(5, 3).astype(theano.config.floatX))
    function = theano.function([x, y], [weigh_likelihood(model, y, balance_classes([0, 1, 2], 3)),
                                        model.negative_log_likelihood(y)])
    weighted, plain = function(rng.randn(7, 5).astype(theano.config.floatX),
                               rng.randint(0, 3, 7).astype("int32"))
    assert weighted == pytest.approx(plain, rel=1e-6)
