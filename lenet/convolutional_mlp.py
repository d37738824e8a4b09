"""LeNet-5 as the deeplearning.net tutorial teaches it.

It simplifies the network of the 1998 paper in these ways: pooling takes the maximum, without
a trainable gain and bias; the second convolution sees all the maps of the first; and the last
layer is a logistic regression instead of radial basis functions. It also takes 28 x 28 pixels
instead of 32 x 32, has 20 and 50 maps and 500 hidden units instead of 6, 16, 120 and 84, and
applies tanh once per layer, after pooling.

References: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to
document recognition", Proceedings of the IEEE 86(11):2278-2324, 1998; the deeplearning.net
tutorial, "Convolutional neural networks (LeNet)".
"""

import lenet  # noqa: F401  (first: Theano starts with its settings)

# isort: split
import numbers

import numpy
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d
from theano.tensor.signal import pool

from lenet.data import image_shape_of, load_data
from lenet.errors import UsageError
from lenet.logistic_sgd import Classifier, LogisticRegression
from lenet.mlp import HiddenLayer, check_factors, check_hidden
from lenet.shared import check_shape, zeros
from lenet.training.channel import run_experiment
from lenet.training.functions import compile_functions
from lenet.training.loop import early_stopping
from lenet.training.watch import watch_training


class LeNetConvPoolLayer:
    """A convolution, then max-pooling, then a non-linearity.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Draws the initial filters, uniform in +-sqrt(6 / (fan_in + fan_out)) (X. Glorot, Y. Bengio,
        "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
        equation 16).
    input : 4-d expression
        Images or feature maps, of shape image_shape.
    filter_shape : tuple of 4 ints
        (number of filters, number of input feature maps, filter height, filter width).
    image_shape : tuple of 4 ints
        (batch size or None, number of input feature maps, image height, image width).
    poolsize : tuple of 2 ints
        (rows, columns) of a pooling window; a border that does not fill one is left out.
    W, b : shared variables, optional
        Filters of shape filter_shape and biases of shape (number of filters,) to use, floatX.
    activation : function of an expression

    Attributes
    ----------
    conv_out, output : 4-d expressions
        The maps before pooling, and the output, of shape (batch size, number of filters) +
        map_size.
    map_size : tuple of 2 ints
        (rows, columns): (image height - filter height + 1) // poolsize[0], and so on.

    Examples
    --------
    >>> images = T.ftensor4("images")
    >>> layer = LeNetConvPoolLayer(numpy.random.RandomState(23455), images,
    ...                            filter_shape=(20, 1, 5, 5), image_shape=(None, 1, 28, 28))
    >>> layer.output.eval({images: numpy.zeros((500, 1, 28, 28), "float32")}).shape
    (500, 20, 12, 12)
    """

    overlap = 0  # rows and columns that neighbouring windows have in common

    def __init__(self, rng, input, filter_shape, image_shape, poolsize=(2, 2), W=None, b=None,
                 activation=T.tanh):
        self.map_size = pooled_size(image_shape[2:], filter_shape[2:], poolsize, self.overlap)
        check_layer(filter_shape, image_shape, poolsize, self.map_size)
        self.input, self.poolsize, self.activation = input, poolsize, activation

        if W is None:
            # Each unit has "input feature maps * filter height * filter width" inputs: in layer 0,
            # 1 * 5 * 5 = 25.
            fan_in = numpy.prod(filter_shape[1:])
            # Each unit of the layer below gets a gradient from "filters * filter height * filter
            # width / window size" units: 20 * 5 * 5 / 4 = 125.
            fan_out = filter_shape[0] * numpy.prod(filter_shape[2:]) // numpy.prod(poolsize)
            W_bound = numpy.sqrt(6.0 / (fan_in + fan_out))
            W = theano.shared(
                numpy.asarray(
                    rng.uniform(low=-W_bound, high=W_bound, size=filter_shape),
                    dtype=theano.config.floatX,
                ),
                name="W",
                borrow=True,
            )
        self.W = W
        # One bias per feature map.
        self.b = zeros((filter_shape[0],), "b") if b is None else b
        check_shape("W", self.W, filter_shape)
        check_shape("b", self.b, filter_shape[:1])
        self.params = [self.W, self.b]

        # (batch size, 1, 28, 28) -> (batch size, 20, 24, 24)
        self.conv_out = conv2d(
            input, self.W, input_shape=tuple(image_shape), filter_shape=tuple(filter_shape)
        )
        # (batch size, 20, 24, 24) -> (batch size, 20, 12, 12)
        pooled_out = self.pool(self.conv_out)
        # The vector of biases becomes a tensor of shape (1, number of filters, 1, 1), which is
        # broadcast over the minibatch and over the rows and columns of each map.
        self.output = activation(pooled_out + self.b.dimshuffle("x", 0, "x", "x"))

    def pool(self, maps):
        """The maximum of each window; ``lenet.pooling`` has other kinds."""
        return pool.pool_2d(maps, self.poolsize, ignore_border=True)


def pooled_size(image_size, filter_size, poolsize, overlap=0):
    """(rows, columns) of the maps after a convolution and pooling."""
    return tuple(
        (image - filter + 1 - overlap) // window
        for image, filter, window in zip(image_size, filter_size, poolsize)
    )


class LeNet5(Classifier):
    """The network of the tutorial: two convolutions, a hidden layer, a logistic regression.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Draws the initial parameters: those of layer 0, then 1, then 2.
    input : matrix expression
        One rasterized image per row, of shape (batch size, channels * height * width).
    image_shape : tuple of 3 ints
        (channels, height, width) of an image.
    nkerns : tuple of 2 ints
        Number of filters of each convolution.
    n_out, n_hidden : int
        Number of classes, and of units of the hidden layer.
    filter_size, poolsize : tuple of 2 ints, or of 2 such tuples
        (rows, columns) of the filters and of the pooling windows of both convolutions, or of each.
    activation : function of an expression
        The non-linearity of layers 0 to 2.
    conv_pool_layer : class
        Of layers 0 and 1: LeNetConvPoolLayer, or one of ``lenet.pooling.POOLINGS``.

    Attributes
    ----------
    layer0, layer1, layer2, layer3
        The layers, from the image to the classes.
    params : list of shared variables
        All parameters, in the tutorial's order: from the last layer to the first.
    L2_sqr : scalar expression
        Sum of the squares of all weights, not of the biases.

    Raises
    ------
    UsageError
        The sizes leave nothing of the images, or another argument cannot work.
    """

    def __init__(self, rng, input, image_shape=(1, 28, 28), nkerns=(20, 50), n_out=10,
                 n_hidden=500, filter_size=(5, 5), poolsize=(2, 2), activation=T.tanh,
                 conv_pool_layer=LeNetConvPoolLayer):
        check_nkerns(nkerns)
        check_hidden(n_hidden)
        filter_sizes = per_layer("filter_size", filter_size)
        poolsizes = per_layer("poolsize", poolsize)

        # The rows of pixels become images again: (batch size, 784) -> (batch size, 1, 28, 28).
        layer0_input = input.reshape((input.shape[0],) + tuple(image_shape))

        # Filtering reduces an image to (28 - 5 + 1, 28 - 5 + 1) = (24, 24),
        # max-pooling reduces this to (24 / 2, 24 / 2) = (12, 12):
        # the output has shape (batch size, nkerns[0], 12, 12).
        self.layer0 = conv_pool_layer(
            rng,
            input=layer0_input,
            image_shape=(None,) + tuple(image_shape),
            filter_shape=(nkerns[0], image_shape[0]) + filter_sizes[0],
            poolsize=poolsizes[0],
            activation=activation,
        )

        # Filtering reduces a map to (12 - 5 + 1, 12 - 5 + 1) = (8, 8),
        # max-pooling reduces this to (8 / 2, 8 / 2) = (4, 4):
        # the output has shape (batch size, nkerns[1], 4, 4).
        self.layer1 = conv_pool_layer(
            rng,
            input=self.layer0.output,
            image_shape=(None, nkerns[0]) + self.layer0.map_size,
            filter_shape=(nkerns[1], nkerns[0]) + filter_sizes[1],
            poolsize=poolsizes[1],
            activation=activation,
        )

        # A fully-connected layer works on vectors: the maps of an image are put in one row,
        # which gives a matrix of shape (batch size, nkerns[1] * 4 * 4) = (batch size, 800).
        self.layer2 = HiddenLayer(
            rng,
            input=self.layer1.output.flatten(2),
            n_in=nkerns[1] * self.layer1.map_size[0] * self.layer1.map_size[1],
            n_out=n_hidden,
            activation=activation,
        )

        # (batch size, 500) -> (batch size, 10)
        self.layer3 = LogisticRegression(input=self.layer2.output, n_in=n_hidden, n_out=n_out)

        super().__init__(input, self.layer3.p_y_given_x)
        layers = [self.layer0, self.layer1, self.layer2, self.layer3]
        self.params = [param for layer in reversed(layers) for param in layer.params]
        self.L2_sqr = sum((layer.W ** 2).sum() for layer in layers)
        self.filter_size, self.poolsize = filter_size, poolsize


def per_layer(name, size):
    """The pairs (rows, columns) of both layers, from one pair for both or from one for each; a
    UsageError if they are not pairs of positive whole numbers."""
    pairs = size if any(isinstance(n, (list, tuple)) for n in size) else (size, size)
    if len(pairs) != 2 or not all(
            isinstance(pair, (list, tuple)) and len(pair) == 2
            and all(isinstance(n, numbers.Integral) and n > 0 for n in pair) for pair in pairs):
        raise UsageError(f"{name} {size}; expected positive whole numbers (rows, columns), or a "
                         "pair of them for each layer")
    return tuple(map(tuple, pairs))


def least_size(filter_size=(5, 5), poolsize=(2, 2), conv_pool_layer=LeNetConvPoolLayer, **others):
    """The fewest pixels a side that LeNet-5 takes; for other sizes of filters and windows, the
    layers check it."""
    if (list(filter_size), list(poolsize)) != ([5, 5], [2, 2]):
        return 1
    # One number is left of 1 * 2 + 4 = 6 below the second layer, and 6 are left of 6 * 2 + 4 = 16.
    below = 2 + conv_pool_layer.overlap + 4
    return 2 * below + conv_pool_layer.overlap + 4


def check_nkerns(nkerns):
    """Raise a UsageError unless there are two positive whole numbers of filters."""
    if len(nkerns) != 2 or not all(isinstance(n, numbers.Integral) and n > 0 for n in nkerns):
        raise UsageError(f"nkerns {' '.join(map(str, nkerns))}; expected two positive whole "
                         "numbers, such as 20 50")


def check_layer(filter_shape, image_shape, poolsize, map_size):
    """Raise a UsageError unless filters and windows fit the images."""
    if image_shape[1] != filter_shape[1]:
        raise UsageError(
            f"filter_shape {tuple(filter_shape)} is for {filter_shape[1]} input feature maps, "
            f"but image_shape {tuple(image_shape)} has {image_shape[1]}"
        )
    if min(map_size) < 1:
        raise UsageError(
            f"image_shape {tuple(image_shape)} is too small for filter_shape "
            f"{tuple(filter_shape)} and poolsize {tuple(poolsize)}; expected smaller ones"
        )


def evaluate_lenet5(learning_rate=0.1, n_epochs=200, dataset="mnist.pkl.gz", nkerns=(20, 50),
                    batch_size=500, seed=23455, L2_reg=0.0, training_cost=None, observers=(),
                    **options):
    """Train LeNet-5 with early stopping, and print the tutorial's lines.

    Parameters
    ----------
    learning_rate, n_epochs, dataset, batch_size, observers
        See ``lenet.logistic_sgd.sgd_optimization_mnist``, also for what is returned and raised.
    seed : int
        Seed of the initial parameters, and of the noise.
    L2_reg : float
        Factor of the sum of the squared weights in the cost; 0 leaves the sum out.
    training_cost : function of (network, y, rng), optional
        Gives what is minimised in the place of the negative log-likelihood: with noise in it
        (``lenet.training.noise``), or weights (``lenet.training.class_weights``).
    nkerns, **options
        See ``LeNet5``.
    """
    check_factors(L2_reg=L2_reg)
    rng = numpy.random.RandomState(seed)

    print("... loading data", flush=True)
    datasets = load_data(dataset)

    print("... building the model", flush=True)
    x = T.matrix("x")  # the images, one rasterized image per row
    y = T.ivector("y")  # the labels
    image_shape = image_shape_of(datasets, least_size(**options))
    model = LeNet5(rng, x, image_shape, nkerns, len(datasets.class_names), **options)

    # The cost that training minimises is the negative log-likelihood of the right classes.
    cost = model.negative_log_likelihood(y)
    if training_cost:
        cost = training_cost(model, y, rng)
    if L2_reg:
        cost += L2_reg * model.L2_sqr

    with watch_training(__file__, model, datasets, batch_size, observers) as observers:
        functions = compile_functions(model, x, y, cost, datasets, learning_rate, batch_size)
        result = early_stopping(functions, n_epochs, observers=observers)
    return model, result


def experiment(state, channel):
    """Hook for a job scheduler: ``state`` holds arguments of ``evaluate_lenet5``, such as
    state.learning_rate and state.dataset; ``channel`` is told how the training goes, and stops it.

    See ``lenet.training.channel.run_experiment``.
    """
    return run_experiment(evaluate_lenet5, state, channel, options=(
        "n_hidden", "filter_size", "poolsize", "activation", "conv_pool_layer"))


if __name__ == "__main__":
    evaluate_lenet5()
