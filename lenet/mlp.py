"""The multilayer perceptron: a hidden layer, then a logistic regression.

Source: the deeplearning.net tutorial, "Multilayer perceptron".
"""

import math

import numpy
import theano
import theano.tensor as T

from lenet.data import load_data
from lenet.errors import UsageError
from lenet.logistic_sgd import Classifier, LogisticRegression, check_shape, zeros
from lenet.training.functions import compile_functions
from lenet.training.loop import early_stopping
from lenet.training.watch import watched


class HiddenLayer:
    """A fully-connected layer: ``activation(input W + b)``.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Draws the initial weights.
    input : matrix expression
        One example per row, of shape (batch size, n_in).
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
            values = rng.uniform(low=-bound, high=bound, size=(n_in, n_out))
            if activation == T.nnet.sigmoid:
                values *= 4
            W = theano.shared(numpy.asarray(values, dtype=theano.config.floatX), name="W",
                              borrow=True)
        self.W = W
        self.b = zeros((n_out,), "b") if b is None else b
        check_shape("W", self.W, (n_in, n_out))
        check_shape("b", self.b, (n_out,))

        linear = T.dot(input, self.W) + self.b
        self.output = linear if activation is None else activation(linear)

        self.input = input
        self.params = [self.W, self.b]


class MLP(Classifier):
    """A network with one hidden layer of tanh units and a softmax layer on top.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Draws the initial weights.
    input : matrix expression
        One example per row, of shape (batch size, n_in).
    n_in, n_hidden, n_out : int
        Numbers of inputs, of hidden units and of classes.

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

    def __init__(self, rng, input, n_in, n_hidden, n_out):
        # (batch size, n_in) -> (batch size, n_hidden)
        self.hiddenLayer = HiddenLayer(rng, input=input, n_in=n_in, n_out=n_hidden,
                                       activation=T.tanh)
        # (batch size, n_hidden) -> (batch size, n_out)
        self.logRegressionLayer = LogisticRegression(input=self.hiddenLayer.output,
                                                     n_in=n_hidden, n_out=n_out)

        weights = [self.hiddenLayer.W, self.logRegressionLayer.W]
        self.L1 = sum(abs(W).sum() for W in weights)
        self.L2_sqr = sum((W ** 2).sum() for W in weights)

        super().__init__(self.logRegressionLayer.p_y_given_x)
        self.input = input
        self.params = self.hiddenLayer.params + self.logRegressionLayer.params
        self.n_hidden = n_hidden


def test_mlp(learning_rate=0.01, L1_reg=0.0, L2_reg=0.0001, n_epochs=1000,
             dataset="mnist.pkl.gz", batch_size=20, n_hidden=500, seed=1234, chunk_mb=None,
             run=None):
    """Train a multilayer perceptron with early stopping and regularized weights.

    The cost is the negative log-likelihood + L1_reg * L1 + L2_reg * L2_sqr.

    Parameters
    ----------
    learning_rate : float
        Factor of the gradient in each step.
    L1_reg, L2_reg : float
        Factors of the two sums over the weights; 0 leaves a sum out.
    n_epochs : int
        Maximal number of passes over the training set.
    dataset, chunk_mb
        See ``lenet.data.load_data``.
    batch_size : int
        Examples per minibatch.
    n_hidden : int
        Number of units of the hidden layer.
    seed : int
        Seed of the initial weights.
    run : lenet.saved.run.Run, optional
        Keeps the training in a folder.

    Returns
    -------
    (MLP, lenet.training.loop.Result)
        The network after the last minibatch, and what the training reached.

    Raises
    ------
    lenet.errors.UsageError, lenet.errors.DataError, lenet.errors.TrainingError
        An argument cannot work; the dataset cannot be read; the cost is no longer finite.
    """
    if n_hidden < 1:
        raise UsageError(f"n_hidden {n_hidden}; expected a positive number of hidden units")
    for name, factor in (("L1_reg", L1_reg), ("L2_reg", L2_reg)):
        if not (factor >= 0 and math.isfinite(factor)):
            raise UsageError(f"{name} {factor}; expected 0 or a positive number")
    rng = numpy.random.RandomState(seed)

    print("... loading data", flush=True)
    datasets = load_data(dataset, chunk_mb)

    print("... building the model", flush=True)
    x = T.matrix("x")  # the images, one rasterized image per row
    y = T.ivector("y")  # the labels
    # An image of 28 x 28 pixels is a row of 784 inputs.
    classifier = MLP(rng, x, n_in=numpy.prod(datasets.image_shape), n_hidden=n_hidden,
                     n_out=len(datasets.class_names))
    cost = classifier.negative_log_likelihood(y)
    if L1_reg:
        cost += L1_reg * classifier.L1
    if L2_reg:
        cost += L2_reg * classifier.L2_sqr

    with watched(classifier, datasets, batch_size, run) as observers:
        functions = compile_functions(classifier, x, y, cost, datasets, learning_rate, batch_size)
        result = early_stopping(*functions, n_epochs, observers=observers)
    return classifier, result


test_mlp.__test__ = False  # the tutorial's name, but no test for pytest to collect
