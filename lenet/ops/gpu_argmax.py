"""The place of the largest number in each row of a matrix, on the GPU; needs pygpu.

Theano's operation writes and looks up its kernel at every call, and sends it the sizes.
"""

from pygpu import gpuarray
from theano.gof import Apply, Op
from theano.gpuarray.basic_ops import Kernel
from theano.gpuarray.type import GpuArrayType

from lenet.ops.gpu_columns import GpuFloatsOp

# A thread for each row. As NumPy's: the first of several, and NaN is larger than any number.
KERNEL = """#include "cluda.h"
KERNEL void row_argmax(GLOBAL_MEM const T *x, const ga_size x_offset, GLOBAL_MEM ga_long *z,
                       const ga_size z_offset, const ga_uint rows, const ga_uint columns) {
    x = (GLOBAL_MEM const T *)((GLOBAL_MEM const char *)x + x_offset);
    z = (GLOBAL_MEM ga_long *)((GLOBAL_MEM char *)z + z_offset);
    for (ga_uint i = GID_0 * LDIM_0 + LID_0; i < rows; i += GDIM_0 * LDIM_0) {
        GLOBAL_MEM const T *row = x + (ga_size)i * columns;
        ga_uint best = 0;
        for (ga_uint j = 1; j < columns; j++)
            if (row[j] > row[best] || (row[j] != row[j] && row[best] == row[best])) best = j;
        z[i] = best;
    }
}
"""


class GpuRowArgmax(GpuFloatsOp, Op):
    """``numpy.argmax(x, axis=1)`` of a matrix; int64."""

    __props__ = ()

    def make_node(self, x):
        x, context = self.check_input(x, 2)
        z = GpuArrayType("int64", x.broadcastable[:1], context_name=context)()
        return Apply(self, [x], [z])

    def c_code_cache_version(self):
        return (1, KERNEL)

    def gpu_kernels(self, node, name):
        dtype = node.inputs[0].dtype
        code = f"#define T {gpuarray.dtype_to_ctype(dtype)}\n" + KERNEL
        arrays = [gpuarray.GpuArray, gpuarray.SIZE] * 2
        return [Kernel(code=code, name="row_argmax", params=arrays + ["uint32"] * 2,
                       flags=Kernel.get_flags(dtype), objvar="k_row_argmax_" + name)]

    def c_code(self, node, name, inputs, outputs, sub):
        return """
        const size_t *in = PyGpuArray_DIMS(%(x)s);
        size_t threads = 64, blocks = (in[0] + 63) / 64;
        if (!in[1]) {
            PyErr_SetString(PyExc_ValueError, "argmax of rows without a number");
            %(fail)s
        }
        if (theano_prep_output(&%(z)s, 1, in, GA_LONG, GA_C_ORDER, %(context)s) != 0) {
            %(fail)s
        }
        if (blocks) {  // a launch of nothing is an error
            int err = row_argmax_call(1, &blocks, &threads, 0, %(x)s->ga.data, %(x)s->ga.offset,
                                      %(z)s->ga.data, %(z)s->ga.offset, (npy_uint32)in[0],
                                      (npy_uint32)in[1]);
            if (err != GA_NO_ERROR) {
                PyErr_Format(PyExc_RuntimeError, "GpuRowArgmax: %%s",
                             GpuKernel_error(&k_row_argmax_%(name)s, err));
                %(fail)s
            }
        }
        """ % dict(x=inputs[0], z=outputs[0], name=name, fail=sub["fail"], context=sub["params"])
