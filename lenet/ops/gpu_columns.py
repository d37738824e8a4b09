"""The ops of columns.py on the GPU. Imported only where a GPU is in use: it needs pygpu."""

from pygpu import gpuarray
from theano.gof import Apply
from theano.gpuarray.basic_ops import (
    GpuKernelBase,
    Kernel,
    as_gpuarray_variable,
    gpu_contiguous,
    gpuarray_helper_inc_dir,
    infer_context_name,
)
from theano.gpuarray.type import GpuArrayType

from lenet.ops.columns import KERNELS, ColumnImages, Columns, ImageColumns


class GpuFloatsOp(GpuKernelBase):
    """An op with a kernel of ours, of one contiguous array of float32 or float64."""

    _f16_ok = False

    def check_input(self, x, ndim):
        """(x on the device, the name of its context)"""
        context = infer_context_name(x)
        x = gpu_contiguous(as_gpuarray_variable(x, context))
        if x.ndim != ndim or x.dtype not in ("float32", "float64"):
            raise TypeError(f"{type(self).__name__}: expected {ndim} dimensions, float32 or "
                            f"float64, not {x.type}")
        return x, context

    def perform(self, node, inputs, outputs, params):
        raise NotImplementedError(type(self).__name__ + " needs a compiler")

    def c_headers(self):
        return super().c_headers() + ["<gpuarray_helper.h>", "gpuarray/types.h"]

    def c_header_dirs(self):
        return super().c_header_dirs() + [gpuarray_helper_inc_dir()]


class GpuColumns(GpuFloatsOp, Columns):
    """A kernel of columns.cuh, with a block of 256 threads per 256 numbers of a tap or channel."""

    def make_node(self, x):
        x, context = self.check_input(x, 4)
        return Apply(self, [x], [GpuArrayType(x.dtype, self.broadcastable(x),
                                              context_name=context)()])

    def c_code_cache_version(self):
        return (4, read_kernels())

    def gpu_kernels(self, node, name):
        dtype = node.inputs[0].dtype
        code = '#include "cluda.h"\n' + write_definitions(
            self.rows, self.columns, self.flip, gpuarray.dtype_to_ctype(dtype)) + read_kernels()
        arrays = [gpuarray.GpuArray, gpuarray.SIZE] * 2
        return [Kernel(code=code, name=self.kernel, params=arrays + ["uint32"] * 4,
                       flags=Kernel.get_flags(dtype), objvar=f"k_{self.kernel}_{name}")]

    def c_code(self, node, name, inputs, outputs, sub):
        return """
        const size_t *in = PyGpuArray_DIMS(%(x)s);
        size_t out[4], blocks[2], threads[2] = {256, 1};
        size_t n, channels, height, width, positions, numbers;
        int err;
        %(shapes)s
        if (%(impossible)s) {
            PyErr_Format(PyExc_ValueError, "%(op)s: filters of %(rows)d x %(columns)d do not fit "
                         "an array of %%zu x %%zu x %%zu x %%zu", in[0], in[1], in[2], in[3]);
            %(fail)s
        }
        // of the columns, never fewer than of the images; BLAS counts with 31 bits
        if (numbers >> 31) {
            PyErr_Format(PyExc_ValueError, "%(op)s: the columns of a convolution are %%zu numbers, "
                         "more than 2 ** 31; take smaller minibatches", numbers);
            %(fail)s
        }
        if (theano_prep_output(&%(z)s, 4, out, %(x)s->ga.typecode, GA_C_ORDER,
                               %(context)s) != 0) {
            %(fail)s
        }
        // a launch of nothing is an error
        if (n && channels) {
            blocks[0] = (positions + 255) / 256;
            if (blocks[0] > 65535) blocks[0] = 65535;
            blocks[1] = channels;
            if (blocks[1] > 65535) blocks[1] = 65535;
            err = %(kernel)s_call(2, blocks, threads, 0, %(x)s->ga.data, %(x)s->ga.offset,
                                  %(z)s->ga.data, %(z)s->ga.offset, (npy_uint32)n,
                                  (npy_uint32)channels, (npy_uint32)height, (npy_uint32)width);
            if (err != GA_NO_ERROR) {
                PyErr_Format(PyExc_RuntimeError, "%(op)s: %%s",
                             GpuKernel_error(&k_%(kernel)s_%(name)s, err));
                %(fail)s
            }
        }
        """ % dict(x=inputs[0], z=outputs[0], fail=sub["fail"], context=sub["params"], name=name,
                   op=type(self).__name__, kernel=self.kernel, rows=self.rows,
                   columns=self.columns, impossible=self.c_impossible,
                   shapes=self.c_shapes % dict(rows=self.rows, columns=self.columns))


class GpuImageColumns(GpuColumns, ImageColumns):
    kernel = "image_columns"
    c_shapes = """
        n = in[0]; channels = in[1]; height = in[2]; width = in[3];
        out[0] = channels * %(rows)d * %(columns)d; out[1] = n;
        out[2] = height - %(rows)d + 1; out[3] = width - %(columns)d + 1;
        positions = n * out[2] * out[3];
        numbers = out[0] * positions;"""
    # sizes are unsigned: what is below 0 is large
    c_impossible = "out[2] > height || out[3] > width || !out[2] || !out[3]"


class GpuColumnImages(GpuColumns, ColumnImages):
    kernel = "column_images"
    c_shapes = """
        n = in[1]; channels = in[0] / (%(rows)d * %(columns)d);
        height = in[2] + %(rows)d - 1; width = in[3] + %(columns)d - 1;
        out[0] = n; out[1] = channels; out[2] = height; out[3] = width;
        positions = n * height * width;
        numbers = in[0] * n * in[2] * in[3];"""
    c_impossible = "!in[2] || !in[3]"


def write_definitions(rows, columns, flip, ctype):
    """What columns.cuh expects to be defined."""
    return (f"#define ROWS {rows}\n#define COLUMNS {columns}\n#define FLIP {flip:d}\n"
            f"#define T {ctype}\n")


def read_kernels():
    with open(KERNELS) as file:
        return file.read()
