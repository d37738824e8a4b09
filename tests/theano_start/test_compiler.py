"""lenet.theano_start.compiler: BLAS, vector math, the floating-point mode; what may be missing."""

import shutil
import sys
import sysconfig

import numpy
import pytest
import theano
import theano.tensor as T
from conftest import assert_refused, make_home, run_python

from lenet.theano_start import compiler
from lenet.theano_start.refusal import SetupError
from lenet.theano_start.settings import UserSettings

PRODUCTS = """
import glob, lenet, numpy, theano, theano.tensor as T
for dtype in "float32", "float64":
    A, x, y = numpy.ones((3, 5), dtype), numpy.ones(5, dtype), numpy.ones(3, dtype)
    a, u, v = (T.TensorType(dtype, n * (False,))() for n in (2, 1, 1))
    f = theano.function([a, u, v], [T.dot(a, a.T), T.dot(a, u), a + T.outer(v, u), T.dot(u, u)])
    print([r.sum() for r in f(A, x, y)] == [45, 15, 30, 5])
code = b"".join(open(m, "rb").read() for m in glob.glob(theano.config.compiledir + "/*/*.so"))
print([n for t in "sd" for n in ("gemm", "gemv", "ger")
       if f"scipy_{t}{n}_".encode() not in code])
"""


def test_products_call_the_blas_of_the_package(tmp_path):
    process = run_python("-c", PRODUCTS, HOME=make_home(tmp_path))
    assert (process.stdout, process.stderr) == ("True\nTrue\n[]\n", "")


@pytest.mark.parametrize("function", [numpy.tanh, numpy.exp])
def test_vector_math_is_as_accurate_as_float32(function):
    x = T.vector(dtype="float32")
    compiled = theano.function([x], getattr(T, function.__name__)(x))
    values = numpy.linspace(-20, 20, 400001).astype("float32")
    exact = function(values.astype("float64"))
    # glibc states at most 4 units in the last place for the functions of its vector library.
    ulp = numpy.spacing(numpy.abs(exact).astype("float32"))
    assert (numpy.abs(compiled(values) - exact) <= 4 * ulp).all()


def test_two_blas_in_one_process():
    """NumPy's keeps to its own functions, whatever Theano's shows to all."""
    code = "import lenet, theano, numpy; a = numpy.eye(3); print(a.dot(a).sum())"
    process = run_python("-c", code)
    assert (process.returncode, process.stdout) == (0, "3.0\n"), process.stderr


def test_the_floating_point_mode_of_the_process_is_unchanged():
    x = T.vector(dtype="float32")
    values = numpy.array([1e-40, numpy.nan, numpy.inf, 1], dtype="float32")
    doubled = theano.function([x], x * 2)(values)
    assert doubled[0] == values[0] + values[0] > 0  # subnormal numbers are not flushed to zero
    assert values[0] * numpy.float32(0.5) > 0
    assert theano.function([x], T.isnan(x))(values).tolist() == [False, True, False, False]
    assert theano.function([x], T.isinf(x))(values).tolist() == [False, False, True, False]
    assert numpy.isnan(theano.function([x], T.tanh(x))(values)[1])


@pytest.mark.skipif(not shutil.which("clang++"), reason="needs clang++")
def test_clang_compiles_what_theano_writes(tmp_path):
    code = ("import lenet, numpy, theano, theano.tensor as T; x = T.matrix(dtype='float32'); "
            "f = theano.function([x], T.tanh(x + x.T) * x); "
            "print('%.4f' % f(numpy.ones((3, 3), 'float32')).sum())")
    process = run_python("-c", code, HOME=str(tmp_path), THEANO_FLAGS="cxx=clang++")
    assert process.stdout == "8.6762\n"
    lines = process.stderr.splitlines()
    assert not lines or "libomp" in lines[0] and len(lines) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Theano takes clang++")
def test_no_compiler_is_one_line(tmp_path):
    (tmp_path / "clang++").symlink_to(shutil.which("g++"))
    process = run_python("-c", "import lenet.mlp", PATH=str(tmp_path))
    assert_refused(process, 2, "no C++ compiler", "apt-get install g++")


@pytest.mark.parametrize("flags, words", [
    ("cxx=nope", ["cxx=nope: no such compiler"]),
    ("gcc.cxxflags=-fnope", ["gcc.cxxflags=-fnope", "-fnope"]),
])
def test_a_compiler_that_cannot_be(flags, words):
    assert_refused(run_python("-c", "import lenet, theano", THEANO_FLAGS=flags), 2, *words)


def test_no_compiler_by_wish_is_said():
    process = run_python("-c", "import lenet, theano; print(repr(theano.config.cxx))",
                         THEANO_FLAGS="cxx=")
    assert process.stdout == "''\n"
    assert process.stderr.splitlines()[0].startswith("lenet: cxx is empty")


def test_no_headers_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    with pytest.raises(SetupError, match="python{}.{}-dev$".format(*sys.version_info)):
        compiler.check(UserSettings.read())
