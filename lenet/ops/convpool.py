"""Convolution followed by max-pooling, as one op that never writes the unpooled maps.

    z, record = ConvPool((2, 2), record=True)(images, filters)
    gw, gx = ConvPoolGrad((2, 2))(images, filters, gz, record)

                  valid convolution             max-pooling, windows side by side
    images        unpooled maps                 z                       record
    (n, c, y, x)  (n, m, y - i + 1, x - j + 1)  (n, m, rows, columns)   as z, unsigned integers
    . . . . . .   +-------+-------+ .           +---+---+               +------+------+
    . . . . . .   | 1   3 | 0   0 | .           | 3 | 0 |               | 1010 | 1111 |
    . . . . . .   | 2   3 | 0   0 | .           +---+---+               +------+------+
    . . . . . .   +-------+-------+ .           | 7 | 8 |               | 0100 | 1000 |
    . . . . . .   | 5   6 | 1   2 | .           +---+---+               +------+------+
    . . . . . .   | 7   1 | 4   8 | .
    . . . . . .   +-------+-------+ .           bit r * 2 + c of a record: the element in row r and
                    .   .   .   .   .           column c of the window equals the maximum

The unpooled maps, in the middle, exist in registers only. Their last rows and columns, which do not
fill a window, are not computed. The record is what the gradient has to know of them: every element
that equals the maximum receives the window's gradient, as in Theano's MaxPoolGrad. Ties are common:
the empty borders of MNIST's digits. Evaluation needs no record and writes none.

    gradient of an unpooled element = gz of its window where its bit is set, else 0
    gw = correlation of the images with it,   gx = convolution of it with the filters

``ConvPoolGrad`` computes both from the record, or one of them (the first layer's images need none).
The kernels, their data layout and loops are explained at the top of convpool_forward.h,
convpool_transforms.h (fewer multiplications), convpool_hits.h and convpool_dense.h (gradients). The
ops here check types and shapes and tell Theano shapes and gradients. ``perform`` does the same in
NumPy, where there is no compiler.
"""

import numpy
from theano.gof import Apply, ParamsType
from theano.gradient import DisconnectedType
from theano.scalar import bool as bool_t
from theano.scalar import int64
from theano.tensor import TensorType, as_tensor_variable

from lenet.ops.compiled import CompiledOp


def record_dtype(window):
    """The unsigned type with a bit for every element of a window; None above 32 elements."""
    for bits in (8, 16, 32):
        if window[0] * window[1] <= bits:
            return f"uint{bits}"
    return None


class ConvPoolBase(CompiledOp):
    source_files = ("simd.h", "convpool_transforms.h", "convpool_forward.h", "convpool_dense.h",
                    "convpool_hits.h", "convpool.h")
    python_file = "convpool.py"
    __props__ = ("window", "filter_flip")
    # run-time values for the C code: one compiled module serves all windows of a record type
    params_type = ParamsType(filter_flip=bool_t, window_rows=int64, window_columns=int64)

    def __init__(self, window, filter_flip=True, openmp=None):
        super().__init__(openmp=openmp)
        self.window = tuple(int(w) for w in window)
        self.filter_flip = bool(filter_flip)
        if len(self.window) != 2 or min(self.window) < 1:
            raise ValueError(f"window should be two positive integers, not {window!r}")
        if record_dtype(self.window) is None:
            raise ValueError("a window of {} x {} has more than 32 elements".format(*self.window))

    @property
    def window_rows(self):
        return self.window[0]

    @property
    def window_columns(self):
        return self.window[1]

    def check_inputs(self, *inputs):
        inputs = [as_tensor_variable(v) for v in inputs]
        for v, name in zip(inputs, ("images", "filters", "gradient", "record")):
            if v.ndim != 4:
                raise TypeError(f"{name} should have 4 dimensions, not {v.ndim}")
        dtype = inputs[0].dtype
        if dtype not in ("float32", "float64"):
            raise TypeError(f"images should be float32 or float64, not {dtype}")
        for v, name in zip(inputs[1:3], ("filters", "gradient")):
            if v.dtype != dtype:
                raise TypeError(f"{name} should be {dtype} like images, not {v.dtype}")
        return inputs

    def c_call(self, kernel, node, inputs, outputs, sub):
        """The C code that calls a kernel; outputs that are None are not wanted."""
        types = f"npy_{node.inputs[0].dtype}, npy_{record_dtype(self.window)}"
        params = [f"{sub['params']}->{field}"
                  for field in ("filter_flip", "window_rows", "window_columns")]
        outputs = [f"&{name}" if name else "NULL" for name in outputs]
        arguments = ", ".join(inputs + params + outputs)
        return f"if (!lenet::{kernel}<{types}>({arguments})) {sub['fail']}"

    def correlation_filters(self, filters):
        return filters[:, :, ::-1, ::-1] if self.filter_flip else filters

    def check_shapes(self, images, filters):
        if images.shape[1] != filters.shape[1]:
            raise ValueError(f"ConvPool: images have {images.shape[1]} channels, filters have "
                             f"{filters.shape[1]}")
        out = [i - f + 1 for i, f in zip(images.shape[2:], filters.shape[2:])]
        if min(out) < 1 or min(filters.shape[2:]) < 1:
            raise ValueError("ConvPool: filters of {} x {} do not fit images of {} x {}".format(
                *filters.shape[2:], *images.shape[2:]))
        return out


class ConvPool(ConvPoolBase):
    """Valid convolution, then max-pooling by windows side by side that are inside the maps.

    Parameters
    ----------
    window : two ints
        Rows and columns of a pooling window, which has at most 32 elements.
    filter_flip : bool
        True for mathematical convolution, False for correlation.
    record : bool
        Whether there is a second output, which the gradient needs.

    Inputs are images (images, channels, rows, columns) and filters (maps, channels, rows,
    columns), float32 or float64; outputs (images, maps, pooled rows, pooled columns) are the
    pooled maps and the record: unsigned integers whose bit r * window[1] + c says whether the
    element in row r and column c of the window equals the maximum.
    """

    __props__ = ("window", "filter_flip", "record")

    def __init__(self, window, filter_flip=True, record=False, openmp=None):
        super().__init__(window, filter_flip, openmp)
        self.record = bool(record)

    def make_node(self, images, filters):
        images, filters = self.check_inputs(images, filters)
        broadcastable = (images.broadcastable[0], filters.broadcastable[0], False, False)
        outputs = [TensorType(images.dtype, broadcastable)()]
        if self.record:
            outputs.append(TensorType(record_dtype(self.window), broadcastable)())
        return Apply(self, [images, filters], outputs)

    def infer_shape(self, node, shapes):
        images, filters = shapes
        pooled = [(images[i] - filters[i] + 1) // self.window[i - 2] for i in (2, 3)]
        return [(images[0], filters[0], pooled[0], pooled[1])] * len(node.outputs)

    def connection_pattern(self, node):
        return [[True, False][:len(node.outputs)] for _ in node.inputs]

    def grad(self, inputs, gradients):
        if isinstance(gradients[0].type, DisconnectedType):
            return [DisconnectedType()() for _ in inputs]
        record = ConvPool(self.window, self.filter_flip, record=True)(*inputs)[1]
        gradient = ConvPoolGrad(self.window, self.filter_flip)
        gw, gx = gradient(inputs[0], inputs[1], gradients[0], record)
        return [gx, gw]

    def perform(self, node, inputs, outputs, params):
        images, filters = inputs
        oh, ow = self.check_shapes(images, filters)
        filters = self.correlation_filters(filters)
        maps = numpy.zeros((len(images), len(filters), oh, ow), images.dtype)
        for y, x in numpy.ndindex(*filters.shape[2:]):
            maps += numpy.einsum("mc,ncij->nmij", filters[:, :, y, x],
                              images[:, :, y:y + oh, x:x + ow])
        wh, ww = self.window
        elements = [maps[:, :, r:oh // wh * wh:wh, c:ow // ww * ww:ww]
                    for r in range(wh) for c in range(ww)]
        best = elements[0]
        for element in elements[1:]:
            best = numpy.where(element > best, element, best)
        outputs[0][0] = numpy.ascontiguousarray(best)
        if self.record:
            dtype = record_dtype(self.window)
            record = numpy.zeros(best.shape, dtype)
            for bit, element in enumerate(elements):
                record |= (element == best).astype(dtype) << numpy.array(bit, dtype)
            outputs[1][0] = record

    def c_code(self, node, name, inputs, outputs, sub):
        wanted = outputs if self.record else outputs + [None]
        return self.c_call("convpool", node, inputs, wanted, sub)


class ConvPoolGrad(ConvPoolBase):
    """Gradients of `ConvPool` with respect to its filters and its images.

    Parameters
    ----------
    window, filter_flip :
        As given to `ConvPool`.
    wrt : tuple of str
        Which gradients are wanted: ``('filters', 'images')`` or one of the two.

    Inputs are images, filters, the gradient with respect to the pooled maps, and the record;
    outputs the gradients that `wrt` names, in its order.
    """

    __props__ = ("window", "filter_flip", "wrt")

    def __init__(self, window, filter_flip=True, wrt=("filters", "images"), openmp=None):
        super().__init__(window, filter_flip, openmp)
        self.wrt = tuple(wrt)
        if self.wrt not in (("filters", "images"), ("filters",), ("images",)):
            raise ValueError(f"wrt should be ('filters', 'images') or one of them, not {wrt!r}")

    def make_node(self, images, filters, gradient, record):
        inputs = self.check_inputs(images, filters, gradient, record)
        dtype = record_dtype(self.window)
        if inputs[3].dtype != dtype:
            raise TypeError(f"record should be {dtype}, not {inputs[3].dtype}")
        like = {"images": inputs[0], "filters": inputs[1]}
        return Apply(self, inputs, [like[name].type() for name in self.wrt])

    def infer_shape(self, node, shapes):
        return [shapes[("images", "filters").index(name)] for name in self.wrt]

    def perform(self, node, inputs, outputs, params):
        images, filters, gradient, record = inputs
        oh, ow = self.check_shapes(images, filters)
        filters = self.correlation_filters(filters)
        wh, ww = self.window
        if gradient.shape != (len(images), len(filters), oh // wh, ow // ww):
            raise ValueError(f"ConvPoolGrad: gradient of shape {gradient.shape}")
        maps = numpy.zeros((len(images), len(filters), oh, ow), images.dtype)
        for bit, (r, c) in enumerate(numpy.ndindex(wh, ww)):
            hit = record >> numpy.array(bit, record.dtype) & numpy.array(1, record.dtype)
            maps[:, :, r:oh // wh * wh:wh, c:ow // ww * ww:ww] = numpy.where(hit, gradient, 0)
        gw, gx = numpy.zeros_like(filters), numpy.zeros_like(images)
        for y, x in numpy.ndindex(*filters.shape[2:]):
            part = (slice(None), slice(None), slice(y, y + oh), slice(x, x + ow))
            gw[:, :, y, x] = numpy.einsum("nmij,ncij->mc", maps, images[part])
            gx[part] += numpy.einsum("nmij,mc->ncij", maps, filters[:, :, y, x])
        values = {"filters": numpy.ascontiguousarray(self.correlation_filters(gw)), "images": gx}
        for name, output in zip(self.wrt, outputs):
            output[0] = values[name]

    def c_code(self, node, name, inputs, outputs, sub):
        output = dict(zip(self.wrt, outputs))
        wanted = [output.get("filters"), output.get("images")]
        return self.c_call("convpool_grad", node, inputs, wanted, sub)
