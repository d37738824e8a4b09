"""Logistic regression: the last layer of every network here, and a classifier of its own.

A linear map sends an input vector to one number a class, and the softmax turns these into
probabilities:

    P(Y = i | x, W, b) = exp(x W_i + b_i) / sum_j exp(x W_j + b_j)

Source: the deeplearning.net tutorial, "Classifying MNIST digits using logistic regression".
"""

import os

import numpy
import theano
import theano.tensor as T

from lenet.training.experiment import run_experiment


class LogisticRegression:
    """Multi-class logistic regression.

    Parameters
    ----------
    input : matrix expression
        One example a row, of shape (batch size, n_in).
    n_in : int
        Number of inputs.
    n_out : int
        Number of classes.
    W, b : shared variables, optional
        Weights of shape (n_in, n_out) and biases of shape (n_out,) to use instead of new ones,
        which are zeros, floatX.

    Attributes
    ----------
    p_y_given_x : matrix expression
        Probability of each class, of shape (batch size, n_out).
    y_pred : vector expression
        The most probable class of each example, int64 of shape (batch size,).

    Raises
    ------
    ValueError
        W or b do not have the shape that n_in and n_out ask for.
    """

    def __init__(self, input, n_in, n_out, W=None, b=None):
        if W is None:
            W = theano.shared(
                numpy.zeros((n_in, n_out), dtype=theano.config.floatX), name="W", borrow=True
            )
        if b is None:
            b = theano.shared(
                numpy.zeros((n_out,), dtype=theano.config.floatX), name="b", borrow=True
            )
        check_shape("W", W, (n_in, n_out))
        check_shape("b", b, (n_out,))
        self.W = W
        self.b = b

        self.p_y_given_x = T.nnet.softmax(T.dot(input, self.W) + self.b)
        self.y_pred = T.argmax(self.p_y_given_x, axis=1)

        self.input = input
        self.output = self.p_y_given_x
        self.params = [self.W, self.b]
        self.named_layers = {"layer0": self}
        self.architecture = {"kind": "LogisticRegression"}

    def negative_log_likelihood(self, y):
        """The mean negative log-likelihood of the labels, a scalar: the cost to minimise.

        The mean, where the likelihood has a sum, makes the learning rate depend less on the size
        of the minibatch.

        Parameters
        ----------
        y : vector expression
            The right class of each example, integers of shape (batch size,).
        """
        # Row i of log(p) holds the log-probabilities of example i, and y[i] is its right class:
        # indexing with the rows [0, 1, ..., n - 1] and the columns y picks one number a row.
        return -T.mean(T.log(self.p_y_given_x)[T.arange(y.shape[0]), y])

    def errors(self, y):
        """The fraction of examples that are classified wrongly, a scalar (zero-one loss).

        Parameters
        ----------
        y : vector expression
            The right class of each example, integers of shape (batch size,).

        Raises
        ------
        TypeError
            y is no vector like y_pred, or not of an integer type.
        """
        if y.ndim != self.y_pred.ndim:
            raise TypeError("y is %s; expected the shape of y_pred, which is %s"
                            % (y.type, self.y_pred.type))
        if not y.dtype.startswith(("int", "uint")):
            raise TypeError("y is of type %s; expected integers" % y.dtype)
        return T.mean(T.neq(self.y_pred, y))


def check_shape(name, parameter, shape):
    """Raise a ValueError unless a layer's parameter, a shared variable, has this shape."""
    found = parameter.get_value(borrow=True).shape
    if found != tuple(shape):
        raise ValueError("%s has shape %s; expected %s" % (name, found, tuple(shape)))


def sgd_optimization_mnist(learning_rate=0.13, n_epochs=1000, dataset="mnist.pkl.gz",
                           batch_size=600, **keep):
    """Train a logistic regression on the pixels with early stopping.

    Parameters
    ----------
    learning_rate : float
        Factor of the gradient in each step.
    n_epochs : int
        Passes over the training set at the most.
    dataset : str
        See ``lenet.data.load_data``.
    batch_size : int
        Examples a minibatch.
    **keep
        ``chunk_mb`` and ``run``; see ``lenet.training.experiment.run_experiment``.

    Returns
    -------
    (LogisticRegression, lenet.training.loop.Result)
        The model after the last minibatch, and what the training reached.

    Raises
    ------
    lenet.errors.UsageError, lenet.errors.DataError, lenet.errors.TrainingError
        An argument cannot work; the dataset cannot be read; the cost is no longer finite.
    """
    def build(x, y, datasets):
        # An image of 28 x 28 pixels is a row of 784 inputs.
        n_in = numpy.prod(datasets.image_shape)
        classifier = LogisticRegression(input=x, n_in=n_in, n_out=len(datasets.class_names))
        return classifier, classifier.negative_log_likelihood(y)

    return run_experiment(build, dataset, learning_rate, n_epochs, batch_size,
                          file_name=os.path.basename(__file__), patience=5000, **keep)
