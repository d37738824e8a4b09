"""Logistic regression: the last layer of every network here, and a classifier by itself.

A linear map sends an input vector to one number per class, and the softmax turns these into
probabilities:

    P(Y = i | x, W, b) = exp(x W_i + b_i) / sum_j exp(x W_j + b_j)

Source: the deeplearning.net tutorial, "Classifying MNIST digits using logistic regression".
"""

import numpy
import theano
import theano.tensor as T

from lenet.data import load_data
from lenet.training.functions import compile_functions
from lenet.training.loop import early_stopping
from lenet.parallel.ranks import own_shards
from lenet.training.watch import watched


class Classifier:
    """What all networks here have in common: from the probability of each class to cost and error.

    Parameters
    ----------
    p_y_given_x : matrix expression
        Probability of each class, of shape (batch size, number of classes).
    y_pred : vector expression, optional
        The predicted class of each example; the most probable one by default.

    Attributes
    ----------
    p_y_given_x, y_pred
        As above; y_pred is int64 of shape (batch size,).
    """

    def __init__(self, p_y_given_x, y_pred=None):
        self.p_y_given_x = p_y_given_x
        self.y_pred = T.argmax(p_y_given_x, axis=1) if y_pred is None else y_pred

    def negative_log_likelihood(self, y):
        """The mean negative log-likelihood of the labels, a scalar: the cost to minimise.

        The mean, rather than the sum, makes the choice of the learning rate depend less on the
        size of the minibatch.

        Parameters
        ----------
        y : vector expression
            The right class of each example, integers of shape (batch size,).
        """
        # Row i of log(p) holds the log-probabilities of example i, and y[i] is its right class:
        # the rows [0, 1, ..., n - 1] and the columns y pick one number per row.
        return -T.mean(T.log(self.p_y_given_x)[T.arange(y.shape[0]), y])

    def errors(self, y):
        """The fraction of a minibatch that is classified wrongly, a scalar (zero-one loss).

        Parameters
        ----------
        y : vector expression
            The right class of each example, integers of shape (batch size,).

        Raises
        ------
        TypeError
            y is not a vector of integers.
        """
        if y.ndim != self.y_pred.ndim:
            raise TypeError(f"y is {y.type}; expected the shape of y_pred, which is "
                            f"{self.y_pred.type}")
        if not y.dtype.startswith(("int", "uint")):
            raise TypeError(f"y is of type {y.dtype}; expected integers")
        # 1 where the prediction is wrong, 0 where it is right.
        return T.mean(T.neq(self.y_pred, y))


class LogisticRegression(Classifier):
    """Multi-class logistic regression.

    Parameters
    ----------
    input : matrix expression
        One example per row, of shape (batch size, n_in).
    n_in : int
        Number of inputs.
    n_out : int
        Number of classes.
    W, b : shared variables, optional
        Weights of shape (n_in, n_out) and biases of shape (n_out,) to use instead of new ones,
        which are zeros, floatX.

    Raises
    ------
    ValueError
        W or b does not have the shape that n_in and n_out require.
    """

    def __init__(self, input, n_in, n_out, W=None, b=None):
        # Column i of W is the hyperplane that separates class i from the others; element i of b is
        # its offset.
        self.W = zeros((n_in, n_out), "W") if W is None else W
        self.b = zeros((n_out,), "b") if b is None else b
        check_shape("W", self.W, (n_in, n_out))
        check_shape("b", self.b, (n_out,))

        # (batch size, n_in) times (n_in, n_out), plus a row of biases for each example.
        super().__init__(T.nnet.softmax(T.dot(input, self.W) + self.b))

        self.input = input
        self.params = [self.W, self.b]


def zeros(shape, name):
    """A shared variable of zeros, floatX; mostly for biases."""
    return theano.shared(numpy.zeros(shape, dtype=theano.config.floatX), name=name, borrow=True)


def check_shape(name, parameter, shape):
    """Raise a ValueError unless a layer's parameter, a shared variable, has this shape."""
    found = parameter.get_value(borrow=True).shape
    if found != tuple(shape):
        raise ValueError(f"{name} has shape {found}; expected {tuple(shape)}")


def sgd_optimization_mnist(learning_rate=0.13, n_epochs=1000, dataset="mnist.pkl.gz",
                           batch_size=600, chunk_mb=None, shards=1, run=None):
    """Train a logistic regression on the pixels with early stopping.

    Parameters
    ----------
    learning_rate : float
        Factor of the gradient in each step.
    n_epochs : int
        Maximal number of passes over the training set.
    dataset, chunk_mb
        See ``lenet.data.load_data``.
    batch_size : int
        Examples per minibatch.
    shards : int
        Parts of a minibatch; see ``lenet.parallel.split_step``.
    run : lenet.runs.run.Run, optional
        Saves the training in a folder.

    Returns
    -------
    (LogisticRegression, lenet.training.loop.Result)
        The model after the last minibatch, and what the training reached.

    Raises
    ------
    lenet.errors.UsageError, lenet.errors.DataError, lenet.errors.TrainingError
        An argument is invalid; the dataset cannot be read; the cost is no longer finite.
    """
    print("... loading data", flush=True)
    datasets = load_data(dataset, chunk_mb, own_shards(shards, batch_size))

    print("... building the model", flush=True)
    x = T.matrix("x")  # the images, one rasterized image per row
    y = T.ivector("y")  # the labels
    # An image of 28 x 28 pixels is a row of 784 inputs.
    classifier = LogisticRegression(x, n_in=numpy.prod(datasets.image_shape),
                                    n_out=len(datasets.class_names))
    cost = classifier.negative_log_likelihood(y)

    with watched(classifier, datasets, batch_size, run) as observers:
        functions = compile_functions(classifier, x, y, cost, datasets, learning_rate, batch_size)
        result = early_stopping(*functions, n_epochs, patience=5000, observers=observers)
    return classifier, result
