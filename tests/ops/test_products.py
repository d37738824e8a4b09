"""Small products of matrices with one thread of OpenBLAS."""

import ast
import os
import subprocess

import pytest
import theano
from conftest import REPOSITORY, run_python

pytestmark = pytest.mark.skipif(
    os.environ.get("LENET_OPS") == "0", reason="LENET_OPS=0 switches the ops off"
)

# An OpenBLAS that prints its number of threads at each product.
PROGRAM = """
#include <stdio.h>
static int threads = 4;
extern "C" int fake_get() { return threads; }
extern "C" void fake_set(int n) { threads = n; }
template <typename... Any> void fake(Any...) { printf("%d ", threads); }
#define openblas_get_num_threads fake_get
#define openblas_set_num_threads fake_set
#define sgemm_ fake
#define dgemm_ fake
#define sgemv_ fake
#define dgemv_ fake
#define sger_ fake
#define dger_ fake
#include "lenet/ops/products.h"
int main() {
  for (int i = 255; i < 257; i++) {  // 256 ** 3 = 2 ** 24, 16 * 256 ** 2 = 2 ** 20
    const int n = 256, many = 16 * n;
    const float a = 0;
    const double b = 0;
    sgemm_(0, 0, &n, &i, &n, &a, 0, 0, 0, 0, 0, 0, 0);
    dgemm_(0, 0, &i, &n, &n, &b, 0, 0, 0, 0, 0, 0, 0);
    sgemv_(0, &many, &i, &a, 0, 0, 0, 0, 0, 0, 0);
    dgemv_(0, &i, &many, &b, 0, 0, 0, 0, 0, 0, 0);
    sger_(&many, &i, &a, 0, 0, 0, 0, 0, 0);
    dger_(&i, &many, &b, 0, 0, 0, 0, 0, 0);
  }
  printf("%d", threads);
}
"""


def test_small_products_have_one_thread(tmp_path):
    source, program = tmp_path / "products.cpp", str(tmp_path / "products")
    source.write_text(PROGRAM)
    subprocess.run([theano.config.cxx, "-I", REPOSITORY, "-o", program, str(source)], check=True)
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    assert printed == "1 " * 6 + "4 " * 6 + "4"


CHECK = """
import numpy, theano, theano.tensor as T
for dtype, rtol, linker in ("float32", 1e-5, "c"), ("float64", 1e-13, "cvm"):
    a, b, u, v = inputs = [T.TensorType(dtype, [False] * n)() for n in (2, 2, 1, 1)]
    function = theano.function(inputs, [
        T.dot(a, b), 2 * T.dot(b, a) + a, T.dot(a, u) + v, T.outer(u, v) + a],
        mode=theano.Mode(linker, "fast_run"))
    products = [node.op for node in function.maker.fgraph.toposort()
                if type(node.op).__name__ in ("Dot22", "Gemm", "CGemv", "CGer")]
    assert len(products) == 4
    print([("lenet::" in op.c_support_code(), op.c_code_cache_version()) for op in products])
    a, b, u, v = values = [numpy.random.rand(*shape).astype(dtype)
                           for shape in 2 * [(7, 7)] + 2 * [(7,)]]
    expected = a @ b, 2 * b @ a + a, a @ u + v, numpy.outer(u, v) + a
    for pair in zip(function(*values), expected):
        numpy.testing.assert_allclose(*pair, rtol=rtol)
"""


def test_other_peoples_products():
    """They are right, and have modules of their own in Theano's cache."""
    found, before = (ast.literal_eval(run_python("-c", f"import {modules}" + CHECK
                                                 ).stdout.splitlines()[0])
                     for modules in ("lenet", "lenet.mlp"))
    assert all(ours for ours, _ in found) and not any(ours for ours, _ in before)
    assert not {version for _, version in before} & {version for _, version in found}
