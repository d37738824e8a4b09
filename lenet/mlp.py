"""The multilayer perceptron: a hidden layer, then a logistic regression.

Source: the deeplearning.net tutorial, "Multilayer perceptron".
"""

import lenet  # noqa: F401  (first: Theano starts with its settings)

# isort: split
import math

import numpy
import theano
import theano.tensor as T

from lenet.data import load_data
from lenet.errors import UsageError
from lenet.logistic_sgd import Classifier, LogisticRegression
from lenet.shared import check_shape, zeros
from lenet.training.functions import compile_functions
from lenet.training.loop import early_stopping
from lenet.training.watch import watch_training


class HiddenLayer:
    """A fully-connected layer: ``activation(input W + b)``.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Draws the initial weights, uniform in +-sqrt(6 / (n_in + n_out)), four times that for
        sigmoid (X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward
        neural networks", AISTATS 2010, equation 16).
    input : matrix expression
        One example per row, of shape (batch size, n_in).
    n_in, n_out : int
        Numbers of inputs and of hidden units.
    W, b : shared variables, optional
        Weights of shape (n_in, n_out) and biases of shape (n_out,) to use instead of new ones; a
        ValueError refuses other shapes.
    activation : function of an expression, or None
        The non-linearity; None for a linear layer.

    Examples
    --------
    >>> x = T.fmatrix("x")
    >>> layer = HiddenLayer(numpy.random.RandomState(1234), x, n_in=784, n_out=500)
    >>> layer.output.eval({x: numpy.zeros((20, 784), "float32")}).shape
    (20, 500)
    """

    def __init__(self, rng, input, n_in, n_out, W=None, b=None, activation=T.tanh):
        if W is None:
            bound = numpy.sqrt(6.0 / (n_in + n_out))
            values = rng.uniform(low=-bound, high=bound, size=(n_in, n_out))
            if activation == T.nnet.sigmoid:
                values *= 4
            W = theano.shared(numpy.asarray(values, dtype=theano.config.floatX), name="W",
                              borrow=True)
        self.W = W
        self.b = zeros((n_out,), "b") if b is None else b
        check_shape("W", self.W, (n_in, n_out))
        check_shape("b", self.b, (n_out,))
        self.params = [self.W, self.b]

        # (batch size, n_in) times (n_in, n_out), plus a row of biases for each example.
        linear = T.dot(input, self.W) + self.b
        self.output = linear if activation is None else activation(linear)
        self.input, self.activation = input, activation


class MLP(Classifier):
    """A network with one hidden layer and a softmax layer on top.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Draws the initial weights.
    input : matrix expression
        One example per row, of shape (batch size, n_in).
    n_in, n_hidden, n_out : int
        Numbers of inputs, of hidden units and of classes.
    activation : function of an expression
        The hidden layer's non-linearity.

    Attributes
    ----------
    hiddenLayer, logRegressionLayer
        The two layers.
    L1, L2_sqr : scalar expressions
        Sum of the absolute values and of the squares of all weights (not of the biases), which
        a regularized cost keeps small.
    params : list of shared variables
        The parameters of the hidden layer, then those of the softmax layer.
    """

    def __init__(self, rng, input, n_in, n_hidden, n_out, activation=T.tanh):
        check_hidden(n_hidden)
        # (batch size, n_in) -> (batch size, n_hidden)
        self.hiddenLayer = HiddenLayer(rng, input=input, n_in=n_in, n_out=n_hidden,
                                       activation=activation)
        # (batch size, n_hidden) -> (batch size, n_out)
        self.logRegressionLayer = LogisticRegression(input=self.hiddenLayer.output, n_in=n_hidden,
                                                     n_out=n_out)

        weights = [self.hiddenLayer.W, self.logRegressionLayer.W]
        self.L1 = sum(abs(W).sum() for W in weights)
        self.L2_sqr = sum((W ** 2).sum() for W in weights)

        super().__init__(input, self.logRegressionLayer.p_y_given_x)
        self.params = self.hiddenLayer.params + self.logRegressionLayer.params


def check_hidden(n_hidden):
    """Raise a UsageError unless a hidden layer can have so many units."""
    if n_hidden < 1:
        raise UsageError(f"n_hidden {n_hidden}; expected a positive number of hidden units")


def check_factors(**factors):
    """Raise a UsageError unless each factor of a sum over the weights is 0 or positive."""
    for name, factor in factors.items():
        if not (factor >= 0 and math.isfinite(factor)):
            raise UsageError(f"{name} {factor}; expected 0 or a positive number")


def test_mlp(learning_rate=0.01, L1_reg=0.0, L2_reg=0.0001, n_epochs=1000,
             dataset="mnist.pkl.gz", batch_size=20, n_hidden=500, seed=1234, activation=T.tanh,
             training_cost=None, observers=()):
    """Train a multilayer perceptron with early stopping and regularized weights.

    The cost is the negative log-likelihood + L1_reg * L1 + L2_reg * L2_sqr.

    Parameters
    ----------
    learning_rate, n_epochs, dataset, batch_size, observers
        See ``lenet.logistic_sgd.sgd_optimization_mnist``, also for what is returned and raised.
    L1_reg, L2_reg : float
        Factors of the two sums over the weights; 0 leaves a sum out.
    n_hidden, activation
        See ``MLP``.
    seed : int
        Seed of the initial weights and of the noise.
    training_cost : function of (network, y, rng), optional
        Gives what is minimised in the place of the negative log-likelihood: with noise in it
        (``lenet.training.noise``), or weights (``lenet.training.class_weights``).
    """
    check_factors(L1_reg=L1_reg, L2_reg=L2_reg)
    rng = numpy.random.RandomState(seed)

    print("... loading data", flush=True)
    datasets = load_data(dataset)

    print("... building the model", flush=True)
    x = T.matrix("x")  # the images, one rasterized image per row
    y = T.ivector("y")  # the labels
    # An image of 28 x 28 pixels is a row of 784 inputs.
    classifier = MLP(rng, x, n_in=numpy.prod(datasets.image_shape), n_hidden=n_hidden,
                     n_out=len(datasets.class_names), activation=activation)
    cost = classifier.negative_log_likelihood(y)
    if training_cost:
        cost = training_cost(classifier, y, rng)
    if L1_reg:
        cost += L1_reg * classifier.L1
    if L2_reg:
        cost += L2_reg * classifier.L2_sqr

    with watch_training(__file__, classifier, datasets, batch_size, observers) as observers:
        functions = compile_functions(classifier, x, y, cost, datasets, learning_rate, batch_size)
        result = early_stopping(functions, n_epochs, observers=observers)
    return classifier, result


test_mlp.__test__ = False  # the tutorial's name, not a test


if __name__ == "__main__":
    test_mlp()
