"""Logistic regression: the last layer of every network here, and a classifier by itself.

A linear map sends an input vector to one number per class, and the softmax turns these into
probabilities:

    P(Y = i | x, W, b) = exp(x W_i + b_i) / sum_j exp(x W_j + b_j)

Source: the deeplearning.net tutorial, "Classifying MNIST digits using logistic regression".
"""

import lenet  # noqa: F401  (first: Theano starts with its settings)

# isort: split
import numpy
import theano.tensor as T

from lenet.data import load_data
from lenet.shared import check_shape, zeros
from lenet.training.functions import compile_functions
from lenet.training.loop import early_stopping
from lenet.training.watch import watch_training


class Classifier:
    """What all networks here have in common: from the probability of each class to cost and error.

    Parameters
    ----------
    input : matrix expression
        One example per row, of shape (batch size, number of inputs).
    p_y_given_x : matrix expression
        Probability of each class, of shape (batch size, number of classes).
    y_pred : vector expression, optional
        The predicted class of each example, int64 of shape (batch size,); the most probable one by
        default.
    """

    def __init__(self, input, p_y_given_x, y_pred=None):
        self.input = input
        self.p_y_given_x = p_y_given_x
        self.y_pred = T.argmax(p_y_given_x, axis=1) if y_pred is None else y_pred

    def negative_log_likelihood(self, y):
        """The mean negative log-likelihood of the labels, a scalar: the cost to minimise.

        The mean, rather than the sum, makes the choice of the learning rate depend less on the
        size of the minibatch. ``y`` is the right class of each example, integers of shape
        (batch size,).
        """
        # Row i of log(p) holds the log-probabilities of example i, and y[i] is its right class:
        # the rows [0, 1, ..., n - 1] and the columns y pick one number per row.
        return -T.mean(T.log(self.p_y_given_x)[T.arange(y.shape[0]), y])

    def errors(self, y):
        """The fraction of a minibatch that is classified wrongly, a scalar (zero-one loss).

        Raises a TypeError if y is not a vector of integers.
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
    n_in, n_out : int
        Numbers of inputs and of classes.
    W, b : shared variables, optional
        Weights of shape (n_in, n_out) and biases of shape (n_out,) to use instead of new ones,
        which are zeros, floatX; a ValueError refuses other shapes.
    """

    def __init__(self, input, n_in, n_out, W=None, b=None):
        # Column i of W is the hyperplane that separates class i from the others; element i of b is
        # its offset.
        self.W = zeros((n_in, n_out), "W") if W is None else W
        self.b = zeros((n_out,), "b") if b is None else b
        check_shape("W", self.W, (n_in, n_out))
        check_shape("b", self.b, (n_out,))
        self.params = [self.W, self.b]

        # (batch size, n_in) times (n_in, n_out), plus a row of biases for each example.
        super().__init__(input, T.nnet.softmax(T.dot(input, self.W) + self.b))


def sgd_optimization_mnist(learning_rate=0.13, n_epochs=1000, dataset="mnist.pkl.gz",
                           batch_size=600, observers=()):
    """Train a logistic regression on the pixels with early stopping.

    Parameters
    ----------
    learning_rate : float
        Factor of the gradient in each step; or see ``lenet.training.functions.compile_functions``.
    n_epochs : int
        Maximum number of passes over the training set.
    dataset
        See ``lenet.data.load_data``.
    batch_size : int
        Examples per minibatch.
    observers : sequence of lenet.training.loop.Observer
        Objects that are told of each step, such as a ``lenet.runs.run.Run``, which saves it.

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
    datasets = load_data(dataset)

    print("... building the model", flush=True)
    x = T.matrix("x")  # the images, one rasterized image per row
    y = T.ivector("y")  # the labels
    # An image of 28 x 28 pixels is a row of 784 inputs.
    classifier = LogisticRegression(x, n_in=numpy.prod(datasets.image_shape),
                                    n_out=len(datasets.class_names))
    cost = classifier.negative_log_likelihood(y)

    with watch_training(__file__, classifier, datasets, batch_size, observers) as observers:
        functions = compile_functions(classifier, x, y, cost, datasets, learning_rate, batch_size)
        result = early_stopping(functions, n_epochs, patience=5000, observers=observers)
    return classifier, result


if __name__ == "__main__":
    sgd_optimization_mnist()
