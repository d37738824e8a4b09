"""Convolution as one matrix product for the whole minibatch, for the GPU.

Theano's own convolution for the GPU without cuDNN (`GpuCorrMM`) makes one product per image: a
minibatch of 500 is a thousand launches per layer and direction, each too small for a large GPU.
Here the images are rearranged so that one product does all of them:

    images (n, c, y, x)  ->  columns (c i j, n, y, x): what filter element (c, i, j) is
                             multiplied by, for each position of each image
    filters (m, c, i, j) ->  a matrix (m, c i j)

    convolution           filters . columns                       (m, n y x)
    gradient of filters   gradient . transpose of columns         (m, c i j)
    gradient of images    transpose of filters . gradient         (c i j, n y x): columns again; an
                          element of an image is the sum over the places that it was copied to

For 500 images of 20 x 12 x 12 and 50 filters of 5 x 5 the columns are 500 x 32000 numbers, 64 MB,
which forward and backward share.

Both ops have a NumPy version here, and a kernel in columns.cuh, which gpu_columns.py runs.
"""

import os

import numpy
from theano import tensor
from theano.gof import Apply, Op, local_optimizer
from theano.gof.opt import copy_stack_trace
from theano.tensor import NotScalarConstantError, TensorType, as_tensor_variable
from theano.tensor.elemwise import DimShuffle
from theano.tensor.nnet.abstract_conv import (
    AbstractConv2d,
    AbstractConv2d_gradInputs,
    AbstractConv2d_gradWeights,
)
from theano.tensor.signal.pool import MaxPoolGrad, Pool

KERNELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "columns.cuh")


class Columns(Op):
    """What both ops have in common.

    Parameters
    ----------
    rows, columns : int
        Size of a filter.
    flip : bool
        Whether filters are rotated by 180 degrees: True for mathematical convolution.
    """

    __props__ = ("rows", "columns", "flip")

    def __init__(self, rows, columns, flip):
        self.rows, self.columns, self.flip = int(rows), int(columns), bool(flip)

    def make_node(self, x):
        x = as_tensor_variable(x)
        if x.ndim != 4:
            raise TypeError(f"{type(self).__name__}: expected 4 dimensions, not {x.ndim}")
        return Apply(self, [x], [TensorType(x.dtype, self.broadcastable(x))()])

    def taps(self):
        """Pairs (number, (row, column)): a filter's elements and the pixels that they cover."""
        places = list(numpy.ndindex(self.rows, self.columns))
        return enumerate(places[::-1] if self.flip else places)


class ImageColumns(Columns):
    """Images (n, c, height, width) -> columns (c * rows * columns, n, out height, out width)."""

    def broadcastable(self, x):
        return (False, x.broadcastable[0], False, False)

    def infer_shape(self, node, shapes):
        n, c, height, width = shapes[0]
        return [(c * (self.rows * self.columns), n, height - self.rows + 1,
                 width - self.columns + 1)]

    def perform(self, node, inputs, outputs):
        images, = inputs
        n, c, height, width = images.shape
        oh, ow = height - self.rows + 1, width - self.columns + 1
        if min(oh, ow) < 1:
            raise ValueError(f"ImageColumns: filters of {self.rows} x {self.columns} do not fit "
                             f"images of {height} x {width}")
        result = numpy.empty((c, self.rows * self.columns, n, oh, ow), images.dtype)
        for tap, (i, j) in self.taps():
            result[:, tap] = images[:, :, i:i + oh, j:j + ow].transpose(1, 0, 2, 3)
        outputs[0][0] = result.reshape(-1, n, oh, ow)


class ColumnImages(Columns):
    """Columns -> images: each element is the sum over the places `ImageColumns` copies it to."""

    def broadcastable(self, x):
        return (x.broadcastable[1], False, False, False)

    def infer_shape(self, node, shapes):
        taps, n, oh, ow = shapes[0]
        return [(n, taps // (self.rows * self.columns), oh + self.rows - 1,
                 ow + self.columns - 1)]

    def perform(self, node, inputs, outputs):
        columns, = inputs
        taps, n, oh, ow = columns.shape
        columns = columns.reshape(-1, self.rows * self.columns, n, oh, ow)
        result = numpy.zeros((n, len(columns), oh + self.rows - 1, ow + self.columns - 1),
                          columns.dtype)
        for tap, (i, j) in self.taps():
            result[:, :, i:i + oh, j:j + ow] += columns[:, tap].transpose(1, 0, 2, 3)
        outputs[0][0] = result


# --- the rewrites ---------------------------------------------------------------------------


def is_plain_convolution(op):
    """Whether a convolution has stride 1, no dilation, one group, shared filters."""
    return (op.convdim == 2 and tuple(op.subsample) == (1, 1) and
            tuple(op.filter_dilation) == (1, 1) and op.num_groups == 1 and not op.unshared)


def constant_sizes(sizes):
    """Sizes that a graph gives, as ints; None unless it gives them all."""
    try:
        return tuple(int(tensor.get_scalar_constant_value(size)) for size in sizes)
    except NotScalarConstantError:
        return None


def filter_size(op):
    """(rows, columns) of an abstract convolution's filters if the graph gives them, or None."""
    if op.border_mode not in ("valid", (0, 0)) or not is_plain_convolution(op) or op.kshp is None:
        return None
    return constant_sizes(op.kshp[-2:])


def as_matrix(x):
    """(a, b, c, d) -> (a, b c d)"""
    return x.reshape((x.shape[0], x.shape[1] * x.shape[2] * x.shape[3]))


def is_ordered_by_map(x):
    """Whether `order_by_map` made this variable."""
    return (x.owner is not None and isinstance(x.owner.op, DimShuffle)
            and x.owner.op.new_order == (1, 0, 2, 3))


def order_by_map(x):
    """(n, m, y, x) -> (m, n, y, x), and back"""
    return x.owner.inputs[0] if is_ordered_by_map(x) else x.dimshuffle(1, 0, 2, 3)


def convolve(images, filters, size, flip):
    """The convolution of `images` with `filters` by one product."""
    columns = ImageColumns(size[0], size[1], flip)(images)
    product = tensor.dot(as_matrix(filters), as_matrix(columns))
    shape = (filters.shape[0], columns.shape[1], columns.shape[2], columns.shape[3])
    return order_by_map(product.reshape(shape))


def gradient_of_filters(images, gradient, filters_shape, size, flip):
    columns = ImageColumns(size[0], size[1], flip)(images)
    product = tensor.dot(as_matrix(order_by_map(gradient)), as_matrix(columns).T)
    return product.reshape(filters_shape)


def gradient_of_images(filters, gradient, size, flip):
    product = tensor.dot(as_matrix(filters).T, as_matrix(order_by_map(gradient)))
    shape = (product.shape[0], gradient.shape[0], gradient.shape[2], gradient.shape[3])
    return ColumnImages(size[0], size[1], flip)(product.reshape(shape))


@local_optimizer([AbstractConv2d, AbstractConv2d_gradWeights, AbstractConv2d_gradInputs])
def local_convolution_by_columns(node):
    """AbstractConv2d and its gradients -> one product each."""
    op = node.op
    size = filter_size(op) if isinstance(op, (
        AbstractConv2d, AbstractConv2d_gradWeights, AbstractConv2d_gradInputs)) else None
    if size is None:
        return
    first, second = node.inputs[:2]
    if isinstance(op, AbstractConv2d):
        new = convolve(first, second, size, op.filter_flip)
    elif isinstance(op, AbstractConv2d_gradWeights):
        shape = (second.shape[1], first.shape[1]) + size
        new = gradient_of_filters(first, second, shape, size, op.filter_flip)
    else:
        new = gradient_of_images(first, second, size, op.filter_flip)
    old = node.outputs[0]
    if new.dtype != old.dtype:
        return
    copy_stack_trace(old, new)
    return [tensor.patternbroadcast(new, old.broadcastable)]


@local_optimizer([Pool, MaxPoolGrad])
def local_pool_by_map(node):
    """Pooling after a convolution by one product -> pooling in the order of that product.

    Pooling treats each map by itself, in any order, but needs them without gaps: otherwise all
    unpooled maps, four times the size of the pooled ones, would be copied before and after it.
    """
    if (not isinstance(node.op, (Pool, MaxPoolGrad)) or node.op.ndim != 2
            or not is_ordered_by_map(node.inputs[0])):
        return
    # the maps; and of a gradient the pooled maps, and the gradient of these
    n_maps = 1 if isinstance(node.op, Pool) else 3
    maps = [order_by_map(x) for x in node.inputs[:n_maps]]
    new = order_by_map(node.op(*maps + node.inputs[n_maps:]))
    copy_stack_trace(node.outputs[0], new)
    return [new]
