"""LeNet-5 as in the paper of 1998, with each simplification of the tutorials as an argument.

    input  32 x 32      C1  6 maps 28 x 28    S2  6 maps 14 x 14    C3  16 maps 10 x 10
    S4  16 maps 5 x 5   C5  120 maps 1 x 1    F6  84 units          output  10 classes

The network is the paper's, the training is not. The paper steps after each of all 60,000 images,
with a separate rate for each weight (a stochastic diagonal Levenberg-Marquardt method, appendix C).
Here it is plain gradient descent on minibatches of 10 of 50,000 images, with a rate that falls
along a cosine; the validation error chooses the network, and j of equation 9 is 1.

Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86(11):2278-2324, 1998, sections II.B, II.C and III.A,
appendix A.
"""

import lenet  # noqa: F401  (first: Theano starts with its settings)

# isort: split
import math

import numpy
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d
from theano.tensor.signal import pool

from lenet.convolutional_mlp import per_layer, pooled_size
from lenet.data import image_shape_of, load_data
from lenet.errors import DataError, UsageError
from lenet.logistic_sgd import Classifier, LogisticRegression
from lenet.mlp import HiddenLayer
from lenet.shared import zeros
from lenet.training.functions import compile_functions
from lenet.training.loop import early_stopping
from lenet.training.updates import RateByEpoch, check_learning_rate
from lenet.training.watch import watch_training

# The values of a pixel without ink and of one full of it; they make the mean of the inputs about
# 0 and their variance about 1 (section II.B).
BACKGROUND, INK = -0.1, 1.175

# Table I: the maps of S2 that each of the 16 maps of C3 sees. The first six see three neighbours,
# the next six four, the next three four with a gap, the last one all.
TABLE_I = (
    [[i, (i + 1) % 6, (i + 2) % 6] for i in range(6)]
    + [[i, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6] for i in range(6)]
    + [[0, 1, 3, 4], [1, 2, 4, 5], [0, 2, 3, 5]]
    + [[0, 1, 2, 3, 4, 5]]
)

# What the 84 units of F6 should say for each digit: a picture of 7 x 12 pixels (figure 3 shows
# the paper's own).
BITMAPS = """
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
..###..  ...##..  .#####.  .#####.  .....#.  #######  ..####.  #######  .#####.  .#####.
.##.##.  ..###..  ##...##  ##...##  ....##.  ##.....  .##....  ##...##  ##...##  ##...##
##...##  .####..  .....##  .....##  ...###.  ##.....  ##.....  .....##  ##...##  ##...##
##...##  ...##..  .....##  .....##  ..####.  ##.....  ##.....  ....##.  ##...##  ##...##
##...##  ...##..  ....##.  ..####.  .##.##.  ######.  ######.  ....##.  .#####.  .######
##...##  ...##..  ...##..  .....##  ##..##.  .....##  ##...##  ...##..  ##...##  .....##
##...##  ...##..  ..##...  .....##  #######  .....##  ##...##  ...##..  ##...##  .....##
##...##  ...##..  .##....  .....##  ....##.  .....##  ##...##  ..##...  ##...##  .....##
.##.##.  ...##..  ##.....  ##...##  ....##.  ##...##  ##...##  ..##...  ##...##  ....##.
..###..  .######  #######  .#####.  ....##.  .#####.  .#####.  ..##...  .#####.  .####..
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
"""

# What can be chosen, the paper's way first.
CHOICES = {"connections": ("table", "full"), "pooling": ("mean", "max"), "head": ("rbf", "softmax"),
           "loss": ("discriminative", "distance")}

# From the paper's network towards the tutorials', one of its choices less in each.
STEPS = (
    ("the paper of 1998", {}),
    ("C3 sees all maps", {"connections": "full"}),
    ("pooling by maximum", {"connections": "full", "pooling": "max"}),
    ("softmax output", {"connections": "full", "pooling": "max", "head": "softmax"}),
)


def squash(a):
    """The paper's activation function, A tanh(S a) with A = 1.7159 and S = 2/3 (equation 6).

    It sends 1 to 1 and -1 to -1, where it bends most (appendix A).
    """
    return T.cast(1.7159, a.dtype) * T.tanh(T.cast(2.0 / 3.0, a.dtype) * a)


def paper_bound(fan_in):
    """The initial weights of a unit with fan_in inputs are uniform in +- this (appendix A)."""
    return 2.4 / fan_in


def wide_bound(fan_in):
    """A wider bound, for the head softmax: the deviation is 1 / sqrt(fan_in), so that signals keep
    their size.

    The pictures that radial basis functions ask for pull the smallest signals up. A softmax that
    starts at zero does not, and would learn nothing for thousands of minibatches.

    Y. LeCun, L. Bottou, G. Orr, K. Mueller, "Efficient BackProp", 1998, equation 16.
    """
    return numpy.sqrt(3.0 / fan_in)


def draw_weights(rng, shape, bound):
    """Initial weights, uniform in +-bound."""
    return numpy.asarray(rng.uniform(low=-bound, high=bound, size=shape),
                         dtype=theano.config.floatX)


def bitmaps():
    """The ten pictures as targets of F6: floatX of shape (10, 84), +1 for ink and -1 for none."""
    rows = [line.split() for line in BITMAPS.split("\n") if line]
    pictures = [[1 if mark == "#" else -1 for row in rows for mark in row[digit]]
                for digit in range(10)]
    return numpy.array(pictures, dtype=theano.config.floatX)


def frame_images(input, image_shape):
    """Images as the network takes them: centred in 32 x 32 pixels, from -0.1 to 1.175, an
    expression of shape (batch size, 1, 32, 32).

    Parameters
    ----------
    input : matrix expression
        One rasterized image a row, from 0 (no ink) to 1, of shape (batch size, height * width).
    image_shape : tuple of 3 ints
        (1, height, width) of an image.
    """
    channels, height, width = image_shape
    top, left = (32 - height) // 2, (32 - width) // 2
    background, ink = (T.cast(value, theano.config.floatX) for value in (BACKGROUND, INK))
    frame = T.alloc(background, input.shape[0], channels, 32, 32)
    # 28 x 28 pixels lie in rows and columns 2 ... 29 of 32.
    return T.set_subtensor(
        frame[:, :, top:top + height, left:left + width],
        input.reshape((input.shape[0], channels, height, width)) * (ink - background) + background,
    )


class ConvolutionLayer:
    """Maps that see some or all of the maps below, then the squashing function.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Draws the initial filters.
    input : 4-d expression
        Of shape image_shape.
    filter_shape : tuple of 4 ints
        (number of filters, number of input maps, filter height, filter width).
    image_shape : tuple of 4 ints
        (batch size or None, number of input maps, height, width).
    connections : list of lists of ints, optional
        The input maps that each filter sees; all of them by default.
    bound : function of a number of inputs
        The initial weights of a filter with so many inputs are uniform in +- its value.

    Attributes
    ----------
    output : 4-d expression
        Of shape (batch size, number of filters, height - filter height + 1,
        width - filter width + 1).

    Raises
    ------
    ValueError
        connections is not a list of maps that there are, at least one, for each filter.
    """

    def __init__(self, rng, input, filter_shape, image_shape, connections=None,
                 bound=paper_bound):
        n_filters, n_maps, filter_height, filter_width = filter_shape
        seen = numpy.ones((n_filters, n_maps), dtype=bool)
        if connections is not None:
            if len(connections) != n_filters:
                raise ValueError(f"connections for {len(connections)} filters, but filter_shape is "
                                 f"{filter_shape}")
            for maps in connections:
                if not maps or not set(maps) <= set(range(n_maps)):
                    raise ValueError(f"connections {maps} of a filter; expected some of 0 to "
                                     f"{n_maps - 1}")
            seen = numpy.array([[m in maps for m in range(n_maps)] for maps in connections])
        mask = numpy.broadcast_to(seen[:, :, None, None], filter_shape)

        # Each unit has "number of maps that its filter sees * filter height * filter width" inputs.
        fan_in = seen.sum(axis=1).reshape(n_filters, 1, 1, 1) * filter_height * filter_width
        self.W = theano.shared(draw_weights(rng, filter_shape, bound(fan_in)) * mask, name="W")
        self.b = zeros((n_filters,), "b")
        self.params = [self.W, self.b]

        # The mask is part of the graph, so weights on maps that are not seen stay zero in training.
        filters = self.W
        if not seen.all():
            filters = self.W * T.constant(mask.astype(theano.config.floatX))
        conv_out = conv2d(input, filters, input_shape=image_shape, filter_shape=filter_shape)
        self.output = squash(conv_out + self.b.dimshuffle("x", 0, "x", "x"))


class SubsamplingLayer:
    """Sums of 2 x 2 units, times a coefficient, plus a bias, then the squashing function.

    Each map has one coefficient and one bias, both trainable. The coefficients start at 1/4: the
    layer begins by taking means.

    Parameters
    ----------
    input : 4-d expression
        Of shape (batch size, n_maps, height, width).
    n_maps : int
        Number of maps.

    Attributes
    ----------
    output : 4-d expression
        Of shape (batch size, n_maps, height // 2, width // 2).
    """

    def __init__(self, input, n_maps):
        self.coefficient = theano.shared(
            numpy.full((n_maps,), 0.25, dtype=theano.config.floatX), name="coefficient"
        )
        self.b = zeros((n_maps,), "b")
        self.params = [self.coefficient, self.b]

        sums = pool.pool_2d(input, (2, 2), ignore_border=True, mode="sum")
        self.output = squash(sums * self.coefficient.dimshuffle("x", 0, "x", "x")
                             + self.b.dimshuffle("x", 0, "x", "x"))


class MaxPoolingLayer:
    """The tutorials' pooling: the largest of 2 x 2 units, without parameters."""

    def __init__(self, input):
        self.params = []
        self.output = pool.pool_2d(input, (2, 2), ignore_border=True, mode="max")


class RBFLayer(Classifier):
    """Euclidean radial basis functions: the squared distance to the picture of each digit.

        y_i = sum_j (x_j - w_ij)^2    (equation 7)

    The pictures w_i are fixed, so the layer has no trainable parameters.

    Parameters
    ----------
    input : matrix expression
        Of shape (batch size, 84).
    centres : array
        The pictures, of shape (number of classes, 84).

    Attributes
    ----------
    output : matrix expression
        The distances, of shape (batch size, number of classes).
    p_y_given_x : matrix expression
        Softmax of minus the distances.
    y_pred : vector expression
        The nearest class of each example.
    """

    def __init__(self, input, centres):
        self.params = []
        # (x - w)^2 = x^2 - 2 x w + w^2 summed over 84 units: a product of matrices is faster than
        # the differences, of shape (batch size, number of classes, 84).
        centres = numpy.asarray(centres, dtype=theano.config.floatX)
        self.output = ((input ** 2).sum(axis=1).dimshuffle(0, "x")
                       - T.dot(input, T.constant(2 * centres.T))
                       + T.constant((centres ** 2).sum(axis=1)))
        # The discriminative loss is the negative logarithm of this, but for its rubbish class. The
        # sum of the squares themselves rounds less: no large numbers cancel.
        distances = ((input.dimshuffle(0, "x", 1) - T.constant(centres)) ** 2).sum(axis=2)
        super().__init__(input, T.nnet.softmax(-distances), y_pred=T.argmin(self.output, axis=1))

    def distance(self, y):
        """The mean distance to the picture of the right class (equation 8), a scalar."""
        return T.mean(self.output[T.arange(y.shape[0]), y])

    def discriminative(self, y, j=1.0):
        """The loss that also pushes the wrong classes away (equation 9), a scalar.

        j is the distance from which on a wrong class is far enough.
        """
        close = T.exp(T.cast(-j, theano.config.floatX)) + T.exp(-self.output).sum(axis=1)
        return T.mean(self.output[T.arange(y.shape[0]), y] + T.log(close))


class LeNet5_1998(Classifier):
    """The network of the paper, or a simplified one.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Draws the initial parameters: those of C1, C3, C5, F6.
    input : matrix expression
        One rasterized image a row, from 0 (no ink) to 1.
    image_shape : tuple of 3 ints
        (1, height, width) of an image, at most 32 x 32.
    connections : "table" or "full"
        Whether C3 sees the maps of table I or all six.
    pooling : "mean" or "max"
        Whether S2 and S4 have a trainable mean or take the maximum.
    head : "rbf" or "softmax"
        The output layer: distances to fixed pictures, or a logistic regression.
    loss : "discriminative" or "distance"
        Equation 9 or equation 8, for radial basis functions.
    filter_size : tuple of 2 ints, or of 2 such tuples
        (rows, columns) of the filters of C1 and C3, or of each; those of C5 see all of S4.

    Attributes
    ----------
    layers : dict from str to layer
        The layers "C1", "S2", "C3", "S4", "C5", "F6" and "output".
    params : list of shared variables
        All trainable parameters, from the first layer to the last.
    choices : dict from str to str
        connections, pooling, head and loss.

    Raises
    ------
    UsageError
        connections, pooling, head or loss is none of these, or the filters leave nothing of the
        images.
    """

    def __init__(self, rng, input, image_shape=(1, 28, 28), connections="table", pooling="mean",
                 head="rbf", loss="discriminative", filter_size=(5, 5)):
        check_choices(connections=connections, pooling=pooling, head=head, loss=loss)
        if image_shape[0] != 1 or max(image_shape[1:]) > 32:
            raise UsageError(f"images of shape {tuple(image_shape)}; expected grey ones of at most "
                             "32 x 32")
        filter1, filter3 = per_layer("filter_size", filter_size)
        size2 = pooled_size((32, 32), filter1, (2, 2))
        size4 = pooled_size(size2, filter3, (2, 2))
        if min(size2 + size4) < 1:
            raise UsageError(f"filter_size {filter_size}: nothing would be left of 32 x 32 pixels "
                             "for C5; expected smaller filters, such as 5 x 5")

        def pool_maps(maps, n_maps):
            return SubsamplingLayer(maps, n_maps) if pooling == "mean" else MaxPoolingLayer(maps)

        bound = paper_bound if head == "rbf" else wide_bound
        # (32 - 5 + 1, 32 - 5 + 1) = (28, 28)
        C1 = ConvolutionLayer(rng, frame_images(input, image_shape), (6, 1) + filter1,
                              (None, 1, 32, 32), bound=bound)
        # (28 / 2, 28 / 2) = (14, 14)
        S2 = pool_maps(C1.output, 6)
        # (14 - 5 + 1, 14 - 5 + 1) = (10, 10)
        C3 = ConvolutionLayer(rng, S2.output, (16, 6) + filter3, (None, 6) + size2,
                              TABLE_I if connections == "table" else None, bound)
        # (10 / 2, 10 / 2) = (5, 5)
        S4 = pool_maps(C3.output, 16)
        # (5 - 5 + 1, 5 - 5 + 1) = (1, 1)
        C5 = ConvolutionLayer(rng, S4.output, (120, 16) + size4, (None, 16) + size4,
                              bound=bound)
        # (batch size, 120, 1, 1) -> (batch size, 120) -> (batch size, 84)
        F6 = HiddenLayer(rng, C5.output.flatten(2), 120, 84, activation=squash,
                         W=theano.shared(draw_weights(rng, (120, 84), bound(120)), name="W"))
        # (batch size, 84) -> (batch size, 10)
        if head == "rbf":
            output = RBFLayer(F6.output, bitmaps())
            self.loss = getattr(output, loss)
        else:
            output = LogisticRegression(F6.output, n_in=84, n_out=10)
            self.loss = output.negative_log_likelihood

        super().__init__(input, output.p_y_given_x, output.y_pred)
        self.layers = {"C1": C1, "S2": S2, "C3": C3, "S4": S4, "C5": C5, "F6": F6,
                       "output": output}
        self.params = [param for layer in self.layers.values() for param in layer.params]
        self.choices = {"connections": connections, "pooling": pooling, "head": head, "loss": loss}
        self.filter_size = tuple(filter_size)


def check_choices(**chosen):
    """Raise a UsageError unless each argument is one of its ``CHOICES``, and they go together."""
    for name, value in chosen.items():
        if value not in CHOICES[name]:
            raise UsageError(f"{name} {value}; expected {' or '.join(CHOICES[name])}")
    if chosen["head"] == "softmax" and chosen["loss"] != "discriminative":
        raise UsageError(f"loss {chosen['loss']} belongs to the head rbf; the head softmax has a "
                         "loss of its own")


def learning_rates(learning_rate, n_epochs, final=0.02):
    """A rate for each epoch, falling along half a cosine to ``final`` times the first one.

    The paper lowers its rate by hand in five stages; any number of epochs can follow a curve.
    """
    progress = numpy.arange(n_epochs) / max(1, n_epochs - 1)
    return learning_rate * (final + (1 - final) * (1 + numpy.cos(math.pi * progress)) / 2)


def evaluate_lenet5_1998(learning_rate=None, n_epochs=20, dataset="mnist.pkl.gz", batch_size=10,
                         connections="table", pooling="mean", head="rbf", loss="discriminative",
                         seed=1998, filter_size=(5, 5), observers=()):
    """Train LeNet-5 of 1998 for a number of epochs, and print the tutorial's lines.

    Parameters
    ----------
    learning_rate : float, optional
        Factor of the gradient in the first epoch; see ``learning_rates`` for the others. The
        default suits the output layer: the loss of radial basis functions sums 84 squares and asks
        for smaller steps.
    n_epochs, dataset, batch_size, observers
        See ``lenet.logistic_sgd.sgd_optimization_mnist``, also for what is returned and raised.
    connections, pooling, head, loss, filter_size
        See ``LeNet5_1998``.
    seed : int
        Seed of the initial parameters.
    """
    check_choices(connections=connections, pooling=pooling, head=head, loss=loss)
    if learning_rate is None:
        learning_rate = 0.002 if head == "rbf" else 0.05
    check_learning_rate(learning_rate)
    rng = numpy.random.RandomState(seed)

    print("... loading data", flush=True)
    datasets = load_data(dataset)
    channels, height, width = image_shape = image_shape_of(datasets)
    n_classes = len(datasets.class_names)
    if channels != 1 or max(height, width) > 32 or n_classes != 10:
        raise DataError(f"the dataset has images of {height} x {width} pixels in {channels} "
                        f"channel(s) and {n_classes} classes; this network takes at most 32 x 32 "
                        "in grey, and 10 classes")

    print("... building the model", flush=True)
    x = T.matrix("x")  # the images, one rasterized image per row
    y = T.ivector("y")  # the labels
    model = LeNet5_1998(rng, x, image_shape, connections, pooling, head, loss, filter_size)
    cost = model.loss(y)

    # The rate is a shared variable, which the compiled step reads and each epoch sets.
    rates = learning_rates(learning_rate, n_epochs)
    falling = RateByEpoch(lambda epoch: rates[epoch - 1])

    observers = [falling, *observers]
    with watch_training(__file__, model, datasets, batch_size, observers) as observers:
        functions = compile_functions(model, x, y, cost, datasets, falling.rate, batch_size)
        result = early_stopping(functions, n_epochs, patience=math.inf, observers=observers)
    return model, result


def compare_steps(**arguments):
    """Train each network of ``STEPS`` for as many epochs; the name and the test error of each, a
    list of (str, float).

    The arguments are those of ``evaluate_lenet5_1998``, but for connections, pooling, head and
    loss.
    """
    errors = []
    for name, simplifications in STEPS:
        print(f"--- {name}", flush=True)
        _, result = evaluate_lenet5_1998(**arguments, **simplifications)
        errors.append((name, result.test_error))
    return errors


if __name__ == "__main__":
    evaluate_lenet5_1998()
