"""Weights of the classes in the cost, for a training set that has few examples of some.

    weights = balance_classes(labels, n_classes)
    cost = weigh_likelihood(network, y, weights)
"""

import numpy
import theano
import theano.tensor as T


def balance_classes(labels, n_classes):
    """The weights that make all classes count the same: a float64 array of shape (n_classes,), for
    labels that are an array of integers of shape (n,).

    It is n / (k n_c) for class c, which has n_c of the n examples of k classes; 0 for a class
    without examples. The mean over the examples is 1.

    Source: G. King, L. Zeng, "Logistic regression in rare events data", Political Analysis
    9(2):137-163, 2001 ("weighting").
    """
    counts = numpy.bincount(labels, minlength=n_classes)
    n_present = numpy.count_nonzero(counts)
    return numpy.where(counts > 0, len(labels) / (n_present * numpy.maximum(counts, 1)), 0.0)


def weigh_likelihood(network, y, weights):
    """The mean over a minibatch of each example's negative log-likelihood times the weight of its
    class, a scalar expression.

    ``network`` is a ``lenet.logistic_sgd.Classifier``, ``y`` a vector expression of integers, and
    ``weights`` an array of shape (n_classes,).
    """
    weights = T.constant(numpy.asarray(weights, dtype=theano.config.floatX))
    likelihoods = T.log(network.p_y_given_x)[T.arange(y.shape[0]), y]
    return -T.mean(weights[y] * likelihoods)
