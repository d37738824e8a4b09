"""Kinds of pooling, as functions from expressions to expressions, and as layers.

Each function takes feature maps of shape (batch size, maps, height, width). All but the
normalization return maps of shape (batch size, maps, (height - rows) // stride rows + 1,
(width - columns) // stride columns + 1): windows that extend beyond a map are ignored.
"""

import lenet  # noqa: F401  (first: Theano starts with its settings)

# isort: split
import numpy
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d
from theano.tensor.signal import pool

from lenet.convolutional_mlp import LeNetConvPoolLayer
from lenet.errors import UsageError
from lenet.shared import zeros
from lenet.training.noise import make_streams, replace_units


def max_pool(input, window=(2, 2), stride=None):
    """The maximum of each window.

    Source: M. Ranzato, F. Huang, Y. Boureau, Y. LeCun, "Unsupervised learning of invariant feature
    hierarchies with applications to object recognition", CVPR 2007.

    Parameters
    ----------
    input : 4-d expression
        Feature maps.
    window : tuple of 2 ints
        (rows, columns) of a window.
    stride : tuple of 2 ints, optional
        Rows and columns from one window to the next; by default ``window``: no overlap.
    """
    check_window(window, stride)
    return pool.pool_2d(input, window, stride=stride, ignore_border=True, mode="max")


def mean_pool(input, window=(2, 2), stride=None):
    """The mean of each window. See ``max_pool`` for the parameters.

    Source: Y. LeCun et al., "Handwritten digit recognition with a back-propagation network", NIPS
    1989.
    """
    check_window(window, stride)
    return pool.pool_2d(input, window, stride=stride, ignore_border=True,
                        mode="average_exc_pad")


def overlapping_max_pool(input, window=(3, 3), stride=(2, 2)):
    """The maximum of each window, where neighbouring windows overlap; a ValueError if the stride is
    not below the window.

    Source: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional
    neural networks", NIPS 2012, section 3.4.
    """
    if not (stride[0] < window[0] and stride[1] < window[1]):
        raise ValueError(f"stride {tuple(stride)}; expected less than the window {tuple(window)}, "
                         "so that windows overlap")
    return max_pool(input, window, stride)


def l2_pool(input, window=(2, 2), stride=None, epsilon=1e-8):
    """The square root of the sum of the squares in each window.

    ``epsilon`` under the root keeps the gradient finite where a window is all zeros.

    Source: P. Sermanet, S. Chintala, Y. LeCun, "Convolutional neural networks applied to house
    numbers digit classification", ICPR 2012: L_p pooling with p = 2, without its Gaussian weights.
    """
    return T.sqrt((windows(input, window, stride) ** 2).sum(axis=0) + epsilon)


def stochastic_pool(input, uniform, window=(2, 2), stride=None):
    """One number of each window, drawn with probability in proportion to it; for training.

    Source: M. Zeiler, R. Fergus, "Stochastic pooling for regularization of deep convolutional
    neural networks", ICLR 2013, equations 4 and 5.

    Parameters
    ----------
    input : 4-d expression
        Feature maps without negative numbers, such as ReLU gives.
    uniform : 4-d expression
        Numbers drawn from [0, 1), one per window, of the shape of the output:
        ``RandomStreams.uniform``.
    window, stride
        See ``max_pool``.
    """
    values = windows(input, window, stride)
    # The numbers of a window, laid end to end, cover [0, total), so a point in it falls on one of
    # them. In a window of zeros it falls on none, and the output is 0.
    ends = T.cumsum(values, axis=0)
    point = uniform * ends[-1]
    chosen = T.and_(point >= ends - values, point < ends)
    # The gradient takes the choice as a constant and flows to the number chosen.
    return (values * theano.gradient.disconnected_grad(T.cast(chosen, values.dtype))).sum(axis=0)


def stochastic_pool_mean(input, window=(2, 2), stride=None):
    """The expected value of ``stochastic_pool``: sum a^2 / sum a of each window; for testing.

    Source: Zeiler and Fergus 2013, equation 6.
    """
    values = windows(input, window, stride)
    total = values.sum(axis=0)
    # A window of zeros gives 0 / 1.
    return (values ** 2).sum(axis=0) / T.switch(T.eq(total, 0), T.ones_like(total), total)


def local_contrast_normalization(input, size=9):
    """Subtract the local mean from each point, then divide by the local standard deviation.

        v = x - sum w x,    y = v / max(c, sigma),    sigma = sqrt(sum w v^2)

    The sums run over all maps of an image and a neighbourhood of size x size points with Gaussian
    weights w that add up to 1; c is the mean of sigma over the image. Maps are padded with zeros.

    Source: K. Jarrett, K. Kavukcuoglu, M. Ranzato, Y. LeCun, "What is the best multi-stage
    architecture for object recognition?", ICCV 2009, section 2.

    Parameters
    ----------
    input : 4-d expression
        Of shape (batch size, maps, height, width), as is the output.
    size : int
        Rows and columns of the neighbourhood; a ValueError if it is even, so that no point would
        be in the middle.
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"size {size}; expected an odd positive number")
    weights = gaussian(size).astype(input.dtype)

    def local_mean(maps):
        # The mean over the maps first: (n, maps, h, w) -> (n, 1, h, w); "half" keeps h and w.
        return conv2d(maps.mean(axis=1, keepdims=True), T.constant(weights[None, None]),
                      border_mode="half", filter_shape=(1, 1, size, size))

    v = input - T.addbroadcast(local_mean(input), 1)
    variance = local_mean(v ** 2)
    # The derivative of the root is infinite at zero, which is where an image is flat.
    sigma = T.sqrt(T.maximum(variance, numpy.asarray(1e-12, dtype=weights.dtype)))
    c = sigma.mean(axis=(1, 2, 3), keepdims=True)
    return v / T.addbroadcast(T.maximum(c, sigma), 1)


def deformation_pool(input, c, penalties, stride=None):
    """The maximum of each window after a penalty for the distance from its middle.

        b(x, y) = max over i, j of  m(x + i, y + j) - sum_n c_n d_n(i, j)

    With c = 0 it is max-pooling.

    Source: W. Ouyang et al., "DeepID-Net: multi-stage and deformable deep convolutional neural
    networks for object detection", arXiv:1409.3505, 2014, section 3.4.

    Parameters
    ----------
    input : 4-d expression
        Scores of a part of an object at each point.
    c : vector expression of shape (n,)
        The factor of each penalty; can be learned.
    penalties : array of shape (n, rows, columns)
        The penalties d of each point of a window.
    stride : tuple of 2 ints, optional
        See ``max_pool``.
    """
    penalties = numpy.asarray(penalties, dtype=theano.config.floatX)
    n, rows, columns = penalties.shape
    # (n,) times (n, rows * columns) -> (rows * columns,): one penalty per place in a window.
    penalty = T.dot(c, T.constant(penalties.reshape(n, rows * columns)))
    values = windows(input, (rows, columns), stride)
    return (values - penalty.dimshuffle(0, "x", "x", "x", "x")).max(axis=0)


def quadratic_penalties(radius):
    """The penalties i, j, i^2, j^2 of a place i rows and j columns from the middle: an array of
    shape (4, 2 radius + 1, 2 radius + 1).

    The radius is a number or a tuple of 2, of rows and columns from the middle to the border; 0.5
    for a window of 2 x 2.
    """
    down, right = numpy.broadcast_to(radius, 2)
    i, j = numpy.mgrid[-down:down + 1, -right:right + 1]
    return numpy.stack([i, j, i ** 2, j ** 2]).astype(theano.config.floatX)


def windows(input, window, stride=None):
    """The numbers of every window, place by place: element [k] of a 5-d expression of shape (rows *
    columns, batch size, maps, rows out, columns out) holds number k of each window."""
    check_window(window, stride)
    rows, columns = window
    down, right = stride or window
    # The last window begins at (height - rows) // down * down.
    height, width = ((input.shape[2] - rows) // down * down + 1,
                     (input.shape[3] - columns) // right * right + 1)
    return T.stack([input[:, :, i:i + height:down, j:j + width:right]
                    for i in range(rows) for j in range(columns)])


def gaussian(size):
    """Gaussian weights of shape (size, size) that add up to 1; sigma is a quarter of the size."""
    x = numpy.arange(size) - size // 2
    bell = numpy.exp(-0.5 * (x / (size / 4.0)) ** 2)
    weights = numpy.outer(bell, bell)
    return (weights / weights.sum()).astype(theano.config.floatX)


def check_window(window, stride):
    """Raise a ValueError unless a window and a stride are pairs of positive numbers."""
    for name, pair in (("window", window), ("stride", stride or window)):
        if len(pair) != 2 or min(pair) < 1:
            raise ValueError(f"{name} {tuple(pair)}; expected (rows, columns), at least 1 each")


# --- layers ---------------------------------------------------------------------------------


class MeanPoolLayer(LeNetConvPoolLayer):
    """A convolution, then the mean of each window, then a non-linearity."""

    def pool(self, maps):
        return mean_pool(maps, self.poolsize)


class OverlappingPoolLayer(LeNetConvPoolLayer):
    """A convolution, then the maximum of windows with one row and one column more than they are
    apart, then a non-linearity."""

    overlap = 1

    def pool(self, maps):
        rows, columns = self.poolsize
        return overlapping_max_pool(maps, (rows + 1, columns + 1), self.poolsize)


class L2PoolLayer(LeNetConvPoolLayer):
    """A convolution, then the norm of each window, then a non-linearity."""

    def pool(self, maps):
        return l2_pool(maps, self.poolsize)


class ContrastPoolLayer(LeNetConvPoolLayer):
    """A convolution, local contrast normalization, max-pooling, then a non-linearity."""

    def pool(self, maps):
        self.normalized = local_contrast_normalization(maps)  # keeps the size of the maps
        return max_pool(self.normalized, self.poolsize)


class DeformationPoolLayer(LeNetConvPoolLayer):
    """A convolution, pooling with penalties to learn, then a non-linearity.

    The windows overlap as in OverlappingPoolLayer. The factors of the penalties, ``c`` of shape
    (4,), begin at 0, as max-pooling.
    """

    overlap = 1

    def pool(self, maps):
        self.c = zeros((4,), "c")
        self.params.append(self.c)
        rows, columns = self.poolsize
        return deformation_pool(maps, self.c, quadratic_penalties((rows / 2, columns / 2)),
                                self.poolsize)


class StochasticPoolLayer(LeNetConvPoolLayer):
    """A convolution, then a non-linearity without negative numbers, whose ``maps`` are a 4-d
    expression, then the expected number of each window.

    ``draw_windows`` puts the draws of a training into a cost.
    """

    def __init__(self, rng, input, filter_shape, image_shape, poolsize=(2, 2), W=None, b=None,
                 activation=T.nnet.relu):
        if activation not in (T.nnet.relu, T.nnet.sigmoid, T.nnet.softplus):
            raise UsageError("pooling stochastic needs maps without negative numbers; expected the "
                             "activation relu, sigmoid or softplus instead of "
                             f"{getattr(activation, 'scalar_op', activation)}")
        super().__init__(rng, input, filter_shape, image_shape, poolsize, W, b, activation)
        self.maps = activation(self.conv_out + self.b.dimshuffle("x", 0, "x", "x"))
        self.output = stochastic_pool_mean(self.maps, self.poolsize)


def draw_windows(cost, layers, rng):
    """The cost with a number drawn from each window, where StochasticPoolLayers take the mean.

    Parameters
    ----------
    cost : scalar expression
    layers : list of StochasticPoolLayer
        From the first to the last.
    rng : numpy.random.RandomState
        Draws the seed.
    """
    streams = make_streams(rng)
    # One number for each window, of all maps of all images.
    draws = [stochastic_pool(layer.maps, streams.uniform(layer.output.shape,
                                                         dtype=theano.config.floatX),
                             layer.poolsize) for layer in layers]
    # From the last layer to the first: each replacement leaves what lies below as it is.
    for layer, drawn in reversed(list(zip(layers, draws))):
        cost = replace_units(cost, layer.output, drawn)
    return cost


# Every kind by its name.
POOLINGS = {
    "max": LeNetConvPoolLayer,
    "mean": MeanPoolLayer,
    "overlapping": OverlappingPoolLayer,
    "l2": L2PoolLayer,
    "stochastic": StochasticPoolLayer,
    "contrast": ContrastPoolLayer,
    "deformation": DeformationPoolLayer,
}
