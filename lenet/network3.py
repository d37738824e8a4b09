"""Networks put together from a list of layers, as in ``network3.py`` of the book.

Each layer answers three questions: what are its parameters, what is its output, and what is its
output while training, when dropout leaves units out. The formulas of the layers themselves are
those of the tutorial's LeNetConvPoolLayer, HiddenLayer and LogisticRegression.

Names and arguments are those of the book and of the texts that extend it. Unlike there, ``Network``
draws all parameters from one seed, and hands the layers the streams of random numbers for their
dropout; every example counts in an accuracy; and ``lenet.networks`` keeps a network.

Sources: M. Nielsen, "Neural Networks and Deep Learning", chapter 6 (network3.py); dropout:
N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR
15:1929-1958, 2014.
"""

import lenet  # noqa: F401  (first: Theano starts with its settings)

# isort: split
import itertools
import math
import operator

import numpy
import theano
import theano.tensor as T
from theano.tensor import tanh  # noqa: F401  (an activation, as in the book)
from theano.tensor.nnet import sigmoid

from lenet.convolutional_mlp import LeNetConvPoolLayer, pooled_size
from lenet.data import load_data
from lenet.data.params_pickle import load, save  # noqa: F401  (functions of the texts)
from lenet.data.sets import SharedSet
from lenet.errors import UsageError
from lenet.logistic_sgd import Classifier, LogisticRegression
from lenet.mlp import HiddenLayer, check_factors
from lenet.shared import zeros
from lenet.training.evaluation import compile_error, compile_predictions
from lenet.training.functions import compile_functions
from lenet.training.loop import early_stopping
from lenet.training.noise import MRG_RandomStreams, check_dropout, drop_units, make_streams
from lenet.training.report import NetworkReport
from lenet.training.watch import watch_training

UNUSED_SEEDS = itertools.count()  # for each network of an ensemble another


def linear(z):
    """The activation function z."""
    return z


def ReLU(z):
    """The activation function max(0, z), of rectified linear units."""
    return T.maximum(numpy.asarray(0, dtype=theano.config.floatX), z)


def load_data_shared(filename="mnist.pkl.gz"):
    """The book's name for ``lenet.data.load_data``."""
    return load_data(filename)


class Network(Classifier):
    """A feed-forward network.

    Parameters
    ----------
    layers : list of layers
        From the image to the classes; the last one is a SoftmaxLayer.
    mini_batch_size : int
        Examples per minibatch.
    seed : int, optional
        Seed of the initial parameters, which are drawn layer by layer, and of the dropout masks. By
        default, it is 0 for the first network of a process that has none of its own, then 1, 2, ...
    rng : numpy.random.RandomState, optional
        A generator to draw them from instead.

    Attributes
    ----------
    seed : int or None
        The seed, None with an ``rng``.
    params : list of shared variables
        All parameters, from the first layer to the last.
    x, y : matrix and vector expressions
        The images, one rasterized image per row, and the labels.
    output, output_dropout : matrix expressions
        Probability of each class, of shape (batch size, number of classes); the second one is
        the output while training.

    Raises
    ------
    UsageError
        A layer does not fit the one before, or the size of the minibatches.
    """

    def __init__(self, layers, mini_batch_size, seed=None, rng=None):
        check_layers(layers, mini_batch_size)
        self.layers = layers
        self.mini_batch_size = mini_batch_size
        self.x = T.matrix("x")
        self.y = T.ivector("y")

        self.seed = next(UNUSED_SEEDS) if seed is None and rng is None else seed
        rng = rng or numpy.random.RandomState(self.seed)
        for layer in layers:
            layer.initialize(rng)
        self.params = [param for layer in layers for param in layer.params]

        streams = make_streams(rng)
        inpt = inpt_dropout = self.x
        for layer in layers:
            layer.streams = streams
            layer.set_inpt(inpt, inpt_dropout, mini_batch_size)
            inpt, inpt_dropout = layer.output, layer.output_dropout
        self.output, self.output_dropout = inpt, inpt_dropout
        super().__init__(self.x, self.output)

    def SGD(self, training_data, epochs, mini_batch_size, eta, validation_data, test_data,
            lmbda=0.0, is_load_model_from_file=False, observers=(), datasets=None):
        """Train by stochastic gradient descent on minibatches, and print the book's lines.

        Parameters
        ----------
        training_data, validation_data, test_data : pairs (x, y)
            As ``lenet.data.load_data`` returns them, or a shared variable and an expression.
        epochs : int
            Passes over the training set.
        mini_batch_size : int
            Examples per minibatch; the number that the network was made for.
        eta : float
            Learning rate.
        lmbda : float
            Factor of the L2 regularization: lmbda / 2 times the sum of the squared weights,
            divided by the number of minibatches, is added to the cost.
        is_load_model_from_file : bool
            Print the accuracy on the test set instead of training.
        observers : sequence of lenet.training.loop.Observer
            Objects that are told of each step, such as a ``lenet.runs.run.Run``, which saves it.
        datasets : lenet.data.Datasets, optional
            What the three sets are of, for observers that need the names of the classes.

        Returns
        -------
        lenet.training.loop.Result, or None without training
            The accuracies are 1 - its errors; every example counts.

        Raises
        ------
        UsageError
            An argument is invalid, or the images do not fit the first layer.
        lenet.errors.TrainingError
            The cost is no longer finite.
        """
        if mini_batch_size != self.mini_batch_size:
            raise UsageError(f"mini_batch_size {mini_batch_size}; expected the network's, which is "
                             f"{self.mini_batch_size}")
        check_factors(lmbda=lmbda)
        if datasets is None:
            datasets = [make_set(data) for data in (training_data, validation_data, test_data)]
        for dataset in datasets:
            self.check_images(dataset)
        if is_load_model_from_file:
            print("use the model loaded from file...")
            print(f"The corresponding test accuracy is {self.accuracy(test_data):.2%}")
            return None

        # The regularized cost.
        num_training_batches = size(training_data) // mini_batch_size
        cost = self.layers[-1].cost(self)
        if lmbda:
            l2_norm_squared = sum((layer.w ** 2).sum() for layer in self.layers)
            cost += 0.5 * lmbda * l2_norm_squared / num_training_batches

        # No early stopping: infinite patience. Of two equally good epochs, the later one counts.
        observers = [*observers, NetworkReport("network3.py")]
        with watch_training(__file__, self, datasets, mini_batch_size, observers) as observers:
            functions = compile_functions(self, self.x, self.y, cost, datasets, eta,
                                          mini_batch_size)
            return early_stopping(functions, epochs, patience=math.inf, better=operator.le,
                                  observers=observers)

    def accuracy(self, data):
        """The fraction of all the examples of a set, one pair (x, y), that are classified right."""
        data = make_set(data)
        self.check_images(data)
        return 1 - compile_error(self, self.x, self.y, data, self.mini_batch_size)()

    def check_images(self, data):
        """Raise a UsageError if the images of a set do not fit the first layer."""
        if data.n_pixels != n_elements(self.layers[0].in_shape):
            raise UsageError(f"images of {data.n_pixels} pixels, but the first layer takes "
                             f"{self.layers[0].in_shape}")


class Layer:
    """What the kinds of layers have in common.

    A layer draws its parameters from NumPy's global generator, as in the book; a Network draws them
    again from its own.

    Parameters
    ----------
    in_shape, out_shape : tuples of ints
        Shape of an example before and after the layer.
    w_shape : tuple of ints
        Shape of the weights.
    n_out : int
        Number of biases.
    """

    streams = None  # of random numbers for dropout, which a Network hands to its layers

    def __init__(self, in_shape, out_shape, w_shape, n_out):
        self.in_shape = in_shape
        self.out_shape = out_shape
        self.w, self.b = zeros(w_shape, "w"), zeros((n_out,), "b")
        self.params = [self.w, self.b]
        self.initialize(numpy.random)

    def draw(self, rng, w_scale):
        """Draw normal weights of the given standard deviation, then normal biases of 1."""
        for param, scale in ((self.w, w_scale), (self.b, 1.0)):
            values = rng.normal(loc=0.0, scale=scale, size=param.get_value(borrow=True).shape)
            param.set_value(values.astype(theano.config.floatX))


class ConvPoolLayer(Layer):
    """A convolution, then max-pooling, then a non-linearity; without dropout.

    Parameters
    ----------
    filter_shape : tuple of 4 ints
        (number of filters, number of input feature maps, filter height, filter width).
    image_shape : tuple of 4 ints
        (mini-batch size, number of input feature maps, image height, image width).
    poolsize : tuple of 2 ints
        (rows, columns) of the windows that are pooled.
    activation_fn : function of an expression
        The non-linearity.
    """

    def __init__(self, filter_shape, image_shape, poolsize=(2, 2), activation_fn=sigmoid):
        self.filter_shape = tuple(filter_shape)
        self.image_shape = tuple(image_shape)
        self.poolsize = tuple(poolsize)
        self.activation_fn = activation_fn
        # (28 - 5 + 1) / 2 = 12 rows and columns of each map are left of 28 x 28 pixels.
        maps_size = pooled_size(image_shape[2:], filter_shape[2:], poolsize)
        super().__init__(self.image_shape[1:], (filter_shape[0],) + maps_size, filter_shape,
                         filter_shape[0])

    def initialize(self, rng):
        """Draw the initial parameters."""
        # 20 * (5 * 5) / (2 * 2) = 125 for 20 filters.
        n_out = (self.filter_shape[0] * n_elements(self.filter_shape[2:])
                 // n_elements(self.poolsize))
        self.draw(rng, numpy.sqrt(1.0 / max(1, n_out)))

    def set_inpt(self, inpt, inpt_dropout, mini_batch_size):
        """Build the outputs from those of the layer before, for minibatches of any size."""
        # Rows of pixels become images: (batch size, 784) -> (batch size, 1, 28, 28).
        self.inpt = inpt.reshape((inpt.shape[0],) + self.in_shape)
        self.output = self.apply(self.inpt)
        if inpt_dropout is inpt:
            self.output_dropout = self.output
        else:
            self.output_dropout = self.apply(
                inpt_dropout.reshape((inpt_dropout.shape[0],) + self.in_shape))

    def apply(self, inpt):
        return LeNetConvPoolLayer(
            None, inpt, self.filter_shape, (None,) + self.in_shape, self.poolsize,
            W=self.w, b=self.b, activation=self.activation_fn,
        ).output


class FullyConnectedLayer(Layer):
    """A layer whose units see all of the layer before.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of inputs and of units.
    activation_fn : function of an expression
        The non-linearity.
    p_dropout : float
        Fraction of the inputs left out while training, drawn anew for each minibatch. The output
        multiplies the inputs by 1 - p_dropout, their mean while training.
    """

    def __init__(self, n_in, n_out, activation_fn=sigmoid, p_dropout=0.0):
        check_dropout(p_dropout)
        self.n_in = n_in
        self.n_out = n_out
        self.activation_fn = activation_fn
        self.p_dropout = p_dropout
        super().__init__((n_in,), (n_out,), (n_in, n_out), n_out)

    def initialize(self, rng):
        """Draw the initial parameters."""
        self.draw(rng, numpy.sqrt(1.0 / self.n_out))

    def set_inpt(self, inpt, inpt_dropout, mini_batch_size):
        """Build the outputs from those of the layer before, for minibatches of any size."""
        self.inpt, self.inpt_dropout = drop_inputs(inpt, inpt_dropout, self.p_dropout,
                                                   self.streams)
        self.output = self.apply(self.inpt)
        self.output_dropout = self.apply(self.inpt_dropout)

    def apply(self, inpt):
        return HiddenLayer(None, inpt, self.n_in, self.n_out, W=self.w, b=self.b,
                           activation=self.activation_fn).output


class SoftmaxLayer(Layer):
    """The last layer: the probability of each class.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of inputs and of classes.
    p_dropout : float
        See FullyConnectedLayer.
    """

    def __init__(self, n_in, n_out, p_dropout=0.0):
        check_dropout(p_dropout)
        self.n_in = n_in
        self.n_out = n_out
        self.p_dropout = p_dropout
        super().__init__((n_in,), (n_out,), (n_in, n_out), n_out)

    def initialize(self, rng):
        """All parameters start at zero: nothing is drawn."""

    def set_inpt(self, inpt, inpt_dropout, mini_batch_size):
        """Build the outputs from those of the layer before, for minibatches of any size."""
        self.inpt, self.inpt_dropout = drop_inputs(inpt, inpt_dropout, self.p_dropout,
                                                   self.streams)
        evaluated, trained = (
            LogisticRegression(inpt, self.n_in, self.n_out, W=self.w, b=self.b)
            for inpt in (self.inpt, self.inpt_dropout)
        )
        self.output, self.output_dropout = evaluated.p_y_given_x, trained.p_y_given_x
        self.y_out = evaluated.y_pred
        self.errors = evaluated.errors
        self.negative_log_likelihood = trained.negative_log_likelihood

    def cost(self, net):
        """The mean negative log-likelihood of the network's labels, with dropout."""
        return self.negative_log_likelihood(net.y)

    def accuracy(self, y):
        """The fraction of a minibatch that is classified right, a scalar expression."""
        return 1 - self.errors(y)


def drop_inputs(inpt, inpt_dropout, p_dropout, streams):
    """The inputs of a layer for evaluation, scaled, and for training, with a mask.

    Maps become rows on the way: (batch size, 20, 12, 12) -> (batch size, 2880).
    """
    inpt, inpt_dropout = inpt.flatten(2), inpt_dropout.flatten(2)
    if not p_dropout:
        return inpt, inpt_dropout
    scale = numpy.asarray(1 - p_dropout, dtype=theano.config.floatX)
    return scale * inpt, dropout_layer(inpt_dropout, p_dropout, streams)


def dropout_layer(layer, p_dropout, streams=None):
    """The book's name for ``lenet.training.noise.drop_units``."""
    return drop_units(layer, p_dropout, streams or MRG_RandomStreams())


def conv_network(image_shape, conv_layers=1, p_dropout=0.0, mini_batch_size=10, seed=None,
                 n_out=10):
    """The networks of the tutorial: one or two conv-pool layers, 100 fully connected units.

    Parameters
    ----------
    image_shape : tuple of 3 ints
        (channels, height, width) of an image.
    conv_layers : int
        1, with 20 filters; or 2, with 20 and 40.
    p_dropout : float
        Dropout of the fully connected layer.
    mini_batch_size, seed
        See ``Network``.
    n_out : int
        Number of classes.

    Returns
    -------
    Network
    """
    layers = []
    for n_filters in (20, 40)[:conv_layers]:
        # (1, 28, 28) -> (20, 12, 12), then (20, 12, 12) -> (40, 4, 4).
        layers.append(ConvPoolLayer(filter_shape=(n_filters, image_shape[0], 5, 5),
                                    image_shape=(mini_batch_size,) + tuple(image_shape)))
        image_shape = layers[-1].out_shape
    layers.append(FullyConnectedLayer(n_in=n_elements(image_shape), n_out=100, p_dropout=p_dropout))
    layers.append(SoftmaxLayer(n_in=100, n_out=n_out))
    return Network(layers, mini_batch_size, seed)


def get_error_locations(net, test_data):
    """Where a network is wrong.

    Parameters
    ----------
    net : network
    test_data : pair (x, y)
        As ``lenet.data.load_data`` returns it, of n examples.

    Returns
    -------
    (error_locations, erroneous_predictions) : arrays of shape (number of errors,)
        Indexes into the set, ascending, and the wrong predictions there.
    """
    test_data = make_set(test_data)
    predictions = compile_predictions(net, net.input, test_data, batch_size=500)()
    error_locations = numpy.flatnonzero(predictions != test_data.labels())
    return error_locations, predictions[error_locations]


def plot_errors(error_locations, erroneous_predictions=None, test_data=None, output=None):
    """Show misclassified images, which are square and grey, or write the picture to a file.

    Parameters
    ----------
    error_locations, erroneous_predictions
        As ``get_error_locations`` returns them; the predictions may be left out.
    test_data : pair (x, y)
        The set that the locations are indexes of.
    output : str, optional
        The file, .png, .pdf or .svg.
    """
    from lenet.figures import plots  # Matplotlib takes a while to import

    if erroneous_predictions is None:
        erroneous_predictions = [""] * len(error_locations)
    side = math.isqrt(make_set(test_data).n_pixels)
    plots.finish(plots.plot_errors(error_locations, erroneous_predictions, test_data,
                                   (1, side, side)), output)


def size(data):
    """Number of examples of a set."""
    return make_set(data).n_examples


def make_set(data):
    """A set with the methods of ``lenet.data.sets.SharedSet``, which a pair (x, y) lacks."""
    return data if hasattr(data, "n_examples") else SharedSet(*data)


def n_elements(shape):
    """Number of elements of an array of that shape."""
    return int(numpy.prod(shape))


def check_layers(layers, mini_batch_size):
    """Raise a UsageError if a layer does not fit its neighbours or the minibatches."""
    if not layers or not isinstance(layers[-1], SoftmaxLayer):
        last = type(layers[-1]).__name__ if layers else "none"
        raise UsageError(f"the layers end with {last}; expected a SoftmaxLayer, which has a cost")
    for layer in layers:
        if isinstance(layer, ConvPoolLayer) and layer.image_shape[0] not in (None, mini_batch_size):
            raise UsageError(f"image_shape {layer.image_shape} is for minibatches of "
                             f"{layer.image_shape[0]}, but mini_batch_size is {mini_batch_size}")
    for number, (before, layer) in enumerate(zip(layers, layers[1:]), start=1):
        # A convolution needs the maps as they are; the other layers put them in one row.
        if isinstance(layer, ConvPoolLayer):
            fits = before.out_shape == layer.in_shape
        else:
            fits = n_elements(before.out_shape) == layer.n_in
        if not fits:
            raise UsageError(f"layer {number} takes examples of shape {layer.in_shape}, but layer "
                             f"{number - 1} gives {before.out_shape}")
