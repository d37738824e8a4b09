"""The ops are in a compiled graph where their pattern is, and nowhere else."""

import os

import numpy
import pytest
import theano
import theano.tensor as T
from conftest import run_python
from theano.tensor.nnet import conv2d
from theano.tensor.signal.pool import pool_2d

import lenet.ops
from lenet.ops.rewrites import uses_cpu

pytestmark = pytest.mark.skipif(
    os.environ.get("LENET_OPS") == "0", reason="LENET_OPS=0 switches the ops off"
)

FLOATX = theano.config.floatX
OURS = {"ConvPool", "ConvPoolGrad", "Activation", "ActivationGrad"}


def optimize(inputs, outputs, *excluding):
    """The classes of a graph's ops after Theano's optimisations, without compiling any."""
    mode = theano.Mode("py", theano.compile.mode.OPT_FAST_RUN.excluding(*excluding))
    function = theano.function(inputs, outputs, mode=mode, on_unused_input="ignore")
    return [node.op for node in function.maker.fgraph.toposort()]


def compile_both(inputs, outputs):
    """Functions with the ops and without."""
    mode = theano.compile.get_default_mode()
    return [theano.function(inputs, outputs, mode=mode.excluding(*excluded))
            for excluded in ((), ("lenet_ops",))]


def op_names(ops):
    return [type(op).__name__ for op in ops]


def make_parameters():
    return T.tensor4("x"), T.tensor4("w"), T.vector("b")


def lenet_like(function=T.tanh):
    """Inputs, cost and parameters of two convolutional layers, a dense one and a softmax."""
    rng = numpy.random.RandomState(1)

    def shared(*shape):
        return theano.shared(rng.uniform(-.3, .3, shape).astype(FLOATX))

    x, y = T.matrix("x"), T.ivector("y")
    layer, weights = x.reshape((-1, 1, 14, 14)), []
    for maps, channels in ((4, 1), (6, 4)):
        w, b = shared(maps, channels, 3, 3), shared(maps)
        pooled = pool_2d(conv2d(layer, w), (2, 2), ignore_border=True)
        layer = function(pooled + b.dimshuffle("x", 0, "x", "x"))
        weights += [w, b]
    w, b = shared(24, 7), shared(7)
    hidden = function(T.dot(layer.flatten(2), w) + b)
    v, c = shared(7, 10), shared(10)
    p = T.nnet.softmax(T.dot(hidden, v) + c)
    cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y])
    return [x, y], cost, weights + [w, b, v, c]


@pytest.mark.parametrize("function", [T.tanh, T.nnet.sigmoid])
def test_whole_network(function):
    inputs, cost, weights = lenet_like(function)
    gradients = T.grad(cost, weights)
    with_ops = theano.function(inputs, [cost] + gradients)
    found = op_names(node.op for node in with_ops.maker.fgraph.toposort())
    assert [found.count(name) for name in sorted(OURS)] == [3, 3, 2, 2]
    assert not {"Pool", "MaxPoolGrad", "CorrMM", "CorrMM_gradWeights",
                "CorrMM_gradInputs"} & set(found)
    mode = theano.compile.get_default_mode().excluding("lenet_ops")
    without = theano.function(inputs, [cost] + gradients, mode=mode)
    assert not OURS & set(op_names(node.op for node in without.maker.fgraph.toposort()))
    rng = numpy.random.RandomState(2)
    values = rng.rand(21, 196).astype(FLOATX), rng.randint(0, 10, 21).astype("int32")
    for a, b in zip(with_ops(*values), without(*values)):
        numpy.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_gradient_of_the_first_images_is_not_computed():
    inputs, cost, weights = lenet_like()
    wrt = sorted(op.wrt for op in optimize(inputs, T.grad(cost, weights))
                 if type(op).__name__ == "ConvPoolGrad")
    assert wrt == [("filters",), ("filters", "images")]


def test_evaluation_writes_no_record():
    inputs, cost, _ = lenet_like()
    assert [op.record for op in optimize(inputs, cost)
            if type(op).__name__ == "ConvPool"] == [False, False]


def test_excluded_and_fast_compile():
    inputs, cost, weights = lenet_like()
    gradients = T.grad(cost, weights)
    assert not OURS & set(op_names(optimize(inputs, gradients, "lenet_ops")))
    function = theano.function(inputs, gradients, mode=theano.Mode("py", "fast_compile"))
    assert not OURS & set(op_names(node.op for node in function.maker.fgraph.toposort()))


def pool(x, w, window=(2, 2), conv=None, **pool):
    return pool_2d(conv2d(x, w, **(conv or {})), window, **dict({"ignore_border": True}, **pool))


@pytest.mark.parametrize("make", [
    lambda x, w: pool(x, w, (3, 1)),
    lambda x, w: pool(x, w, stride=(2, 2), pad=(0, 0)),
    lambda x, w: pool(x, w, conv={"border_mode": (0, 0)}),
    lambda x, w: pool(x, w, conv={"filter_flip": False}),
    lambda x, w: pool(x, w, conv={"border_mode": "full"}),
    lambda x, w: pool(x, w, conv={"border_mode": "half"}),
    lambda x, w: pool(x, w, conv={"border_mode": (1, 0)}),
    lambda x, w: pool(x, w, conv={"input_shape": (None, 3, 12, 9), "filter_shape": (2, 3, 5, 4)},
                      ignore_border=False),
    lambda x, w: pool(x, w, conv={"border_mode": "full"}, ignore_border=False),
    lambda x, w: pool(x, w, (62, 1))])
def test_patterns_that_are_fused(make):
    x, w, _ = make_parameters()
    assert "ConvPool" in op_names(optimize([x, w], make(x, w)))
    found = op_names(optimize([x, w], T.grad(make(x, w).sum(), [x, w])))
    assert found.count("ConvPoolGrad") == 1 and "MaxPoolGrad" not in found


@pytest.mark.parametrize("make", [
    lambda x, w: pool(x, w, stride=(1, 2)),
    lambda x, w: pool(x, w, pad=(1, 0)),
    lambda x, w: pool(x, w, mode="sum"),
    lambda x, w: pool(x, w, mode="average_exc_pad"),
    lambda x, w: pool(x, w, conv={"subsample": (2, 1)}),
    lambda x, w: pool(x, w, conv={"filter_dilation": (2, 2)}),
    lambda x, w: pool(x, w, conv={"num_groups": 2}),
    lambda x, w: pool_2d(x, (2, 2), ignore_border=True).sum() + w.sum(),
    lambda x, w: conv2d(x, w)])
def test_patterns_that_are_left(make):
    x, w, _ = make_parameters()
    assert not {"ConvPool", "ConvPoolGrad"} & set(op_names(optimize([x, w], make(x, w))))
    gradients = T.grad(make(x, w).sum(), [x, w])
    assert not {"ConvPool", "ConvPoolGrad"} & set(op_names(optimize([x, w], gradients)))


@pytest.mark.parametrize("border_mode", ["valid", "full", "half", (2, 1), ((1, 0), (0, 2))])
@pytest.mark.parametrize("shapes", [
    {}, {"input_shape": (None, 2, 9, 8), "filter_shape": (4, 2, 3, 4)}])
@pytest.mark.parametrize("ignore_border", [True, False])
def test_borders(border_mode, shapes, ignore_border):
    x, w, _ = make_parameters()
    z = pool(x, w, (3, 2), conv=dict(shapes, border_mode=border_mode), ignore_border=ignore_border)
    outputs = [z] + T.grad((z ** 2).sum(), [x, w])
    with_ops, without = compile_both([x, w], outputs)
    assert "ConvPoolGrad" in op_names(node.op for node in with_ops.maker.fgraph.toposort())
    rng = numpy.random.RandomState(5)
    values = [rng.randn(*shape).astype(FLOATX) for shape in ((3, 2, 9, 8), (4, 2, 3, 4))]
    for a, b in zip(with_ops(*values), without(*values)):
        numpy.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_unpooled_maps_used_elsewhere():
    x, w, _ = make_parameters()
    maps = conv2d(x, w)
    z = pool_2d(maps, (2, 2), ignore_border=True)
    for outputs in ([z, maps], [z, maps.sum()], T.grad((z.sum() + (maps ** 2).sum()), [x, w]),
                    [z, pool_2d(maps, (3, 3), ignore_border=True)],
                    [T.grad(z.sum(), maps)]):
        assert "ConvPool" not in op_names(optimize([x, w], outputs))


def test_activation_patterns():
    x, _, b = make_parameters()
    m = T.matrix("m")
    wide = b.dimshuffle("x", 0, "x", "x")
    for expression, bias in ((T.tanh(x + wide), True), (T.tanh(wide + x), True),
                             (T.nnet.sigmoid(m + b), True), (T.tanh(m), False),
                             (T.tanh(x + b), False), (T.tanh(m + b.dimshuffle(0, "x")), False)):
        ops = [op for op in optimize([x, b, m], expression)
               if type(op).__name__ == "Activation"]
        assert [op.bias for op in ops] == [bias]
    for expression in (T.tanh(T.scalar()), T.tanh(T.imatrix().astype("int8")), T.sin(m)):
        inputs = [v for v in theano.gof.graph.inputs([expression])
                  if not isinstance(v, theano.Constant)]
        assert "Activation" not in op_names(optimize(inputs, expression))


def test_reshaped_activation_is_computed_once():
    x, _, b = make_parameters()
    y = T.tanh(x + b.dimshuffle("x", 0, "x", "x"))
    cost = T.dot(y.flatten(2), T.ones((y.size // y.shape[0], 3))).sum()
    found = op_names(optimize([x, b], [cost] + T.grad(cost, [x, b])))
    assert found.count("Activation") == found.count("ActivationGrad") == 1


@pytest.mark.parametrize("make, at_100", [
    (lambda x: T.log(1 - T.nnet.sigmoid(x)), -100),
    (lambda x: T.log(T.nnet.sigmoid(-x)), -100),
    (lambda x: T.nnet.binary_crossentropy(T.nnet.sigmoid(x), 0), 100)])
def test_what_theano_stabilizes_stays_stable(make, at_100):
    x = T.matrix("x")
    function = theano.function([x], make(x))
    numpy.testing.assert_allclose(function(numpy.full((1, 1), 100, FLOATX)), at_100)


def gates(i, f, o, g, c):
    """The output of an LSTM after one step, by its four gates and its state before."""
    state = T.nnet.sigmoid(f) * c + T.nnet.sigmoid(i) * T.tanh(g)
    return T.nnet.sigmoid(o) * T.tanh(state)


@pytest.mark.parametrize("make", [
    gates,
    lambda x, c, *_: T.tanh(2 * x + c),
    lambda x, c, *_: c * T.tanh(x),
    lambda x, c, *_: T.grad((c * T.tanh(2 * x)).sum(), x)])
def test_theano_makes_one_loop_of_longer_expressions(make):
    inputs = T.matrices(5)
    assert op_names(optimize(inputs, make(*inputs))) == \
        op_names(optimize(inputs, make(*inputs), "lenet_ops"))


@pytest.mark.parametrize("make, activations", [
    (lambda x, b: x * T.tanh(2 * x + b), 1),
    (lambda x, b: gates(*[x[:, 3 * n:3 * n + 3] for n in range(4)], x[:, 12:]), 5)])
def test_slow_loops_are_broken(make, activations):
    x, b = T.matrix("x"), T.vector("b")
    found = op_names(optimize([x, b], make(x, b)))
    assert found.count("Activation") == activations
    rng = numpy.random.RandomState(4)
    values = [rng.randn(*shape).astype(FLOATX) for shape in ((7, 15), (15,))]
    with_ops, without = [theano.function([x, b], make(x, b), on_unused_input="ignore",
                                         mode=theano.compile.get_default_mode().excluding(*names))
                         for names in ((), ("lenet_ops",))]
    numpy.testing.assert_allclose(with_ops(*values), without(*values), rtol=1e-5, atol=1e-6)


def test_no_more_loops_where_a_value_is_used_twice():
    inputs = x, c = T.matrices("x", "c")
    gradient = T.grad((c * T.nnet.sigmoid(x) ** 3).sum(), x)
    assert len(optimize(inputs, gradient)) == len(optimize(inputs, gradient, "lenet_ops"))


def test_gradient_of_a_bias_costs_no_loop():
    m, x = T.matrix("m"), T.matrix("x")
    b = T.vector("b")
    y = T.tanh(T.dot(x, x) + b)
    found = op_names(optimize([m, x, b], [y] + T.grad((m * y * y).sum(), [x, b])))
    assert "Sum" not in found and "ActivationGrad" in found


@pytest.mark.parametrize("function", [T.tanh, T.nnet.sigmoid])
def test_scaled_activation_and_its_gradients(function):
    """As in LeNet-5 of 1998: A tanh(S (c x + b)), with a coefficient and a bias for each map."""
    x, g, b, c = T.tensor4("x"), T.tensor4("g"), T.vector("b"), T.vector("c")
    inputs = [x, g, b, c]
    y = 1.7 * function(0.6 * (x * c.dimshuffle("x", 0, "x", "x") + b.dimshuffle("x", 0, "x", "x")))
    outputs = [y] + T.grad(None, [x, b, c], known_grads={y: g})
    with_ops, without = compile_both(inputs, outputs)
    found = op_names(node.op for node in with_ops.maker.fgraph.toposort())
    # one gradient for x and b, and one for c, in which c's factor is summed as well
    assert [found.count(name) for name in ("Activation", "ActivationGrad", "Sum")] == [1, 2, 0]
    rng = numpy.random.RandomState(5)
    values = [rng.randn(*shape).astype(FLOATX) for shape in 2 * [(7, 3, 6, 5)] + 2 * [(3,)]]
    for a, b in zip(with_ops(*values), without(*values)):
        numpy.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * abs(b).max())


def test_activations_of_other_scales_are_no_slope():
    x = T.matrix("x")
    for other in (1 - T.nnet.sigmoid(2 * x), T.nnet.sigmoid(-2 * x), T.nnet.sigmoid(2 * x)):
        outputs = [T.nnet.sigmoid(x), T.nnet.sigmoid(x) * other * x, T.nnet.sigmoid(2 * x)]
        with_ops, without = compile_both([x], outputs)
        value = numpy.random.RandomState(6).randn(4, 5).astype(FLOATX)
        for a, b in zip(with_ops(value), without(value)):
            numpy.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_factors_that_occur_twice(rng):
    """1 - y is a factor of the gradient by y, and of the slope of y."""
    x, b = T.matrix(), T.vector()
    gradient = T.grad(T.sum((1 - T.nnet.sigmoid(x + b)) ** 2), b)
    inputs, output = [x, b], T.grad(T.sum(gradient ** 2), b)
    values = [rng.randn(5, 3).astype(x.dtype), rng.randn(3).astype(b.dtype)]
    plain = theano.function(inputs, output, mode=theano.Mode("py", None))
    numpy.testing.assert_allclose(theano.function(inputs, output)(*values), plain(*values),
                                  rtol=1e-4)


def test_sum_of_another_type_and_infinite_scale(rng):
    x, b, g = T.ftensor4(), T.fvector(), T.ftensor4()
    y = T.tanh(x + b.dimshuffle("x", 0, "x", "x"))
    gradient = g * (1 - T.sqr(y))
    outputs = [y, gradient, gradient.sum((0, 2, 3), dtype="float64"),
               T.tanh(numpy.float32(numpy.inf) * x)]
    values = [rng.randn(2, 3, 4, 4).astype("float32"), rng.randn(3).astype("float32"),
              rng.randn(2, 3, 4, 4).astype("float32")]
    plain = theano.function([x, b, g], outputs, mode=theano.Mode("py", None))
    with theano.change_flags(on_opt_error="raise"):
        found = theano.function([x, b, g], outputs)(*values)
    for value, expected in zip(found, plain(*values)):
        assert value.dtype == expected.dtype
        numpy.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)


def test_bias_that_is_broadcast_is_added_by_theano():
    x = T.tensor4("x")
    one = theano.shared(numpy.ones(1, FLOATX), broadcastable=(True,))
    function = theano.function([x], T.tanh(x + one.dimshuffle("x", 0, "x", "x")))
    value = numpy.random.RandomState(3).randn(2, 3, 4, 5).astype(FLOATX)
    numpy.testing.assert_allclose(function(value), numpy.tanh(value + 1), rtol=1e-6)


def test_register_again_changes_nothing():
    before = dict(theano.compile.optdb.__position__)
    assert lenet.ops.register() is True
    assert theano.compile.optdb.__position__ == before


def test_gpu_graphs_are_left(monkeypatch):
    assert uses_cpu()
    monkeypatch.setattr(type(theano.config), "device", "cuda")
    assert not uses_cpu()


OFF = """
from lenet import ops
from theano.compile import optdb
print(ops.register(), any(name.startswith("lenet_ops") for name in optdb.__db__))
"""


@pytest.mark.parametrize("value, printed", [("0", "False False"), (None, "True True")])
def test_switched_off_by_the_environment(value, printed):
    assert run_python("-c", OFF, LENET_OPS=value).stdout == printed + "\n"
