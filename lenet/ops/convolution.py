"""Convolution without pooling behind it, and its gradients, for images of a few channels.

    y = Convolution("output")(images, filters)          valid convolution
    gw = Convolution("filters")(images, gradient)       its gradient by the filters
    gx = Convolution("images")(filters, gradient)       its gradient by the images

The last two also take the rows and columns that the result must have, as Theano's ops do.

Theano's `CorrMM` writes all that each filter sees into a matrix, image by image, and multiplies
that: with a few channels, it takes longer to write the matrix than to multiply it. The kernels here
work on the images themselves, as explained at the top of convolution.h. `perform` does the same in
NumPy.

Where the filters cover the whole images, `make_products` makes one product for the whole minibatch.
"""

import numpy
from theano.gof import Apply, ParamsType
from theano.scalar import bool as bool_t
from theano.scalar import int64
from theano.tensor import TensorType, as_tensor_variable, cast
from theano.tensor.blas import _dot22 as dot22
from theano.tensor.nnet.abstract_conv import (
    AbstractConv2d,
    AbstractConv2d_gradInputs,
    AbstractConv2d_gradWeights,
)

from lenet.ops.compiled import CompiledOp

# Theano's op: what it computes, in the order of the kernels
KINDS = {AbstractConv2d: "output", AbstractConv2d_gradWeights: "filters",
         AbstractConv2d_gradInputs: "images"}


class Convolution(CompiledOp):
    """Valid convolution or one of its gradients.

    Parameters
    ----------
    kind : 'output', 'filters' or 'images'
        What is computed: the maps from images and filters, the gradient by the filters from images
        and the gradient by the maps, or the gradient by the images from filters and that gradient.
    filter_flip : bool
        True for mathematical convolution, False for correlation.

    Images are (images, channels, rows, columns), filters (maps, channels, rows, columns) and maps
    (images, maps, rows, columns), float32 or float64.
    """

    source_files = ("simd.h", "convolution.h")
    python_file = "convolution.py"
    __props__ = ("kind", "filter_flip")
    # run-time values for the C code: one compiled module serves all three
    params_type = ParamsType(number=int64, filter_flip=bool_t)

    def __init__(self, kind, filter_flip=True, openmp=None):
        super().__init__(openmp=openmp)
        if kind not in KINDS.values():
            raise ValueError(f"kind should be one of {', '.join(KINDS.values())}, not {kind!r}")
        self.kind = kind
        self.number = list(KINDS.values()).index(kind)
        self.filter_flip = bool(filter_flip)

    def make_node(self, a, b, *shape):
        a, b = as_tensor_variable(a), as_tensor_variable(b)
        shape = [cast(size, "int64") for size in shape]
        for v in (a, b):
            if v.ndim != 4 or v.dtype != a.dtype or v.dtype not in ("float32", "float64"):
                raise TypeError(f"Convolution takes two tensors of 4 dimensions, float32 or "
                                f"float64, not {a.type} and {b.type}")
        leading = self.leading_sizes(a.broadcastable, b.broadcastable)
        return Apply(self, [a, b, *shape], [TensorType(a.dtype, leading + (False, False))()])

    def leading_sizes(self, a, b):
        """The first two of the output's dimensions, from those of the inputs."""
        return {"output": (a[0], b[0]), "filters": (b[1], a[1]), "images": (b[0], a[1])}[self.kind]

    def infer_shape(self, node, shapes):
        a, b = shapes[:2]
        sizes = [a[i] + b[i] - 1 if self.kind == "images" else a[i] - b[i] + 1 for i in (2, 3)]
        return [self.leading_sizes(a, b) + tuple(sizes)]

    def perform(self, node, inputs, outputs, params):
        a, b, *wanted = inputs
        shape, = self.infer_shape(node, (a.shape, b.shape))
        fit = {"output": (1, 1), "filters": (0, 0), "images": (0, 1)}[self.kind]
        if a.shape[fit[0]] != b.shape[fit[1]] or min(shape[2:]) < 1:
            raise ValueError(f"Convolution: {a.shape} and {b.shape} do not fit")
        if wanted and tuple(wanted[0]) != shape[2:]:
            raise ValueError(f"Convolution: rows and columns would be {shape[2:]}, not "
                             f"{tuple(wanted[0])}")
        result = numpy.zeros(shape, a.dtype)
        flip = slice(None, None, -1 if self.filter_flip else 1)
        filters = {"output": b, "filters": result, "images": a}[self.kind][:, :, flip, flip]
        rows, columns = (b if self.kind != "output" else result).shape[2:]
        for i, j in numpy.ndindex(*filters.shape[2:]):
            part = (slice(None), slice(None), slice(i, i + rows), slice(j, j + columns))
            if self.kind == "output":
                result += numpy.einsum("mc,ncyx->nmyx", filters[:, :, i, j], a[part])
            elif self.kind == "filters":
                filters[:, :, i, j] = numpy.einsum("nmyx,ncyx->mc", b, a[part])
            else:
                result[part] += numpy.einsum("nmyx,mc->ncyx", b, filters[:, :, i, j])
        outputs[0][0] = result

    def c_code(self, node, name, inputs, outputs, sub):
        a, b, shape = [*inputs, "NULL"][:3]
        params = sub["params"]
        return (f"if (!lenet::convolution<npy_{node.inputs[0].dtype}>({params}->number, {a}, {b}, "
                f"{shape}, {params}->filter_flip, &{outputs[0]})) {sub['fail']}")


def make_products(kind, flip, a, b, image):
    """`Convolution` where the filters cover the whole images, as a product of matrices.

    images (n, c y x), filters (m, c y x), maps (n, m); image is (c, y, x)
    """
    def turn(x):
        return x[:, :, ::-1, ::-1] if flip else x

    if kind == "output":
        return dot22(turn(a).flatten(2), b.flatten(2).T).dimshuffle(0, 1, "x", "x")
    if kind == "filters":
        return dot22(b.flatten(2).T, turn(a).flatten(2)).reshape((-1,) + image)
    return turn(dot22(b.flatten(2), a.flatten(2)).reshape((-1,) + image))
