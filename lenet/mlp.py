"""The multilayer perceptron: a hidden layer, then a logistic regression.

Source: the deeplearning.net tutorial, "Multilayer perceptron".
"""

import math

import numpy
import theano
import theano.tensor as T
from theano.sandbox.rng_mrg import MRG_RandomStreams

from lenet.data import load_data
from lenet.errors import UsageError
from lenet.logistic_sgd import Classifier, LogisticRegression, check_shape, zeros
from lenet.training.functions import compile_functions, falling_rate, in_training, velocities
from lenet.training.loop import early_stopping
from lenet.parallel.ranks import own_shards
from lenet.training.watch import watched

ACTIVATIONS = {"tanh": T.tanh, "sigmoid": T.nnet.sigmoid, "relu": T.nnet.relu,
               "softplus": T.nnet.softplus}


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
        W or b does not have the shape that n_in and n_out require.

    Examples
    --------
    >>> x = T.fmatrix("x")
    >>> layer = HiddenLayer(numpy.random.RandomState(1234), x, n_in=784, n_out=500)
    >>> layer.output.eval({x: numpy.zeros((20, 784), "float32")}).shape
    (20, 500)

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
    """A network with one hidden layer and a softmax layer on top.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Draws the initial weights.
    input : matrix expression
        One example per row, of shape (batch size, n_in).
    n_in, n_hidden, n_out : int
        Numbers of inputs, of hidden units and of classes.
    activation : str
        The hidden layer's non-linearity, one of ``ACTIVATIONS``.
    dropout : float
        Fraction of the hidden units left out in training, drawn anew for each minibatch.

    Attributes
    ----------
    hiddenLayer, logRegressionLayer
        The two layers.
    L1, L2_sqr : scalar expressions
        Sum of the absolute values and of the squares of all weights (not of the biases), which
        a regularized cost keeps small.
    params : list of shared variables
        The parameters of the hidden layer, then those of the softmax layer.
    noise, random_states
        What differs in training, for ``lenet.training.functions.in_training``, and the states of
        its random numbers, which training changes.

    Raises
    ------
    UsageError
        There is no such activation, or the dropout is not in [0, 1).
    """

    def __init__(self, rng, input, n_in, n_hidden, n_out, activation="tanh", dropout=0.0):
        check_hidden(n_hidden, activation, dropout)
        # (batch size, n_in) -> (batch size, n_hidden)
        self.hiddenLayer = HiddenLayer(rng, input=input, n_in=n_in, n_out=n_hidden,
                                       activation=ACTIVATIONS[activation])
        # In training, a unit is there with probability 1 - dropout; this is its mean.
        hidden = self.hiddenLayer.output
        if dropout:
            hidden = (1 - dropout) * hidden
        # (batch size, n_hidden) -> (batch size, n_out)
        self.logRegressionLayer = LogisticRegression(input=hidden, n_in=n_hidden, n_out=n_out)

        weights = [self.hiddenLayer.W, self.logRegressionLayer.W]
        self.L1 = sum(abs(W).sum() for W in weights)
        self.L2_sqr = sum((W ** 2).sum() for W in weights)

        super().__init__(self.logRegressionLayer.p_y_given_x)
        self.input = input
        self.params = self.hiddenLayer.params + self.logRegressionLayer.params
        self.n_hidden, self.activation, self.dropout = n_hidden, activation, dropout

        self.noise, self.random_states = [], []
        if dropout:
            streams = random_streams(rng)
            self.noise.append((hidden, dropout_layer(self.hiddenLayer.output, dropout, streams)))
            self.random_states = [update[0] for update in streams.state_updates]


def check_hidden(n_hidden, activation, dropout):
    """Raise a UsageError unless a hidden layer can be made of these."""
    if n_hidden < 1:
        raise UsageError(f"n_hidden {n_hidden}; expected a positive number of hidden units")
    if activation not in ACTIVATIONS:
        raise UsageError(f"activation {activation}; expected one of {', '.join(ACTIVATIONS)}")
    check_dropout(dropout)


def check_dropout(p_dropout):
    """Raise a UsageError unless 0 <= p_dropout < 1."""
    if not 0 <= p_dropout < 1:
        raise UsageError(f"dropout {p_dropout}; expected at least 0 and less than 1, such as 0.5")


def random_streams(rng):
    """Streams of random numbers inside a graph, their seed drawn from ``rng``."""
    return MRG_RandomStreams(int(rng.randint(1, 2 ** 31 - 2 ** 16)))


def dropout_layer(layer, p_dropout, streams=None):
    """Set each number of an expression to zero with probability p_dropout."""
    streams = streams or MRG_RandomStreams()
    mask = streams.binomial(size=layer.shape, n=1, p=1 - p_dropout, dtype=theano.config.floatX)
    return layer * mask


def check_factors(**factors):
    """Raise a UsageError unless each factor of a sum over the weights is 0 or positive."""
    for name, factor in factors.items():
        if not (factor >= 0 and math.isfinite(factor)):
            raise UsageError(f"{name} {factor}; expected 0 or a positive number")


def test_mlp(learning_rate=0.01, L1_reg=0.0, L2_reg=0.0001, n_epochs=1000,
             dataset="mnist.pkl.gz", batch_size=20, n_hidden=500, seed=1234, activation="tanh",
             dropout=0.0, momentum=0.0, learning_rate_decay=1.0, warmup=0, chunk_mb=None, shards=1,
             run=None):
    """Train a multilayer perceptron with early stopping and regularized weights.

    The cost is the negative log-likelihood + L1_reg * L1 + L2_reg * L2_sqr.

    Parameters
    ----------
    learning_rate, n_epochs, dataset, batch_size, chunk_mb, shards, run
        See ``lenet.logistic_sgd.sgd_optimization_mnist``, also for what is returned and raised.
    L1_reg, L2_reg : float
        Factors of the two sums over the weights; 0 leaves a sum out.
    n_hidden : int
        Number of units of the hidden layer.
    seed : int
        Seed of the initial weights and of the dropout.
    activation, dropout
        See ``MLP``.
    momentum, learning_rate_decay : float
        The fraction of each step that is added to the next one, and the factor of the learning
        rate after each epoch.
    warmup : int
        Epochs in which the learning rate rises; see ``lenet.training.functions.falling_rate``.
    """
    check_hidden(n_hidden, activation, dropout)
    check_factors(L1_reg=L1_reg, L2_reg=L2_reg)
    rng = numpy.random.RandomState(seed)

    print("... loading data", flush=True)
    datasets = load_data(dataset, chunk_mb, own_shards(shards, batch_size))

    print("... building the model", flush=True)
    x = T.matrix("x")  # the images, one rasterized image per row
    y = T.ivector("y")  # the labels
    # An image of 28 x 28 pixels is a row of 784 inputs.
    classifier = MLP(rng, x, n_in=numpy.prod(datasets.image_shape), n_hidden=n_hidden,
                     n_out=len(datasets.class_names), activation=activation, dropout=dropout)
    classifier.velocities = velocities(classifier.params, momentum)
    rate, epoch_begins = falling_rate(learning_rate, learning_rate_decay, warmup)
    cost = classifier.negative_log_likelihood(y)
    if L1_reg:
        cost += L1_reg * classifier.L1
    if L2_reg:
        cost += L2_reg * classifier.L2_sqr
    cost = in_training(cost, classifier.noise)

    with watched(classifier, datasets, batch_size, run) as observers:
        functions = compile_functions(classifier, x, y, cost, datasets, rate, batch_size, momentum)
        result = early_stopping(*functions, n_epochs, epoch_begins=epoch_begins,
                                observers=observers)
    return classifier, result


test_mlp.__test__ = False  # the tutorial's name, not a test
