"""The hidden layer of a multilayer perceptron.

Source: the deeplearning.net tutorial, "Multilayer perceptron".
"""

import numpy
import theano
import theano.tensor as T


class HiddenLayer:
    """A fully-connected layer: ``activation(input W + b)``.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Draws the initial weights.
    input : matrix expression
        One example a row, of shape (batch size, n_in).
    n_in, n_out : int
        Numbers of inputs and of hidden units.
    W, b : shared variables, optional
        Weights of shape (n_in, n_out) and biases of shape (n_out,) to use instead of new ones.
    activation : function of an expression, or None
        The non-linearity; None for a linear layer.

    Raises
    ------
    ValueError
        W or b do not have the shape that n_in and n_out ask for.

    Notes
    -----
    The initial weights are uniform in +-sqrt(6 / (n_in + n_out)), four times that for sigmoid
    (X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, equation 16).
    """

    def __init__(self, rng, input, n_in, n_out, W=None, b=None, activation=T.tanh):
        if W is None:
            bound = numpy.sqrt(6.0 / (n_in + n_out))
            W_values = numpy.asarray(
                rng.uniform(low=-bound, high=bound, size=(n_in, n_out)), dtype=theano.config.floatX
            )
            if activation == T.nnet.sigmoid:
                W_values *= 4
            W = theano.shared(W_values, name="W", borrow=True)
        if b is None:
            b = theano.shared(
                numpy.zeros((n_out,), dtype=theano.config.floatX), name="b", borrow=True
            )
        for name, parameter, shape in (("W", W, (n_in, n_out)), ("b", b, (n_out,))):
            found = parameter.get_value(borrow=True).shape
            if found != shape:
                raise ValueError("%s has shape %s, but n_in=%d and n_out=%d ask for %s"
                                 % (name, found, n_in, n_out, shape))
        self.W = W
        self.b = b

        linear = T.dot(input, self.W) + self.b
        self.output = linear if activation is None else activation(linear)

        self.input = input
        self.params = [self.W, self.b]
