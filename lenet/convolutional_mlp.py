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

import numbers

import numpy
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d

from lenet.data import image_shape_of, load_data
from lenet.errors import UsageError
from lenet.logistic_sgd import Classifier, LogisticRegression, check_shape, zeros
from lenet.mlp import (
    ACTIVATIONS,
    HiddenLayer,
    check_factors,
    check_hidden,
    dropout_layer,
    random_streams,
)
from lenet.pooling import OVERLAPPING, POOLINGS, stochastic_pool
from lenet.training.channel import run_experiment
from lenet.training.functions import compile_functions, falling_rate, in_training, velocities
from lenet.training.loop import early_stopping
from lenet.parallel.ranks import own_shards
from lenet.training.watch import watched


class LeNetConvPoolLayer:
    """A convolution, then pooling, then a non-linearity.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Draws the initial filters.
    input : 4-d expression
        Images or feature maps, of shape image_shape.
    filter_shape : tuple of 4 ints
        (number of filters, number of input feature maps, filter height, filter width).
    image_shape : tuple of 4 ints
        (batch size, number of input feature maps, image height, image width); the batch size may
        be None if it is not known.
    poolsize : tuple of 2 ints
        (rows, columns) from one window that is pooled to the next; a border that does not fill a
        window is left out.
    W, b : shared variables, optional
        Filters of shape filter_shape and biases of shape (number of filters,) to use instead of
        new ones, floatX.
    activation : function of an expression
        The non-linearity.
    pooling : str
        How windows are pooled, one of ``lenet.pooling.POOLINGS``. Stochastic pooling comes after
        the non-linearity, as in its paper: it takes maps without negative numbers.

    Attributes
    ----------
    output : 4-d expression
        Feature maps of shape (batch size, number of filters) + map_size.
    map_size : tuple of 2 ints
        (rows, columns) of a map: by default (image height - filter height + 1) // poolsize[0] and
        (image width - filter width + 1) // poolsize[1].
    maps : 4-d expression
        What is pooled.

    Raises
    ------
    UsageError
        The shapes do not fit each other, or there is no such pooling.

    Examples
    --------
    >>> images = T.ftensor4("images")
    >>> layer = LeNetConvPoolLayer(numpy.random.RandomState(23455), images,
    ...                            filter_shape=(20, 1, 5, 5), image_shape=(None, 1, 28, 28))
    >>> layer.output.eval({images: numpy.zeros((500, 1, 28, 28), "float32")}).shape
    (500, 20, 12, 12)

    Notes
    -----
    The initial filters are uniform in +-sqrt(6 / (fan_in + fan_out)) (X. Glorot, Y. Bengio,
    "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
    equation 16).
    """

    def __init__(self, rng, input, filter_shape, image_shape, poolsize=(2, 2), W=None, b=None,
                 activation=T.tanh, pooling="max"):
        if pooling not in POOLINGS:
            raise UsageError(f"pooling {pooling}; expected one of {', '.join(POOLINGS)}")
        if image_shape[1] != filter_shape[1]:
            raise UsageError(
                f"filter_shape {tuple(filter_shape)} is for {filter_shape[1]} input feature maps, "
                f"but image_shape {tuple(image_shape)} has {image_shape[1]}"
            )
        self.map_size = pooled_size(image_shape[2:], filter_shape[2:], poolsize, pooling)
        if min(self.map_size) < 1:
            raise UsageError(
                f"image_shape {tuple(image_shape)} is too small for filter_shape "
                f"{tuple(filter_shape)} and poolsize {tuple(poolsize)}; expected smaller ones"
            )
        self.input = input

        if W is None:
            # Each hidden unit has
            # "number of input feature maps * filter height * filter width" inputs.
            fan_in = int(numpy.prod(filter_shape[1:]))
            # Each unit of the layer below gets a gradient from "number of filters *
            # filter height * filter width" / "size of a pooling window" units, rounded down as by
            # the tutorial's Python 2.
            fan_out = (filter_shape[0] * int(numpy.prod(filter_shape[2:]))
                       // int(numpy.prod(poolsize)))
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

        self.maps = conv2d(
            input, self.W, input_shape=tuple(image_shape), filter_shape=tuple(filter_shape)
        )
        # The vector of biases becomes a tensor of shape (1, number of filters, 1, 1), which is
        # broadcast over the minibatch and over the rows and columns of each map.
        bias = self.b.dimshuffle("x", 0, "x", "x")
        if pooling == "stochastic":
            self.maps = activation(self.maps + bias)
            self.output = POOLINGS[pooling](self.maps, poolsize)
        elif pooling == "deformation":
            # Without a penalty it begins as the maximum.
            self.c = zeros((4,), "c")
            self.params.append(self.c)
            self.output = activation(POOLINGS[pooling](self.maps, poolsize, self.c) + bias)
        else:
            self.output = activation(POOLINGS[pooling](self.maps, poolsize) + bias)


def pooled_size(image_size, filter_size, poolsize, pooling="max"):
    """(rows, columns) of the maps after a convolution and pooling."""
    overlap = pooling in OVERLAPPING
    return tuple(
        (image - filter + 1 - overlap) // window
        for image, filter, window in zip(image_size, filter_size, poolsize)
    )


class LeNet5(Classifier):
    """The network of the tutorial: two convolutions, a hidden layer, a logistic regression.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Draws the initial parameters: those of layer 0, then 1, then 2; then, where training needs
        random numbers, their seed.
    input : matrix expression
        One rasterized image per row, of shape (batch size, channels * height * width).
    image_shape : tuple of 3 ints
        (channels, height, width) of an image.
    nkerns : tuple of 2 ints
        Number of filters of each convolution.
    n_out : int
        Number of classes.
    n_hidden : int
        Number of units of the hidden layer.
    filter_size, poolsize : tuple of 2 ints, or of 2 such tuples
        (rows, columns) of the filters and of the pooling windows of both convolutions, or of each.
    activation : str
        The non-linearity of layers 0 to 2, one of ``lenet.mlp.ACTIVATIONS``.
    pooling : str
        One of ``lenet.pooling.POOLINGS``. Stochastic pooling draws in training, and takes an
        activation other than tanh.
    dropout : float
        Fraction of the hidden units left out in training, drawn anew for each minibatch.

    Attributes
    ----------
    layer0, layer1, layer2, layer3
        The layers, from the image to the classes.
    params : list of shared variables
        All parameters, in the tutorial's order: from the last layer to the first.
    L2_sqr : scalar expression
        Sum of the squares of all weights, not of the biases.
    noise, random_states
        What differs in training, for ``lenet.training.functions.in_training``, and the states of
        its random numbers, which training changes.

    Raises
    ------
    UsageError
        The sizes leave nothing of the images, or another argument cannot work.
    """

    def __init__(self, rng, input, image_shape=(1, 28, 28), nkerns=(20, 50), n_out=10,
                 n_hidden=500, filter_size=(5, 5), poolsize=(2, 2), activation="tanh",
                 pooling="max", dropout=0.0):
        check_hidden(n_hidden, activation, dropout)
        if (pooling, activation) == ("stochastic", "tanh"):
            raise UsageError("pooling stochastic needs maps without negative numbers; expected the "
                             "activation relu, sigmoid or softplus instead of tanh")
        channels, height, width = image_shape
        filter_sizes = per_layer("filter_size", filter_size)
        poolsizes = per_layer("poolsize", poolsize)
        self.input = input

        # The rows of pixels become images again: (batch size, 784) -> (batch size, 1, 28, 28).
        layer0_input = input.reshape((input.shape[0], channels, height, width))

        # Filtering reduces an image to (28 - 5 + 1, 28 - 5 + 1) = (24, 24),
        # max-pooling reduces this to (24 / 2, 24 / 2) = (12, 12):
        # the output has shape (batch size, nkerns[0], 12, 12).
        self.layer0 = LeNetConvPoolLayer(
            rng,
            input=layer0_input,
            image_shape=(None, channels, height, width),
            filter_shape=(nkerns[0], channels) + filter_sizes[0],
            poolsize=poolsizes[0],
            activation=ACTIVATIONS[activation],
            pooling=pooling,
        )

        # Filtering reduces a map to (12 - 5 + 1, 12 - 5 + 1) = (8, 8),
        # max-pooling reduces this to (8 / 2, 8 / 2) = (4, 4):
        # the output has shape (batch size, nkerns[1], 4, 4).
        self.layer1 = LeNetConvPoolLayer(
            rng,
            input=self.layer0.output,
            image_shape=(None, nkerns[0]) + self.layer0.map_size,
            filter_shape=(nkerns[1], nkerns[0]) + filter_sizes[1],
            poolsize=poolsizes[1],
            activation=ACTIVATIONS[activation],
            pooling=pooling,
        )

        # A fully-connected layer works on vectors: the maps of an image are put in one row,
        # which gives a matrix of shape (batch size, nkerns[1] * 4 * 4) = (batch size, 800).
        self.layer2 = HiddenLayer(
            rng,
            input=self.layer1.output.flatten(2),
            n_in=nkerns[1] * self.layer1.map_size[0] * self.layer1.map_size[1],
            n_out=n_hidden,
            activation=ACTIVATIONS[activation],
        )

        # In training, a unit is there with probability 1 - dropout; this is its mean.
        hidden = self.layer2.output
        if dropout:
            hidden = (1 - dropout) * hidden
        self.layer3 = LogisticRegression(input=hidden, n_in=n_hidden, n_out=n_out)

        super().__init__(self.layer3.p_y_given_x)
        self.params = (
            self.layer3.params + self.layer2.params + self.layer1.params + self.layer0.params
        )
        layers = (self.layer0, self.layer1, self.layer2, self.layer3)
        self.L2_sqr = sum((layer.W ** 2).sum() for layer in layers)
        self.nkerns, self.n_hidden = nkerns, n_hidden
        self.filter_size, self.poolsize = filter_size, poolsize
        self.activation, self.pooling, self.dropout = activation, pooling, dropout

        # In training, stochastic pooling draws from each window, and dropout leaves units out.
        self.noise, self.random_states = [], []
        if pooling == "stochastic" or dropout:
            streams = random_streams(rng)
            if pooling == "stochastic":
                for layer, n, poolsize in zip(layers, nkerns, poolsizes):
                    # One number for each window, of all maps of all images.
                    uniform = streams.uniform((input.shape[0], n) + layer.map_size,
                                              dtype=theano.config.floatX)
                    self.noise.append((layer.output,
                                       stochastic_pool(layer.maps, uniform, poolsize)))
            if dropout:
                self.noise.append((hidden, dropout_layer(self.layer2.output, dropout, streams)))
            self.random_states = [update[0] for update in streams.state_updates]


def per_layer(name, size):
    """The pairs (rows, columns) of both layers, from one pair for both or from one for each.

    Raises
    ------
    UsageError
        They are not pairs of positive whole numbers.
    """
    pairs = size if any(isinstance(n, (list, tuple)) for n in size) else (size, size)
    if len(pairs) != 2 or not all(
            isinstance(pair, (list, tuple)) and len(pair) == 2
            and all(isinstance(n, numbers.Integral) and n > 0 for n in pair) for pair in pairs):
        raise UsageError(f"{name} {size}; expected positive whole numbers (rows, columns), or a "
                         "pair of them for each layer")
    return tuple(map(tuple, pairs))


def check_nkerns(nkerns):
    """Raise a UsageError unless there are two positive whole numbers of filters."""
    if len(nkerns) != 2 or not all(isinstance(n, numbers.Integral) and n > 0 for n in nkerns):
        raise UsageError(f"nkerns {' '.join(map(str, nkerns))}; expected two positive whole "
                         "numbers, such as 20 50")


def evaluate_lenet5(learning_rate=0.1, n_epochs=200, dataset="mnist.pkl.gz", nkerns=(20, 50),
                    batch_size=500, seed=23455, filter_size=(5, 5), poolsize=(2, 2), n_hidden=500,
                    activation="tanh", pooling="max", dropout=0.0, L2_reg=0.0, momentum=0.0,
                    learning_rate_decay=1.0, warmup=0, chunk_mb=None, shards=1, run=None,
                    begin_with=None):
    """Train LeNet-5 with early stopping, and print the tutorial's lines.

    Parameters
    ----------
    learning_rate, n_epochs, dataset, batch_size, chunk_mb, shards, run
        See ``lenet.logistic_sgd.sgd_optimization_mnist``, also for what is returned and raised.
    nkerns : sequence of 2 ints
        Number of filters of each convolution.
    seed : int
        Seed of the initial parameters, and of dropout and stochastic pooling.
    filter_size, poolsize, n_hidden, activation, pooling, dropout
        See ``LeNet5``.
    L2_reg : float
        Factor of the sum of the squared weights in the cost; 0 leaves the sum out.
    momentum, learning_rate_decay : float
        The fraction of each step that is added to the next one, and the factor of the learning
        rate after each epoch.
    warmup : int
        Epochs in which the learning rate rises; see ``lenet.training.functions.falling_rate``.
    begin_with : function of the network and its image_shape, optional
        May set the first parameters, and leave in ``params`` only those to train; see
        ``lenet.networks.transfer``.
    """
    check_nkerns(nkerns)
    check_hidden(n_hidden, activation, dropout)
    check_factors(L2_reg=L2_reg)
    rng = numpy.random.RandomState(seed)

    print("... loading data", flush=True)
    datasets = load_data(dataset, chunk_mb, own_shards(shards, batch_size))

    print("... building the model", flush=True)
    x = T.matrix("x")  # the images, one rasterized image per row
    y = T.ivector("y")  # the labels
    # 16 pixels are the least for the tutorial's sizes: ((16 - 4) / 2 - 4) / 2 = 1.
    least = 16 if (list(filter_size), list(poolsize)) == ([5, 5], [2, 2]) else 1
    image_shape = image_shape_of(datasets, least)
    model = LeNet5(rng, x, image_shape, nkerns, len(datasets.class_names), n_hidden, filter_size,
                   poolsize, activation, pooling, dropout)
    if begin_with is not None:
        begin_with(model, image_shape)
    model.velocities = velocities(model.params, momentum)
    rate, epoch_begins = falling_rate(learning_rate, learning_rate_decay, warmup)

    # The cost that training minimises is the negative log-likelihood of the right classes.
    cost = model.negative_log_likelihood(y)
    if L2_reg:
        cost += L2_reg * model.L2_sqr
    cost = in_training(cost, model.noise)

    # The training itself; ``watched`` prints the tutorial's lines, saves the run, stops on Ctrl-C.
    with watched(model, datasets, batch_size, run) as observers:
        functions = compile_functions(model, x, y, cost, datasets, rate, batch_size, momentum)
        result = early_stopping(*functions, n_epochs, epoch_begins=epoch_begins,
                                observers=observers)
    return model, result


def experiment(state, channel):
    """Hook for a job scheduler: ``state`` holds arguments of ``evaluate_lenet5``, such as
    state.learning_rate and state.dataset; ``channel`` is told how the training goes, and stops it.

    See ``lenet.training.channel.run_experiment``.
    """
    return run_experiment(evaluate_lenet5, state, channel)
