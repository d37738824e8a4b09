"""Convolution followed by max-pooling, as one op that never writes the unpooled maps.

    z, record = ConvPool((2, 2), record=True)(images, filters)
    gw, gx = ConvPoolGrad((2, 2))(images, filters, gz, record)

                  convolution                   max-pooling, windows side by side
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
fill a window, are not computed, or are windows of their own if ``ignore_border`` is False. With a
``border_mode`` other than "valid", images get their border of zeros when the op runs, and no size
needs to be known before. The record is what the gradient has to know of them: every element
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
from theano.tensor import TensorType, as_tensor_variable, lvector
from theano.tensor.nnet.abstract_conv import border_mode_to_pad

from lenet.ops.compiled import CompiledOp


def record_dtype(window):
    """The unsigned type of the words of a record."""
    elements = window[0] * window[1]
    return "uint8" if elements <= 8 else "uint16" if elements <= 16 else "uint32"


def record_words(window):
    """The number of words that have a bit, one of 32, for each element of a window."""
    return -(-window[0] * window[1] // 32)


class ConvPoolBase(CompiledOp):
    source_files = ("simd.h", "convpool_transforms.h", "convpool_forward.h", "convpool_dense.h",
                    "convpool_hits.h", "convpool.h")
    python_file = "convpool.py"
    __props__ = ("window", "filter_flip", "border_mode", "ignore_border")
    # run-time values for the C code: one compiled module serves all windows of a record type
    params_type = ParamsType(options=lvector)

    def __init__(self, window, filter_flip=True, border_mode="valid", ignore_border=True,
                 openmp=None):
        super().__init__(openmp=openmp)
        self.window = tuple(int(w) for w in window)
        self.filter_flip = bool(filter_flip)
        self.border_mode = border_mode
        self.ignore_border = bool(ignore_border)
        if len(self.window) != 2 or min(self.window) < 1:
            raise ValueError(f"window should be two positive integers, not {window!r}")
        self.zeros((1, 1))  # checks border_mode

    @property
    def options(self):
        """What `read_shape` in convpool.h reads."""
        zeros = {"half": [-1] * 4, "full": [-2] * 4}.get(self.border_mode)
        return numpy.array([self.filter_flip, *self.window, self.ignore_border,
                            *(zeros or numpy.ravel(self.zeros((1, 1))))], "int64")

    def zeros(self, filter_size):
        """((above, below), (left, right)): the rows and columns of zeros around the images."""
        return border_mode_to_pad(self.border_mode, 2, filter_size)

    def find_sizes(self, images, filters):
        """Rows and columns of the unpooled maps, and of the pooled ones, by the inputs' shapes."""
        maps = [size + sum(zeros) - f + 1 for size, zeros, f in
                zip(images[2:], self.zeros(filters[2:]), filters[2:])]
        return maps, [(size + (0 if self.ignore_border else w - 1)) // w
                      for size, w in zip(maps, self.window)]

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
        options = f"(npy_int64 *)PyArray_DATA({sub['params']}->options)"
        outputs = [f"&{name}" if name else "NULL" for name in outputs]
        arguments = ", ".join([*inputs, options, *outputs])
        return f"if (!lenet::{kernel}<{types}>({arguments})) {sub['fail']}"

    def correlation_filters(self, filters):
        return filters[:, :, ::-1, ::-1] if self.filter_flip else filters

    def check_shapes(self, images, filters):
        """`find_sizes` and the images with zeros around them."""
        if images.shape[1] != filters.shape[1]:
            raise ValueError(f"ConvPool: images have {images.shape[1]} channels, filters have "
                             f"{filters.shape[1]}")
        maps, pooled = self.find_sizes(images.shape, filters.shape)
        images = numpy.pad(images, ((0, 0), (0, 0), *self.zeros(filters.shape[2:])))
        if min(maps) < 1 or min(filters.shape[2:]) < 1:
            raise ValueError("ConvPool: filters of {} x {} do not fit images of {} x {}".format(
                *filters.shape[2:], *images.shape[2:]))
        return maps, pooled, images


class ConvPool(ConvPoolBase):
    """Convolution, then max-pooling by windows side by side.

    Parameters
    ----------
    window : two ints
        Rows and columns of a pooling window.
    filter_flip : bool
        True for mathematical convolution, False for correlation.
    border_mode, ignore_border
        As Theano's ``conv2d`` and ``pool_2d`` take them.
    record : bool
        Whether there is a second output, which the gradient needs.

    Inputs are images (images, channels, rows, columns) and filters (maps, channels, rows,
    columns), float32 or float64; outputs (images, maps, pooled rows, pooled columns) are the
    pooled maps and the record: unsigned integers whose bit r * window[1] + c says whether the
    element in row r and column c of the window equals the maximum. A window of more than 32
    elements has several words, which are neighbours in the second dimension of the record.
    """

    __props__ = (*ConvPoolBase.__props__, "record")

    def __init__(self, window, filter_flip=True, border_mode="valid", ignore_border=True,
                 record=False, openmp=None):
        super().__init__(window, filter_flip, border_mode, ignore_border, openmp)
        self.record = bool(record)

    def make_node(self, images, filters):
        images, filters = self.check_inputs(images, filters)
        one_image, one_map = images.broadcastable[0], filters.broadcastable[0]
        outputs = [TensorType(images.dtype, (one_image, one_map, False, False))()]
        if self.record:
            one_word = one_map and record_words(self.window) == 1
            outputs.append(TensorType(record_dtype(self.window),
                                      (one_image, one_word, False, False))())
        return Apply(self, [images, filters], outputs)

    def infer_shape(self, node, shapes):
        images, filters = shapes
        _, pooled = self.find_sizes(images, filters)
        return [(images[0], filters[0] * words, *pooled)
                for words in (1, record_words(self.window))[:len(node.outputs)]]

    def connection_pattern(self, node):
        return [[True, False][:len(node.outputs)] for _ in node.inputs]

    def grad(self, inputs, gradients):
        if isinstance(gradients[0].type, DisconnectedType):
            return [DisconnectedType()() for _ in inputs]
        options = self.window, self.filter_flip, self.border_mode, self.ignore_border
        record = ConvPool(*options, record=True)(*inputs)[1]
        gw, gx = ConvPoolGrad(*options)(inputs[0], inputs[1], gradients[0], record)
        return [gx, gw]

    def perform(self, node, inputs, outputs, params):
        images, filters = inputs
        (oh, ow), (ph, pw), images = self.check_shapes(images, filters)
        filters = self.correlation_filters(filters)
        maps = numpy.zeros((len(images), len(filters), oh, ow), images.dtype)
        for y, x in numpy.ndindex(*filters.shape[2:]):
            maps += numpy.einsum("mc,ncij->nmij", filters[:, :, y, x],
                              images[:, :, y:y + oh, x:x + ow])
        wh, ww = self.window
        # What a window lacks is NaN, which is never the largest.
        maps = numpy.pad(maps, ((0, 0), (0, 0), (0, wh - 1), (0, ww - 1)),
                         constant_values=numpy.nan)
        elements = [maps[:, :, r:ph * wh:wh, c:pw * ww:ww] for r in range(wh) for c in range(ww)]
        best = elements[0]
        for element in elements[1:]:
            best = numpy.where(element > best, element, best)
        outputs[0][0] = numpy.ascontiguousarray(best)
        if self.record:
            dtype, words = record_dtype(self.window), record_words(self.window)
            record = numpy.zeros((len(images), len(filters) * words, ph, pw), dtype)
            for i, element in enumerate(elements):
                record[:, i // 32::words] |= \
                    (element == best).astype(dtype) << numpy.array(i % 32, dtype)
            outputs[1][0] = record

    def c_code(self, node, name, inputs, outputs, sub):
        wanted = outputs if self.record else outputs + [None]
        return self.c_call("convpool", node, inputs, wanted, sub)


class ConvPoolGrad(ConvPoolBase):
    """Gradients of `ConvPool` with respect to its filters and its images.

    Parameters
    ----------
    window, filter_flip, border_mode, ignore_border :
        As given to `ConvPool`.
    wrt : tuple of str
        Which gradients are wanted: ``('filters', 'images')`` or one of the two.

    Inputs are images, filters, the gradient with respect to the pooled maps, and the record;
    outputs the gradients that `wrt` names, in its order.
    """

    __props__ = (*ConvPoolBase.__props__, "wrt")

    def __init__(self, window, filter_flip=True, border_mode="valid", ignore_border=True,
                 wrt=("filters", "images"), openmp=None):
        super().__init__(window, filter_flip, border_mode, ignore_border, openmp)
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
        height, width = images.shape[2:]
        (oh, ow), (ph, pw), images = self.check_shapes(images, filters)
        filters = self.correlation_filters(filters)
        wh, ww = self.window
        if gradient.shape != (len(images), len(filters), ph, pw):
            raise ValueError(f"ConvPoolGrad: gradient of shape {gradient.shape}")
        maps = numpy.zeros((*gradient.shape[:2], oh + wh - 1, ow + ww - 1), images.dtype)
        for i, (r, c) in enumerate(numpy.ndindex(wh, ww)):
            word = record[:, i // 32::record_words(self.window)]
            hit = word >> numpy.array(i % 32, record.dtype) & numpy.array(1, record.dtype)
            maps[:, :, r:ph * wh:wh, c:pw * ww:ww] = numpy.where(hit, gradient, 0)
        maps = maps[:, :, :oh, :ow]
        gw, gx = numpy.zeros_like(filters), numpy.zeros_like(images)
        for y, x in numpy.ndindex(*filters.shape[2:]):
            part = (slice(None), slice(None), slice(y, y + oh), slice(x, x + ow))
            gw[:, :, y, x] = numpy.einsum("nmij,ncij->mc", maps, images[part])
            gx[part] += numpy.einsum("nmij,mc->ncij", maps, filters[:, :, y, x])
        (above, _), (left, _) = self.zeros(filters.shape[2:])
        values = {"filters": self.correlation_filters(gw),
                  "images": gx[:, :, above:above + height, left:left + width]}
        for name, output in zip(self.wrt, outputs):
            output[0] = numpy.ascontiguousarray(values[name])

    def c_code(self, node, name, inputs, outputs, sub):
        output = dict(zip(self.wrt, outputs))
        wanted = [output.get("filters"), output.get("images")]
        return self.c_call("convpool_grad", node, inputs, wanted, sub)
