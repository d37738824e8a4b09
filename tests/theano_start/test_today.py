"""Theano on the Python and NumPy of today: the same types and numbers, and nobody else sees it."""

import itertools
import os
import sys

import numpy
import pytest
import theano
import theano.tensor as T
from conftest import run_python
from theano.tensor.extra_ops import Unique
from theano.tensor.shared_randomstreams import RandomStreams
from theano.tensor.signal.pool import pool_2d
from theano_start import dtype_table

from lenet.theano_start.today import generated, python, view

HERE = os.path.dirname(os.path.abspath(__file__))
FLOATX = theano.config.floatX


def read_reference(floatX):
    with open(os.path.join(HERE, f"dtypes_{floatX}.txt")) as file:
        return file.read().splitlines()


def test_types_are_those_of_numpy_1():
    assert list(dtype_table.lines()) == read_reference(FLOATX)


def test_types_are_those_of_numpy_1_with_the_other_floats():
    other = {"float32": "float64", "float64": "float32"}[FLOATX]
    process = run_python(dtype_table.__file__, THEANO_FLAGS="floatX=" + other)
    assert process.stdout.splitlines() == read_reference(other)


def lowest_bits(number, dtype):
    """What is left of an integer in a type that is too small for it, by arithmetic."""
    info = numpy.iinfo(dtype)
    return (int(number) - int(info.min)) % 2 ** info.bits + int(info.min)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32"])
@pytest.mark.parametrize("number", [127, 128, -129, 300, 65536, -1, 2 ** 31, 2 ** 40 + 5, 1e10])
def test_numbers_that_are_too_large_keep_their_lowest_bits(dtype, number):
    expected = lowest_bits(number, dtype)
    assert T.constant(number, dtype=dtype).data == expected
    assert T.constant([number, 0], dtype=dtype).data.tolist() == [expected, 0]
    assert T.TensorType(dtype, ()).filter(number, allow_downcast=True) == expected
    assert theano.scalar.Scalar(dtype).filter(number, allow_downcast=True) == expected


@pytest.mark.parametrize("make", [
    lambda: T.constant(2 ** 64, dtype="int8"),
    lambda: T.constant(float("inf"), dtype="int32"),
    lambda: T.TensorType("int8", ()).filter(300),
    lambda: theano.scalar.Scalar("int8").filter(300),
    lambda: theano.scalar.Scalar("float32").filter(2 ** 24 + 1)])
def test_numbers_that_are_refused(make):
    with pytest.raises((OverflowError, TypeError)):
        make()


MODES = theano.Mode("cvm", "fast_run"), theano.Mode("py", None)


def compile_and_interpret(inputs, outputs):
    """The same function in C and in Python."""
    return [theano.function(inputs, outputs, mode=mode) for mode in MODES]


def test_axis_that_means_all():
    x = T.matrix("x")
    value = numpy.arange(12, dtype=FLOATX).reshape(3, 4)[::-1]
    for function in compile_and_interpret([x], [T.cumsum(x), T.cumsum(x, axis=1), T.max(x),
                                                T.argmax(x), T.argmax(x, axis=0)]):
        results = function(value)
        for result, expected in zip(results, [value.cumsum(), value.cumsum(1), 11, 3,
                                              [0, 0, 0, 0]]):
            numpy.testing.assert_array_equal(result, expected)


def test_complex_numbers():
    x, y = T.zvector("x"), T.zvector("y")
    a, b = numpy.array([1 + 2j, -3j]), numpy.array([2 - 1j, 4 + 0.5j])
    expressions = [x + y, x - 2 * y, x * y, x / y, -x, abs(x), x.real, x.imag, T.conj(x),
                   T.cast(x, "complex64")]
    expected = [a + b, a - 2 * b, a * b, a / b, -a, abs(a), a.real, a.imag, a.conj(), a]
    for function in compile_and_interpret([x, y], expressions):
        for result, value in zip(function(a, b), expected):
            numpy.testing.assert_allclose(result, value, rtol=1e-6)


def test_rows_that_are_incremented_twice():
    x, y, i = T.matrix("x"), T.matrix("y"), T.lvector("i")
    function = theano.function([x, y, i], [T.inc_subtensor(x[i], y), T.set_subtensor(x[i], y)])
    a, b = numpy.ones((4, 2), FLOATX), numpy.arange(6, dtype=FLOATX).reshape(3, 2)
    incremented, replaced = function(a, b, [1, 1, 3])
    assert incremented.tolist() == [[1, 1], [3, 5], [1, 1], [5, 6]]
    assert replaced.tolist() == [[1, 1], [2, 3], [1, 1], [4, 5]]


def test_division_that_rounds_up():
    a, b = T.iscalar("a"), T.lscalar("b")
    function = theano.function([a, b], T.ceil_intdiv(a, b))
    assert [function(x, 3) for x in (6, 7, 8, 9)] == [2, 3, 3, 3]


def test_largest_elements():
    x = T.matrix("x")
    value = numpy.array([[3, 1, 4, 1.5], [9, 2, 6, 5]], FLOATX)
    function = theano.function([x], T.topk_and_argtopk(x, 2, sorted=False),
                               mode="FAST_COMPILE")
    values, places = function(value)
    assert numpy.sort(values).tolist() == [[3, 4], [6, 9]]
    assert numpy.sort(places).tolist() == [[0, 2], [0, 2]]


def test_random_numbers_are_the_same_in_c_and_python():
    from theano.sandbox.rng_mrg import MRG_RandomStreams

    for dtype in ("float32", "float64"):
        in_c, in_python = [
            theano.function([], MRG_RandomStreams(7).uniform((100,), dtype=dtype, nstreams=10),
                            mode=mode)() for mode in MODES]
        numpy.testing.assert_allclose(in_c, in_python, rtol=1.2e-7)  # the last bit of float32
        assert 0 < in_c.min() < 0.1 and 0.9 < in_c.max() < 1


def test_scan():
    x, n = T.vector("x"), T.iscalar("n")
    powers, updates = theano.scan(lambda before: before * x, outputs_info=T.ones_like(x),
                                  n_steps=n)
    gradient = T.grad(powers[-1].sum(), x)
    function = theano.function([x, n], [powers, gradient], updates=updates)
    value = numpy.array([1, 2, -3], FLOATX)
    results, slope = function(value, 5)
    numpy.testing.assert_allclose(results, [value ** k for k in range(1, 6)])
    numpy.testing.assert_allclose(slope, 5 * value ** 4)


@pytest.mark.parametrize("mode", ["sum", "average_inc_pad", "average_exc_pad"])
def test_the_gradient_of_pooling_is_interpreted(mode):
    x = T.dtensor4("x")
    z = pool_2d(x, (2, 2), ignore_border=True, mode=mode)
    gradient = theano.function([x], T.grad(z.sum(), x), mode=theano.Mode("py", None))
    expected = numpy.zeros((1, 2, 5, 4))
    expected[:, :, :4] = 1 if mode == "sum" else 0.25
    numpy.testing.assert_array_equal(gradient(numpy.ones((1, 2, 5, 4))), expected)


OTHERS = """
import sys
import numpy
before = sorted(vars(numpy))
import lenet
import theano.tensor.basic
print(sorted(set(vars(numpy)) - set(before)))
print([name for name in ("imp", "distutils.spawn") if name in sys.modules])
print(theano.tensor.basic.np.bool, theano.tensor.basic.np.product([2, 3]))
"""


@pytest.mark.skipif(view.numpy_version() < (2, 0), reason="NumPy 1 has the names")
def test_others_see_the_real_numpy():
    lines = run_python("-W", "ignore", "-c", OTHERS).stdout.splitlines()
    added = lines[0].strip("[]").replace("'", "").split(", ")
    # submodules that NumPy loads when they are asked for
    assert [name for name in added if name and not hasattr(numpy, name)] == []
    assert not {"product", "cast", "MAXDIMS"} & set(added)
    if sys.version_info >= (3, 12):
        assert lines[1] == "[]"
    assert lines[2] == "<class 'bool'> 6"


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python has no distutils any more")
def test_stand_ins_say_what_distutils_says(monkeypatch):
    import distutils.spawn
    import distutils.sysconfig as real

    monkeypatch.setattr(python, "REPLACED", {})
    python.replace_distutils()
    ours = python.REPLACED["distutils.sysconfig"]
    for name in ("EXT_SUFFIX", "LDLIBRARY", "LIBDIR"):
        assert ours.get_config_var(name) == real.get_config_var(name)
    for ask in (lambda m: m.get_python_inc(), lambda m: m.get_python_inc(plat_specific=True),
                lambda m: m.get_python_lib(plat_specific=1, standard_lib=1),
                lambda m: m.get_python_version(), lambda m: m.get_config_h_filename()):
        assert os.path.realpath(ask(ours)) == os.path.realpath(ask(real))
    find = python.REPLACED["distutils.spawn"].find_executable
    assert find("sh") == distutils.spawn.find_executable("sh")
    assert find("no such program") is None


def test_header_has_one_name_wherever_the_package_lies(tmp_path):
    first = generated.copy_header(str(tmp_path))
    with open(generated.HEADER) as source, open(first) as copy:
        assert copy.read() == source.read()
    assert generated.copy_header(str(tmp_path)) == first
    assert os.listdir(str(tmp_path)) == [os.path.basename(first)]


def test_mends_are_applied_from_their_version_on(monkeypatch):
    mends = [view.Mend("m", None), view.Mend("m", None, (1, 24)), view.Mend("m", None, (2, 0))]
    monkeypatch.setattr(numpy, "__version__", "1.26.4")
    assert view.select_needed(mends) == mends[:2]
    monkeypatch.setattr(numpy, "__version__", "2.0.0rc1")
    assert view.select_needed(mends) == mends


def test_random_numbers_without_an_update_are_drawn_again():
    draws = theano.function([], RandomStreams(1).normal((3,)), no_default_updates=True)
    numpy.testing.assert_array_equal(draws(), draws())


def test_inverse_of_unique_is_a_vector():
    x = T.lmatrix()
    values, inverse = theano.function([x], Unique(return_inverse=True)(x))([[7, 5], [5, 9]])
    assert values.tolist() == [5, 7, 9] and inverse.tolist() == [1, 0, 0, 2]


def test_a_variable_in_the_place_of_its_type():
    x = T.TensorType("float32", (False,))()
    assert x.zeros_like(x).dtype == "float32"


def test_product_of_empty_matrices():
    x, y = T.matrices("xy")
    product = theano.function([x, y], T.dot(x, y))
    for rows, columns, depth in ((0, 5, 3), (5, 0, 3), (2, 3, 0)):
        found = product(numpy.ones((rows, depth), FLOATX), numpy.ones((depth, columns), FLOATX))
        assert found.shape == (rows, columns) and not found.any()


def test_gradient_of_arcsin():
    x = T.fvector()
    gradient = theano.function([x], T.grad(T.arcsin(x).sum(), x))(numpy.array([0.6], "float32"))
    assert gradient[0] == pytest.approx(1 / 0.8)  # 1 / sqrt(1 - x ** 2)


def test_inverse_in_python_has_64_bits():
    x = T.dvector()
    inverse = theano.function([x], T.inv(x), mode=theano.Mode("py", None))
    assert inverse([3.0])[0] == 1 / 3


@pytest.mark.parametrize("function, slope", [
    (T.deg2rad, numpy.pi / 180), (T.rad2deg, 180 / numpy.pi)])
def test_gradients_of_degrees(function, slope):
    x = T.fvector()
    gradient = theano.function([x], T.grad(function(x).sum(), x))(numpy.array([7], "float32"))
    assert gradient[0] == pytest.approx(slope)


def convolve(x, w, full):
    """The convolution of x, of shape (n, channels, ...), with w, of shape (maps, channels, ...)."""
    axes = range(2, x.ndim)
    if full:
        x = numpy.pad(x, [(0, 0), (0, 0)] + [(w.shape[axis] - 1,) * 2 for axis in axes])
    flipped = numpy.flip(w, list(axes))
    places = [x.shape[axis] - w.shape[axis] + 1 for axis in axes]
    y = numpy.zeros((len(x), len(w), *places))
    for place in itertools.product(*map(range, places)):
        window = tuple(slice(start, start + w.shape[axis]) for start, axis in zip(place, axes))
        y[(slice(None), slice(None)) + place] = numpy.tensordot(
            x[(slice(None), slice(None)) + window], flipped, [range(1, x.ndim)] * 2)
    return y


@pytest.mark.parametrize("border_mode", ["valid", "full"])
@pytest.mark.parametrize("function, size", [
    (T.nnet.conv2d, (6, 5)), (T.nnet.conv.conv2d, (6, 5)), (T.nnet.conv3d, (4, 6, 5))])
def test_convolutions_that_are_not_optimised(function, size, border_mode, rng):
    x, w = rng.randn(2, 3, *size), rng.randn(4, 3, *(2, 3, 2)[:len(size)])
    images, filters = (theano.shared(a.astype(FLOATX)) for a in (x, w))
    y = function(images, filters, border_mode=border_mode)
    found = theano.function([], y, mode=theano.Mode("py", None))()
    numpy.testing.assert_allclose(found, convolve(x, w, border_mode == "full"), rtol=1e-4,
                                  atol=1e-5)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "DebugMode", theano.compile.FAST_COMPILE])
def test_convolutions_in_other_modes(mode, rng):
    x, w = rng.randn(2, 3, 6, 5), rng.randn(4, 3, 2, 3)
    images, filters = (theano.shared(a.astype(FLOATX)) for a in (x, w))
    y = T.nnet.conv2d(images, filters)
    found, slopes = theano.function([], [y, T.grad(y.sum(), filters)], mode=mode)()
    numpy.testing.assert_allclose(found, convolve(x, w, False), rtol=1e-4, atol=1e-5)
    # A number of a filter meets the numbers of the images at each of 5 x 3 places.
    sums = [[x[:, :, i:i + 5, j:j + 3].sum(axis=(0, 2, 3)) for j in (2, 1, 0)] for i in (1, 0)]
    expected = numpy.broadcast_to(numpy.transpose(sums, (2, 0, 1)), w.shape)
    numpy.testing.assert_allclose(slopes, expected, rtol=1e-4, atol=1e-5)


def test_values_for_tests_of_a_convolution(rng, monkeypatch):
    monkeypatch.setattr(theano.config, "compute_test_value", "raise")
    x = T.tensor4()
    x.tag.test_value = rng.randn(1, 1, 4, 4).astype(FLOATX)
    y = T.nnet.conv2d(x, theano.shared(numpy.ones((1, 1, 4, 4), FLOATX)))
    assert y.tag.test_value.ravel() == pytest.approx(x.tag.test_value.sum(), rel=1e-5)


@pytest.mark.parametrize("pad", [(0, 0), (1, 0)])
def test_pooling_in_python(pad, rng):
    x = rng.randn(2, 3, 4, 6)
    images = theano.shared(x)
    padded = numpy.pad(x, [(0, 0), (0, 0)] + [(n, n) for n in pad], constant_values=-numpy.inf)
    windows = padded.reshape(2, 3, padded.shape[2] // 2, 2, padded.shape[3] // 3, 3)
    y = pool_2d(images, (2, 3), ignore_border=True, pad=pad)
    found, slopes = theano.function([], [y, T.grad(y.sum(), images)], mode="FAST_COMPILE")()
    assert type(found) is type(slopes) is numpy.ndarray
    numpy.testing.assert_array_equal(found, windows.max(axis=(3, 5)))
    numpy.testing.assert_array_equal(slopes, numpy.isin(x, found).astype(float))


def test_a_correlation_that_is_not_optimised(rng):
    x, w = rng.randn(1, 1, 6, 5), rng.randn(1, 1, 2, 3)
    y = T.nnet.conv2d(theano.shared(x), theano.shared(w), filter_flip=False)
    found = theano.function([], y, mode=theano.Mode("py", None))()
    numpy.testing.assert_allclose(found, convolve(x, w[:, :, ::-1, ::-1], False))


def test_chi_squared_in_python():
    x = T.dvector()
    found = theano.function([x], T.chi2sf(x, 2), mode=theano.Mode("py", None))([3.0])
    assert found[0] == pytest.approx(numpy.exp(-1.5))  # two degrees of freedom: exp(-x / 2)


def test_what_few_graphs_call_is_not_imported_at_the_start():
    process = run_python("-W", "ignore", "-c", "import sys, lenet; print([name for name in ("
                         "'scipy.stats', 'scipy.signal', 'setuptools') if name in sys.modules])")
    assert process.stdout == "[]\n", process.stderr
