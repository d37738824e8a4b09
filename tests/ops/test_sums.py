"""lenet.ops.sums against NumPy's sums."""

import numpy
import pytest
import theano
import theano.tensor as T

from lenet.ops.sums import local_sum_by_product


def rewrite(x, y):
    """The graph of y after the rewrite, and the names of its ops."""
    graph = theano.gof.FunctionGraph([x], [y], clone=True)
    theano.gof.opt.EquilibriumOptimizer([local_sum_by_product], max_use_ratio=10).optimize(graph)
    return graph, [type(node.op).__name__ for node in graph.apply_nodes]


@pytest.mark.parametrize("axes, shape", [
    ((0,), (7, 3)), ((0,), (1, 1)), ((0, 2, 3), (5, 3, 2, 4)), ((0, 2, 3), (1, 2, 1, 1)),
    ((0,), (0, 3)), ((0, 2, 3), (0, 2, 3, 3)),
])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_of_a_minibatch(rng, axes, shape, dtype):
    x = T.TensorType(dtype, (False,) * len(shape))()
    graph, names = rewrite(x, x.sum(axis=axes))
    assert "Sum" not in names and "Dot" in names
    values = rng.normal(size=shape).astype(dtype)
    mode = theano.Mode("py", "fast_compile")
    found, = theano.function(graph.inputs, graph.outputs, mode=mode)(values)
    assert found.dtype == dtype
    numpy.testing.assert_allclose(found, values.sum(axis=axes), rtol=1e-5, atol=1e-6)


def test_the_broadcast_of_the_sum_stays():
    x = T.TensorType("float32", (False, True))()
    graph, _ = rewrite(x, x.sum(axis=0))
    assert graph.outputs[0].broadcastable == (True,)


@pytest.mark.parametrize("y", [
    lambda x: x.sum(), lambda x: x.sum(axis=1), lambda x: x.sum(axis=(0, 1)),
    lambda x: T.max(x, axis=0), lambda x: T.cast(x, "int32").sum(axis=0),
    lambda x: x.sum(axis=0, dtype="float64"),
])
def test_other_sums_are_left_alone(y):
    x = T.fmatrix()
    assert "Dot" not in rewrite(x, y(x))[1]
