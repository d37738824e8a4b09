"""Activation and ActivationGrad: values to 2 ulp, gradients, edges."""

import os

import numpy
import pytest
import theano
import theano.tensor as T

from lenet.ops.activation import Activation, ActivationGrad

pytestmark = pytest.mark.skipif(
    os.environ.get("LENET_OPS") == "0", reason="LENET_OPS=0 switches the ops off"
)

EXACT = {"tanh": numpy.tanh,
         "sigmoid": lambda x: numpy.where(x < 0, numpy.exp(x), 1) / (1 + numpy.exp(-abs(x)))}
RAW = theano.Mode("cvm", None)


def function_of(name, dtype):
    x = T.vector("x", dtype)
    return theano.function([x], Activation(name, bias=False)(x), mode=RAW)


def ulps(found, exact, dtype):
    """Distance in units in the last place of the exact value."""
    info = numpy.finfo(dtype)
    _, exponent = numpy.frexp(exact)
    unit = numpy.ldexp(1., numpy.maximum(exponent - 1, info.minexp) - info.nmant)
    return abs(found - exact) / unit


@pytest.mark.parametrize("name", sorted(EXACT))
def test_two_ulp_over_all_floats(name):
    """Every 499th of the 2^32 floats, against double precision."""
    function = function_of(name, "float32")
    x = numpy.arange(0, 2 ** 32, 499, dtype="uint64").astype("uint32").view("float32")
    worst = 0
    for piece in numpy.array_split(x, 16):
        piece = piece[numpy.isfinite(piece)]
        with numpy.errstate(all="ignore"):
            exact = EXACT[name](piece.astype("float64"))
        if len(piece):
            worst = max(worst, ulps(function(piece).astype("float64"), exact, "float32").max())
    assert worst <= 2


@pytest.mark.parametrize("name", sorted(EXACT))
def test_two_ulp_in_double_precision(name):
    if numpy.finfo("longdouble").nmant < 60:
        pytest.skip("no wider type to compare with")
    rng = numpy.random.RandomState(1)
    x = rng.choice([-1, 1], 200000) * 2 ** rng.uniform(-40, 10, 200000)
    exact = EXACT[name](x.astype("longdouble"))
    found = function_of(name, "float64")(x)
    normal = abs(exact) > numpy.finfo("float64").tiny
    unit = 2 ** (numpy.floor(numpy.log2(abs(exact[normal]))) - 52)
    assert (abs(found[normal] - exact[normal]) / unit).max() <= 2
    assert (abs(found[~normal] - exact[~normal]) <= 2 ** -1073.).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_edges(dtype):
    x = numpy.array([0., -0., numpy.inf, -numpy.inf, numpy.nan, 1e-40, -1e-40], dtype)
    y = function_of("tanh", dtype)(x)
    numpy.testing.assert_array_equal(y, x.clip(-1, 1))
    assert list(numpy.signbit(y[:2])) == [False, True]
    numpy.testing.assert_array_equal(function_of("sigmoid", dtype)(x),
                                  numpy.array([.5, .5, 1, 0, numpy.nan, .5, .5], dtype))


@pytest.mark.parametrize("name", sorted(EXACT))
def test_bias_and_gradients(name):
    rng = numpy.random.RandomState(2)
    for dtype, ndim, mode in (("float32", 4, RAW), ("float64", 2, RAW), ("float32", 2, "FAST_RUN")):
        tolerance = {"float32": 1e-5, "float64": 1e-12}[dtype]
        x, gy = (T.TensorType(dtype, (False,) * ndim)() for _ in range(2))
        b = T.vector(dtype=dtype)
        y = Activation(name)(x, b)
        gx, gb = ActivationGrad(name)(gy, y)  # FAST_RUN makes it work in the place of gy
        function = theano.function([x, b, theano.In(gy, mutable=True, borrow=True)],
                                   [y, gx, gb], mode=mode)
        inplace = [node.op.inplace for node in function.maker.fgraph.toposort()
                   if isinstance(node.op, ActivationGrad)]
        assert inplace == [mode == "FAST_RUN"]
        for rows, units in ((1, 1), (5, 3), (67, 37), (0, 4), (301, 129)):
            shape = (rows, units, 3, 5)[:ndim]
            xv, gv = (rng.randn(*shape).astype(dtype) for _ in range(2))
            bv = rng.randn(units).astype(dtype)
            yv = EXACT[name]((xv + bv.reshape((-1, 1, 1)[:ndim - 1])).astype("float64"))
            slope = 1 - yv ** 2 if name == "tanh" else yv * (1 - yv)
            expected = [yv, gv * slope, (gv * slope).sum(axis=(0, 2, 3)[:ndim - 1])]
            for found, value in zip(function(xv, bv, gv.copy()), expected):
                assert found.dtype == dtype
                numpy.testing.assert_allclose(found, value, rtol=tolerance,
                                           atol=tolerance * max(1, rows))


@pytest.mark.parametrize("ndim", [1, 2, 4])
def test_shapes_are_those_of_the_output(ndim):
    x, gy = (T.TensorType("float32", (False,) * ndim)() for _ in range(2))
    shape = tuple(range(2, 2 + ndim))
    for bias in (False, True)[:ndim]:  # a vector has no bias
        node = ActivationGrad("tanh", bias=bias).make_node(gy, x)
        expected = [shape, (3,)] if bias else [shape]
        assert node.op.infer_shape(node, [shape, shape]) == expected


def test_strided_inputs():
    x, b = T.tensor4("x", "float32"), T.vector("b", "float32")
    function = theano.function([x, b], Activation("tanh")(x, b), mode=RAW)
    rng = numpy.random.RandomState(3)
    xv, bv = rng.randn(4, 6, 5, 7).astype("float32"), rng.randn(6).astype("float32")
    expected = numpy.tanh(xv + bv[:, None, None])
    for strided in (xv.copy("F"), numpy.repeat(xv, 2, 3)[..., ::2],
                    numpy.ascontiguousarray(xv[::-1])[::-1]):
        found = function(strided, numpy.repeat(bv, 3)[::3])
        numpy.testing.assert_allclose(found, expected, rtol=1e-6)
    wide = numpy.broadcast_to(numpy.float32(2), xv.shape)
    numpy.testing.assert_allclose(function(wide, numpy.zeros(6, "f")), numpy.tanh(wide), rtol=1e-6)


def test_verify_grad():
    rng = numpy.random.RandomState(4)
    for name in EXACT:
        theano.tensor.verify_grad(Activation(name), [rng.randn(4, 3, 2, 2), rng.randn(3)],
                                  rng=rng, mode=RAW)


def test_scale():
    rng = numpy.random.RandomState(6)
    x, b = T.tensor4("x", "float64"), T.vector("b", "float64")
    xv, bv = rng.randn(5, 3, 4, 2), rng.randn(3)
    for name, exact in EXACT.items():
        op = Activation(name, scale=2. / 3)
        for mode in (RAW, theano.Mode("py", None)):
            found = theano.function([x, b], op(x, b), mode=mode)(xv, bv)
            expected = exact((xv + bv[:, None, None]) * 2 / 3)
            numpy.testing.assert_allclose(found, expected, rtol=1e-12)
        theano.tensor.verify_grad(op, [xv, bv], rng=rng, mode=RAW)


def test_perform_is_the_kernel():
    rng = numpy.random.RandomState(5)
    x, b, gy = T.tensor4("x", "float64"), T.vector("b", "float64"), T.tensor4("gy", "float64")
    values = rng.randn(5, 3, 4, 2), rng.randn(3), rng.randn(5, 3, 4, 2)
    for name in EXACT:
        y = Activation(name)(x, b)
        outputs = [y] + ActivationGrad(name)(gy, y)
        results = [theano.function([x, b, gy], outputs, mode=theano.Mode(linker, None))(*values)
                   for linker in ("py", "cvm")]
        for found, expected in zip(*results):
            numpy.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


def test_wrong_inputs():
    x, b = T.matrix("x", "float32"), T.vector("b", "float32")
    for make in (lambda: Activation("tanh")(x), lambda: Activation("tanh")(x, x),
                 lambda: Activation("tanh")(x, b.astype("float64")),
                 lambda: Activation("tanh")(b, b),
                 lambda: ActivationGrad("tanh")(x, b)):
        with pytest.raises(TypeError):
            make()
    with pytest.raises(ValueError):
        Activation("relu")
    function = theano.function([x, b], Activation("tanh")(x, b), mode=RAW)
    with pytest.raises(ValueError) as error:
        function(numpy.zeros((2, 3), "f"), numpy.zeros(4, "f"))
    assert "a bias of 4 for 3 units" in str(error.value)
