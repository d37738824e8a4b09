"""Sums over the minibatch as products with ones, for the GPU.

The gradient of a bias is such a sum. Theano's kernel for it (`GpuCAReduceCuda`) gives each bias a
few threads, which go through the minibatch example by example while the rest of the GPU is idle;
BLAS divides the work.
"""

from theano import tensor
from theano.gof import local_optimizer
from theano.gof.opt import copy_stack_trace

from lenet.ops.columns import as_matrix

# All axes but the one of the biases, of a matrix (n, m) and of maps (n, m, y, x).
AXES = {2: (0,), 4: (0, 2, 3)}


def sum_rows(matrix):
    """(n, m) -> (m,)"""
    return tensor.dot(matrix.T, tensor.ones((matrix.shape[0],), matrix.dtype))


@local_optimizer([tensor.Sum])
def local_sum_by_product(node):
    """Sum over all axes but the second -> products, the last of which BLAS adds to the bias.

    Maps are summed over the minibatch first, whose numbers are adjacent:
    (n, m, y, x) -> (m, y x) -> (m,).
    """
    x, = node.inputs
    old = node.outputs[0]
    if (not isinstance(node.op, tensor.Sum) or node.op.axis is None
            or tuple(sorted(node.op.axis)) != AXES.get(x.ndim)
            or x.dtype != old.dtype or x.dtype not in ("float32", "float64")):
        return
    if x.ndim == 2:
        new = sum_rows(x)
    else:
        maps = sum_rows(as_matrix(x)).reshape((x.shape[1], x.shape[2] * x.shape[3]))
        new = sum_rows(maps.T)
    copy_stack_trace(old, new)
    return [tensor.patternbroadcast(new, old.broadcastable)]
