"""Convolutions without pooling: against sums in NumPy, and where they are in a graph."""

import os

import numpy
import pytest
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d

from lenet.ops.convolution import Convolution

RAW = theano.Mode("cvm", None)
KINDS = ("output", "filters", "images")
OF_THEANO = {"CorrMM", "CorrMM_gradWeights", "CorrMM_gradInputs"}


def reference(x, w, gy, flip):
    """The maps of images x and filters w, and the gradients of sum(maps * gy), in float64."""
    x, w, gy = (a.astype("float64") for a in (x, w, gy))
    if flip:
        w = w[:, :, ::-1, ::-1]
    rows, columns = gy.shape[2:]
    y, gw, gx = numpy.zeros_like(gy), numpy.zeros_like(w), numpy.zeros_like(x)
    for r, c in numpy.ndindex(rows, columns):
        seen = (slice(None), slice(None), slice(r, r + w.shape[2]), slice(c, c + w.shape[3]))
        y[:, :, r, c] = numpy.einsum("mcij,ncij->nm", w, x[seen])
        gw += numpy.einsum("nm,ncij->mcij", gy[:, :, r, c], x[seen])
        gx[seen] += numpy.einsum("nm,mcij->ncij", gy[:, :, r, c], w)
    return {"output": y, "filters": gw[:, :, ::-1, ::-1] if flip else gw, "images": gx}


def operands(kind, x, w, gy):
    return {"output": (x, w), "filters": (x, gy), "images": (w, gy)}[kind]


def draw(rng, dtype, shape=None):
    """Images, filters and a gradient, of a shape (images, channels, rows, columns, maps, ...)."""
    n, c, height, width, m, fh, fw = shape or [rng.randint(low, high) for low, high in (
        (1, 12), (1, 5), (5, 20), (5, 40), (1, 20), (1, 6), (1, 6))]
    return [rng.randn(*s).astype(dtype) for s in (
        (n, c, height, width), (m, c, fh, fw), (n, m, height - fh + 1, width - fw + 1))]


def function_of(kind, dtype, mode=RAW, **options):
    a, b = (T.TensorType(dtype, (False,) * 4)() for _ in range(2))
    return theano.function([a, b], Convolution(kind, **options)(a, b), mode=mode)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-13)])
@pytest.mark.parametrize("kind", KINDS)
def test_random_shapes(kind, dtype, tolerance, rng):
    for flip in (True, False):
        functions = [function_of(kind, dtype, filter_flip=flip, openmp=openmp)
                     for openmp in (False, True)]
        functions.append(function_of(kind, dtype, theano.Mode("py", None), filter_flip=flip))
        # then more images and channels than one block of the filters' gradient holds
        for shape in [None] * 10 + [(80, 3, 40, 30, 7, 4, 3), (300, 1, 28, 28, 6, 5, 5)]:
            arrays = draw(rng, dtype, shape)
            expected = reference(*arrays, flip)[kind]
            for function in functions:
                numpy.testing.assert_allclose(function(*operands(kind, *arrays)), expected,
                                              rtol=tolerance, atol=tolerance * abs(expected).max())


@pytest.mark.parametrize("kind", KINDS)
def test_strided_and_empty_arrays(kind, rng):
    function = function_of(kind, "float32")
    arrays = draw(rng, "float32", (3, 2, 9, 8, 5, 3, 2))
    expected = function(*operands(kind, *arrays))
    turned = [numpy.repeat(a.copy("F"), 2, 3)[..., ::2] for a in arrays]
    numpy.testing.assert_array_equal(function(*operands(kind, *turned)), expected)
    arrays = draw(rng, "float32", (0, 2, 9, 8, 5, 3, 2))
    numpy.testing.assert_array_equal(function(*operands(kind, *arrays)),
                                     reference(*arrays, True)[kind])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [numpy.inf, numpy.nan])
def test_infinity_reaches_what_sees_it_only(kind, value, rng):
    for which in range(3):
        arrays = draw(rng, "float32", (3, 2, 7, 9, 4, 3, 2))
        arrays[which][1, 1, 1, 1] = value
        expected = reference(*arrays, True)[kind]
        found = function_of(kind, "float32")(*operands(kind, *arrays))
        numpy.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind, shapes", [
    ("output", [(2, 3, 8, 8), (4, 2, 3, 3)]), ("filters", [(2, 3, 8, 8), (3, 4, 6, 6)]),
    ("images", [(4, 2, 3, 3), (2, 3, 6, 6)]), ("output", [(2, 3, 2, 8), (4, 3, 3, 3)])])
def test_what_does_not_fit(kind, shapes):
    for mode in (RAW, theano.Mode("py", None)):
        with pytest.raises(ValueError, match="do not fit"):
            function_of(kind, "float32", mode)(*(numpy.zeros(s, "f") for s in shapes))


def test_gradients_of_another_shape_than_asked_for(rng):
    arrays = draw(rng, "float32", (2, 3, 9, 8, 4, 3, 2))
    for kind, shape in (("filters", (3, 2)), ("images", (9, 8))):
        for mode in (RAW, theano.Mode("py", None)):
            size = T.ivector()
            a, b = (T.TensorType("float32", (False,) * 4)() for _ in range(2))
            function = theano.function([a, b, size], Convolution(kind)(a, b, size), mode=mode)
            found = function(*operands(kind, *arrays), numpy.asarray(shape, "int32"))
            assert found.shape[2:] == shape
            with pytest.raises(ValueError, match="would be .*, not"):
                function(*operands(kind, *arrays), numpy.asarray([shape[0], shape[1] + 1], "int32"))


def test_gradient_of_filters_reads_nothing_but_zeros_behind_its_images(rng):
    """Of 20 such images, the second thread has 7: fewer than it has room for."""
    x, w, gy = draw(rng, "float32", (20, 1, 28, 28, 6, 5, 5))
    leave_nan = function_of("output", "float32", openmp=True)
    function = function_of("filters", "float32", openmp=True)
    for _ in range(5):
        leave_nan(numpy.full((20, 1, 140, 140), numpy.nan, "float32"), w)
        assert numpy.isfinite(function(x, gy)).all()


def test_wrong_types():
    x = T.tensor4(dtype="float32")
    for other in (T.matrix(dtype="float32"), T.tensor4(dtype="float64")):
        with pytest.raises(TypeError, match="float32 or float64"):
            Convolution("output")(x, other)
    with pytest.raises(ValueError, match="output, filters, images"):
        Convolution("maps")


def test_shape_without_computing():
    for kind, shapes, expected in (("output", [(9, 3, 8, 7), (4, 3, 3, 2)], (9, 4, 6, 6)),
                                   ("filters", [(9, 3, 8, 7), (9, 4, 6, 6)], (4, 3, 3, 2)),
                                   ("images", [(4, 3, 3, 2), (9, 4, 6, 6)], (9, 3, 8, 7))):
        assert Convolution(kind).infer_shape(None, shapes) == [expected]


# --- in a graph ---------------------------------------------------------------------------


def convolve(maps, channels, size, filters, **options):
    """Inputs, and a convolution and both its gradients."""
    x, w, g = T.tensor4("x"), T.tensor4("w"), T.tensor4("g")
    y = conv2d(x, w, input_shape=(None, channels) + size, filter_shape=(maps, channels) + filters,
               **options)
    return [x, w, g], [y] + T.grad(None, [w, x], known_grads={y: g})


def op_names(function):
    return [type(node.op).__name__ for node in function.maker.fgraph.toposort()]


@pytest.mark.skipif(os.environ.get("LENET_OPS") == "0", reason="LENET_OPS=0 switches the ops off")
@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("layer, found", [
    ((6, 1, (32, 32), (5, 5)), {"Convolution": 3}),
    ((16, 6, (14, 14), (5, 5)), {"Convolution": 3}),
    ((120, 16, (5, 5), (5, 5)), {"Dot22": 3}),
    ((7, 3, (4, 6), (4, 6)), {"Dot22": 3})])
def test_layers_of_lenet(layer, found, flip, rng):
    inputs, outputs = convolve(*layer, filter_flip=flip)
    mode = theano.compile.get_default_mode()
    function = theano.function(inputs, outputs)
    plain = theano.function(inputs, outputs, mode=mode.excluding("lenet_ops"))
    assert set(op_names(plain)) >= OF_THEANO and not OF_THEANO & set(op_names(function))
    assert all(op_names(function).count(name) == n for name, n in found.items())
    maps, channels, size, filters = layer
    for n in (1, 10):
        arrays = draw(rng, theano.config.floatX, (n, channels) + size + (maps,) + filters)
        for a, b in zip(function(*arrays), plain(*arrays)):
            numpy.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * abs(b).max())


@pytest.mark.skipif(os.environ.get("LENET_OPS") == "0", reason="LENET_OPS=0 switches the ops off")
def test_sizes_may_be_constants_of_theano():
    size, three = (T.constant(12), 12), T.constant(3)
    inputs, outputs = convolve(three, 2, size, (three, 3))
    assert "Convolution" in op_names(theano.function(inputs, outputs))


def test_images_of_another_size_than_given(rng):
    """Filters that cover the images given do not cover these."""
    x, w, _ = draw(rng, theano.config.floatX, (2, 1, 12, 12, 3, 6, 6))
    inputs, outputs = convolve(3, 1, (6, 6), (6, 6))
    function = theano.function(inputs[:2], outputs[:1])
    if os.environ.get("LENET_OPS") == "0":
        assert function(x, w)[0].shape == (2, 3, 7, 7)
    else:
        with pytest.raises(ValueError, match="shape|align|dimension"):
            function(x, w)


@pytest.mark.skipif(os.environ.get("LENET_OPS") == "0", reason="LENET_OPS=0 switches the ops off")
@pytest.mark.parametrize("layer, options", [
    ((17, 3, (14, 14), (5, 5)), {}),             # many maps: the matrix is soon written
    ((6, 3, (9, 9), (5, 5)), {}),                # most of each row would be of no use
    ((6, 3, (14, None), (5, 5)), {}),
    ((6, 3, (14, 14), (5, 5)), {"border_mode": "half"}),
    ((6, 3, (14, 14), (5, 5)), {"subsample": (2, 1)})])
def test_convolutions_that_are_left(layer, options):
    function = theano.function(*convolve(*layer, **options))
    assert "Convolution" not in op_names(function)
    assert OF_THEANO <= set(op_names(function))
