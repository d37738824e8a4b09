"""ConvPool and ConvPoolGrad against the graph that Theano makes without them."""

import os
import threading

import numpy
import pytest
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d
from theano.tensor.signal.pool import pool_2d

from lenet.ops.convpool import ConvPool, ConvPoolGrad

pytestmark = pytest.mark.skipif(
    os.environ.get("LENET_OPS") == "0", reason="LENET_OPS=0 switches the ops off"
)

TOLERANCE = {"float32": 1e-4, "float64": 1e-10}


def reference(x, w, window, flip, gz=None, kept=False):
    """Pooled maps and, with gz, gradients with respect to x and w: sums over the filters' taps.

    With ``kept``, windows that are not full count as well.
    """
    x, w = x.astype("float64"), w.astype("float64")
    if flip:
        w = w[:, :, ::-1, ::-1]
    oh, ow = x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1
    taps = list(numpy.ndindex(*w.shape[2:]))
    maps = sum(numpy.einsum("mc,ncij->nmij", w[:, :, i, j], x[:, :, i:i + oh, j:j + ow])
               for i, j in taps)
    ph, pw = ((n + kept * (size - 1)) // size for n, size in zip((oh, ow), window))
    full = numpy.full(maps.shape[:2] + (oh + window[0], ow + window[1]), -numpy.inf)
    full[:, :, :oh, :ow] = maps
    blocks = full[:, :, :ph * window[0], :pw * window[1]]
    blocks = blocks.reshape(maps.shape[:2] + (ph, window[0], pw, window[1]))
    z = blocks.max(axis=(3, 5))
    if gz is None:
        return z
    hits = blocks == z[:, :, :, None, :, None]
    full[:] = 0
    full[:, :, :ph * window[0], :pw * window[1]] = (
        hits * gz[:, :, :, None, :, None]).reshape(blocks.shape[:2] + (ph * window[0], -1))
    full = full[:, :, :oh, :ow]
    gx, gw = numpy.zeros_like(x), numpy.zeros_like(w)
    for i, j in taps:
        gw[:, :, i, j] = numpy.einsum("nmij,ncij->mc", full, x[:, :, i:i + oh, j:j + ow])
        gx[:, :, i:i + oh, j:j + ow] += numpy.einsum("nmij,mc->ncij", full, w[:, :, i, j])
    return z, gx, gw[:, :, ::-1, ::-1] if flip else gw


def types(dtype, *names):
    return [T.TensorType(dtype, (False,) * 4)(name) for name in names]


def ops_function(dtype, window, flip, ignore_border=True):
    """x, w, gz -> z, gx, gw by the ops themselves, without a pass through the optimisations."""
    x, w, gz = types(dtype, "x", "w", "gz")
    z, record = ConvPool(window, flip, ignore_border=ignore_border, record=True)(x, w)
    gw, gx = ConvPoolGrad(window, flip, ignore_border=ignore_border)(x, w, gz, record)
    return theano.function([x, w, gz], [z, gx, gw], mode=theano.Mode("cvm", None))


def graph_function(dtype, window, exclude=False, images=True, **options):
    """The same from the graph that a user writes; without gx if `images` is False."""
    x, w, gz = types(dtype, "x", "w", "gz")
    z = pool_2d(conv2d(x, w, border_mode=options.get("border_mode", "valid")), window,
                ignore_border=options.get("ignore_border", True))
    gradients = T.grad(None, [x, w] if images else [w], known_grads={z: gz})
    mode = theano.compile.get_mode("FAST_RUN")
    if exclude:
        mode = mode.excluding("lenet_ops")
    return theano.function([x, w, gz], [z] + gradients, mode=mode)


def ops_of(function):
    return [type(node.op).__name__ for node in function.maker.fgraph.toposort()]


def assert_close(found, expected, dtype):
    expected = numpy.asarray(expected)
    assert found.shape == expected.shape
    scale = numpy.abs(expected).max() if expected.size else 0
    numpy.testing.assert_allclose(found, expected, rtol=TOLERANCE[dtype],
                               atol=TOLERANCE[dtype] * (scale + 1e-30))


def random_shape(rng, window):
    """Any shape with at least one pooled element, small enough for a quick reference."""
    fh, fw = rng.randint(1, 8, 2)
    low = fh + window[0] - 1, fw + window[1] - 1  # one window
    h, w = (rng.randint(max(5, least), 41) for least in low)
    n, c, m = rng.randint(1, 68), rng.randint(1, 34), rng.randint(1, 71)
    while n * c * m * h * w * fh * fw > 3e7:  # multiplications
        n, c, m = (n + 1) // 2, (c + 1) // 2, (m + 1) // 2
        h, w = max(low[0], h - 4), max(low[1], w - 4)
    return (n, c, h, w), (m, c, fh, fw)


def draw_distinct(rng, shape, dtype):
    """Small multiples of 1/64: sums of products are exact, so that ties are ties everywhere."""
    return (rng.randint(-64, 65, shape) / 64.).astype(dtype)


def draw_arguments(rng, xs, ws, window, dtype, kept=False):
    zs = (xs[0], ws[0]) + tuple(
        (xs[i] - ws[i] + 1 + kept * (window[i - 2] - 1)) // window[i - 2] for i in (2, 3))
    return [draw_distinct(rng, shape, dtype) for shape in (xs, ws, zs)]


WINDOWS = {"float32": [(r, c) for r in range(1, 5) for c in range(1, 5)] + [(5, 7), (50, 3)],
           "float64": [(r, c) for r in range(1, 5) for c in range(1, 5) if r * c <= 8]}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_random_shapes(dtype):
    rng = numpy.random.RandomState(1)
    for number, window in enumerate(WINDOWS[dtype]):
        flip, kept = bool(number % 2), bool(number % 3)
        function = ops_function(dtype, window, flip, ignore_border=not kept)
        for _ in range(3):
            xs, ws = random_shape(rng, (1, 1) if kept else window)
            x, w, gz = draw_arguments(rng, xs, ws, window, dtype, kept)
            for found, expected in zip(function(x, w, gz), reference(x, w, window, flip, gz, kept)):
                assert_close(found, expected, dtype)


@pytest.mark.parametrize("dtype,window,channels,pooled,options", [
    ("float32", (2, 2), 3, (5, 5), {}), ("float32", (2, 2), 1, (5, 5), {}),
    ("float64", (3, 2), 3, (3, 5), {}), ("float64", (9, 4), 3, (1, 2), {}),
    ("float32", (3, 2), 1, (4, 5), {"ignore_border": False}),
    ("float32", (4, 9), 3, (3, 2), {"border_mode": (1, (0, 2)), "ignore_border": False})])
def test_unfused_graph(dtype, window, channels, pooled, options):
    """Ties, zeros, infinities and NaN in any place do what they do in Theano's own ops.

    One channel stands for the first layer, whose images need no gradient.
    """
    rng = numpy.random.RandomState(2)
    images = channels > 1
    with_ops = graph_function(dtype, window, images=images, **options)
    without = graph_function(dtype, window, exclude=True, images=images, **options)
    assert "ConvPool" in ops_of(with_ops) and "ConvPoolGrad" in ops_of(with_ops)
    assert not {"Pool", "MaxPoolGrad", "CorrMM"} & set(ops_of(with_ops))
    assert {"Pool", "MaxPoolGrad", "CorrMM"} <= set(ops_of(without))
    assert "ConvPool" not in ops_of(without)
    xs, ws = (19, channels, 13, 12), (7, channels, 4, 3)
    for case in range(24):
        x, w, gz = [draw_distinct(rng, shape, dtype) for shape in (xs, ws, (19, 7, *pooled))]
        if case % 2:  # ties
            x *= rng.rand(*x.shape) > .8
        for array in (x, w, gz)[:case % 4]:
            for value in (numpy.inf, -numpy.inf, numpy.nan, 0)[:1 + case // 6]:
                array.flat[rng.randint(array.size, size=2)] = value
        for found, expected in zip(with_ops(x, w, gz), without(x, w, gz)):
            numpy.testing.assert_allclose(found, expected, rtol=TOLERANCE[dtype],
                                       atol=100 * TOLERANCE[dtype])


def test_ties_all_get_the_gradient():
    function = ops_function("float32", (2, 2), True)
    x, w = numpy.zeros((3, 2, 6, 6), "float32"), numpy.ones((4, 2, 3, 3), "float32")
    gz = numpy.ones((3, 4, 2, 2), "float32")
    _, gx, gw = function(x, w, gz)
    # 4 x 4 elements of each of 4 maps get 1; the corner of the image is under one of them
    assert gx[0, 0, 0, 0] == 4 and gx.sum() == 3 * 2 * 4 * 16 * 9
    assert not gw.any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_strided_and_broadcast_inputs(dtype):
    rng = numpy.random.RandomState(3)
    window = (2, 2)
    function = ops_function(dtype, window, True)
    x, w, gz = draw_arguments(rng, (18, 3, 11, 12), (9, 3, 4, 5), window, dtype)
    expected = function(x, w, gz)
    variants = [lambda a: numpy.asfortranarray(a),
                lambda a: numpy.flip(numpy.ascontiguousarray(numpy.flip(a))),
                lambda a: numpy.repeat(numpy.repeat(a, 2, axis=1), 3, axis=3)[:, ::2, :, ::3],
                lambda a: numpy.ascontiguousarray(a.transpose(2, 0, 3, 1)).transpose(1, 3, 0, 2)]
    for variant in variants:
        for found, value in zip(function(variant(x), variant(w), variant(gz)), expected):
            numpy.testing.assert_array_equal(found, value)
    ones = numpy.ones((), dtype)
    wide = [numpy.broadcast_to(ones, a.shape) for a in (x, w, gz)]
    for found, value in zip(function(*wide), reference(*wide[:2], window, True, wide[2])):
        assert_close(found, value, dtype)


def test_empty_minibatch_and_no_window():
    function = ops_function("float32", (2, 2), True)
    z, gx, gw = function(*[numpy.zeros(s, "float32") for s in
                           ((0, 3, 8, 8), (5, 3, 3, 3), (0, 5, 3, 3))])
    assert z.shape == (0, 5, 3, 3) and gx.shape == (0, 3, 8, 8) and not gw.any()
    # a filter as large as the image leaves one element: no window
    z, gx, gw = function(*[numpy.ones(s, "float32") for s in
                           ((2, 3, 4, 4), (5, 3, 4, 4), (2, 5, 0, 0))])
    assert z.shape == (2, 5, 0, 0) and not gx.any() and not gw.any() and gw.shape == (5, 3, 4, 4)


@pytest.mark.parametrize("shapes,message", [
    (((2, 3, 8, 8), (5, 4, 3, 3), (2, 5, 3, 3)), "3 channels, filters have 4"),
    (((2, 3, 8, 2), (5, 3, 3, 3), (2, 5, 3, 0)), "3 x 3 do not fit images of 8 x 2"),
    (((2, 3, 8, 8), (5, 3, 3, 3), (2, 5, 3, 4)), "should be 2 x 5 x 3 x 3")])
def test_wrong_shapes(shapes, message):
    function = ops_function("float32", (2, 2), True)
    with pytest.raises(ValueError) as error:
        function(*[numpy.zeros(shape, "float32") for shape in shapes])
    assert message in str(error.value)


def test_wrong_types():
    x, w = types("float32", "x", "w")
    for make in (lambda: ConvPool((2, 2))(x, w.astype("float64")),
                 lambda: ConvPool((2, 2))(x.astype("int32"), w.astype("int32")),
                 lambda: ConvPool((2, 2))(x, w[0]),
                 lambda: ConvPoolGrad((2, 2))(x, w, x, x)):
        with pytest.raises(TypeError):
            make()
    for options in (((0, 2),), ((2,),), ((2, 2), True, "same")):
        with pytest.raises(ValueError):
            ConvPool(*options)
    with pytest.raises(ValueError):
        ConvPoolGrad((2, 2), wrt=("x",))


def test_verify_grad():
    rng = numpy.random.RandomState(4)
    x, w = rng.rand(2, 2, 7, 6), rng.rand(3, 2, 3, 2)  # no ties, so that the slope exists
    for op in ConvPool((2, 2)), ConvPool((9, 4), True, "full", False):
        theano.tensor.verify_grad(op, [x, w], rng=rng, mode=theano.Mode("cvm", None))


def test_perform_is_the_kernel():
    rng = numpy.random.RandomState(5)
    for options, pooled, wrt in (
            (((2, 3), False), (3, 2), ("filters", "images")),
            (((5, 8), True, "half", False), (2, 2), ("filters",)),
            (((2, 3), False, ((1, 0), (0, 2)), False), (4, 4), ("images",))):
        x, w, gz = types("float32", "x", "w", "gz")
        z, record = ConvPool(*options, record=True)(x, w)
        outputs = [z, record] + ConvPoolGrad(*options, wrt=wrt)(
            x, w, gz, record, return_list=True)
        values = [draw_distinct(rng, shape, "float32")
                  for shape in ((5, 3, 9, 11), (4, 3, 3, 4), (5, 4, *pooled))]
        results = [theano.function([x, w, gz], outputs, mode=theano.Mode(linker, None))(*values)
                   for linker in ("py", "cvm")]
        for found, expected in zip(*results):
            assert found.dtype == expected.dtype
            numpy.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_infer_shape():
    x, w = types("float32", "x", "w")
    values = numpy.zeros((4, 3, 9, 12), "float32"), numpy.zeros((5, 3, 2, 4), "float32")
    for op, expected in ((ConvPool((2, 3)), (4, 3)),
                         (ConvPool((3, 4), True, "full", False), (4, 4))):
        shape = theano.function([x, w], op(x, w).shape)
        assert not {"ConvPool", "Pool", "CorrMM"} & set(ops_of(shape))
        assert list(shape(*values)) == [4, 5, *expected]


def test_two_functions_from_two_threads():
    rng = numpy.random.RandomState(6)
    jobs = []
    for window in ((2, 2), (3, 2)):
        function = ops_function("float32", window, True)
        values = draw_arguments(rng, (67, 5, 16, 17), (13, 5, 4, 3), window, "float32")
        jobs.append((function, values, function(*values)))
    failures = []

    def check_calls(function, values, expected):
        for _ in range(20):
            for found, value in zip(function(*values), expected):
                if not numpy.array_equal(found, value):
                    failures.append(function)

    threads = [threading.Thread(target=check_calls, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
