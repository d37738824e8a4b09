"""Logistic regression: the last layer of every network here.

A linear map sends an input vector to one number a class, and the softmax turns these into
probabilities:

    P(Y = i | x, W, b) = exp(x W_i + b_i) / sum_j exp(x W_j + b_j)

Source: the deeplearning.net tutorial, "Classifying MNIST digits using logistic regression".
"""

import numpy
import theano
import theano.tensor as T


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

    Attributes
    ----------
    W, b : shared variables
        Weights of shape (n_in, n_out) and biases of shape (n_out,), zeros at first, floatX.
    p_y_given_x : matrix expression
        Probability of each class, of shape (batch size, n_out).
    y_pred : vector expression
        The most probable class of each example, int64 of shape (batch size,).
    """

    def __init__(self, input, n_in, n_out):
        self.W = theano.shared(
            numpy.zeros((n_in, n_out), dtype=theano.config.floatX), name="W", borrow=True
        )
        self.b = theano.shared(
            numpy.zeros((n_out,), dtype=theano.config.floatX), name="b", borrow=True
        )

        self.p_y_given_x = T.nnet.softmax(T.dot(input, self.W) + self.b)
        self.y_pred = T.argmax(self.p_y_given_x, axis=1)

        self.input = input
        self.output = self.p_y_given_x
        self.params = [self.W, self.b]

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
        if not y.dtype.startswith("int"):
            raise TypeError("y is of type %s; expected integers" % y.dtype)
        return T.mean(T.neq(self.y_pred, y))
