"""Where this package's ops enter a graph that is compiled for a GPU.

    1.5     stabilize                                                       (Theano)
    1.65    lenet_ops_products  convolutions -> one product for the whole minibatch,
                                gradients of biases -> products with ones
    1.7     products -> calls of BLAS, 48.5 everything to the GPU           (Theano)
    48.55   lenet_ops_scalars   single numbers back to the host, what is reshaped in order
    49      element-wise ops are fused                                      (Theano)

Imported only where a GPU is in use: it needs pygpu.
"""

import numpy
from theano import tensor
from theano.compile import optdb
from theano.gof import local_optimizer
from theano.gof.opt import EquilibriumOptimizer, copy_stack_trace
from theano.gpuarray.basic_ops import (
    GpuFromHost,
    GpuReshape,
    HostFromGpu,
    gpu_contiguous,
    host_from_gpu,
)
from theano.gpuarray.elemwise import GpuDimShuffle, GpuElemwise
from theano.gpuarray.opt import (
    local_cut_gpu_transfers,
    op_lifter,
    register_opt,
    register_opt2,
)
from theano.gpuarray.reduction import GpuMaxAndArgmax
from theano.gpuarray.type import GpuArrayConstant
from theano.tensor.basic import Argmax

from lenet.ops.columns import (
    ColumnImages,
    ImageColumns,
    local_convolution_by_columns,
    local_pool_by_map,
)
from lenet.ops.gpu_argmax import GpuRowArgmax
from lenet.ops.gpu_columns import GpuColumnImages, GpuImageColumns
from lenet.ops.sums import local_sum_by_product


def is_transfer(variable, op):
    return variable.owner is not None and isinstance(variable.owner.op, op)


@local_optimizer([GpuElemwise])
def local_scalar_on_host(node):
    """An element-wise op on single numbers that come from the host, or go there -> on the host.

    Theano moves the size of a minibatch to the GPU, which divides by it; and libgpuarray reads each
    single number back before it launches a kernel. That waits for all kernels before it, a hundred
    times as long as the division takes.
    """
    if any(v.ndim for v in node.inputs + node.outputs) or len(node.outputs) != 1:
        return
    old = node.outputs[0]
    comes = all(isinstance(v, GpuArrayConstant) or is_transfer(v, GpuFromHost)
                for v in node.inputs)
    goes = old.clients and all(client != "output" and isinstance(client.op, HostFromGpu)
                               for client, _ in old.clients)
    if not (comes or goes):
        return
    inputs = []
    for v in node.inputs:
        if isinstance(v, GpuArrayConstant):
            inputs.append(tensor.constant(numpy.asarray(v.data)))
        else:
            inputs.append(v.owner.inputs[0] if is_transfer(v, GpuFromHost) else host_from_gpu(v))
    on_host = tensor.Elemwise(node.op.scalar_op)(*inputs)
    if on_host.dtype != old.dtype:
        return
    new = GpuFromHost(old.type.context_name)(on_host)
    copy_stack_trace(old, [on_host, new])
    return [new]


@local_optimizer([GpuReshape])
def local_contiguous_reshape(node):
    """What may lie in another order -> in this order before it is reshaped. A reshape that copies
    takes new memory each time, which a recorded graph (``gpu_capture.py``) cannot."""
    x, shape = node.inputs
    if x.owner is not None and isinstance(x.owner.op, (GpuElemwise, GpuDimShuffle)):
        return [node.op(gpu_contiguous(x), shape)]


def argmax(op, context_name, inputs, outputs):
    """Argmax on the GPU. Theano, which uses it for MaxAndArgmax where nothing asks for the maximum,
    would compute it on the host."""
    x = inputs[0]
    axes = tuple(range(x.ndim) if op.axis is None else op.axis)
    if x.ndim == 2 and axes == (1,) and x.dtype in ("float32", "float64"):
        return [GpuRowArgmax()(x)]
    return [GpuMaxAndArgmax(axes)(x)[1]]


def image_columns(op, context_name, inputs, outputs):
    return GpuImageColumns(op.rows, op.columns, op.flip)


def column_images(op, context_name, inputs, outputs):
    return GpuColumnImages(op.rows, op.columns, op.flip)


def register():
    """Put the rewrites into Theano's database with the tag ``lenet_ops``; once only."""
    if "lenet_ops_products" in optdb.__db__:
        return
    tags = ("fast_run", "lenet_ops")
    optdb.register("lenet_ops_products", EquilibriumOptimizer(
        [local_convolution_by_columns, local_pool_by_map, local_sum_by_product],
        max_use_ratio=10), 1.65, *tags)
    optdb.register("lenet_ops_scalars", EquilibriumOptimizer(
        [local_scalar_on_host, local_contiguous_reshape, local_cut_gpu_transfers],
        max_use_ratio=10), 48.55, *tags)
    # Theano has two ways to the GPU: the whole graph at once, and op by op.
    for host, maker in ((ImageColumns, image_columns), (ColumnImages, column_images),
                        (Argmax, argmax)):
        name = "local_gpua_" + maker.__name__
        register_opt2([host], "fast_compile", "lenet_ops", name=name)(maker)
        register_opt("fast_compile", "lenet_ops", name=name)(op_lifter([host])(maker))
