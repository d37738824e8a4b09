"""The kernels under sanitizers, for other processors, and in Theano's DebugMode."""

import os
import platform
import subprocess

import numpy
import pytest
import theano
import theano.tensor as T
from conftest import REPOSITORY, run_python
from theano.compile.debugmode import DebugMode

from lenet.ops.activation import Activation, ActivationGrad
from lenet.ops.convolution import Convolution
from lenet.ops.convpool import ConvPool, ConvPoolGrad
from lenet.ops.convpool_bias import ConvPoolBiasGrad
from lenet.ops.pool_sum import SumPool, SumPoolGrad

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.mark.parametrize("shapes", [10, pytest.param(40, marks=pytest.mark.campaign)])
def test_sanitizers_find_nothing(shapes, tmp_path):
    """AddressSanitizer: every access is inside its array; UBSan: no undefined arithmetic."""
    program = str(tmp_path / "kernels")
    command = [theano.config.cxx, "-O1", "-march=native", "-fopenmp", "-DLENET_OPENMP",
               "-I", REPOSITORY, "-o", program, "-fsanitize=address,undefined",
               "-fno-sanitize-recover=all"]
    empty = subprocess.run(command + ["-x", "c++", "-"], input="int main() {}", text=True,
                           capture_output=True)
    if empty.returncode:
        pytest.skip(f"this compiler has no sanitizers: {empty.stderr.strip()[-200:]}")
    subprocess.run(command + [os.path.join(HERE, "kernels.cpp")], check=True)
    process = subprocess.run([program, str(shapes)], capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.startswith("right")


# A function of all the ops, in a process of its own.
GRAPH = """
import hashlib
import sys
import lenet
import numpy
import theano
import theano.tensor as T
from lenet.ops.activation import Activation, ActivationGrad
from lenet.ops.convolution import Convolution
from lenet.ops.convpool import ConvPool, ConvPoolGrad
from lenet.ops.convpool_bias import ConvPoolBiasGrad
from lenet.ops.pool_sum import SumPool, SumPoolGrad
rng = numpy.random.RandomState(0)
x, w, b = T.tensor4('x', 'float32'), T.tensor4('w', 'float32'), T.vector('b', 'float32')
z, record = ConvPool((2, 2), record=True)(x, w)
y = Activation('tanh')(z, b)
gz, gb = ActivationGrad('tanh')(y, y)
gw, gx = ConvPoolGrad((2, 2))(x, w, gz, record)
maps = Convolution('output')(x, w)
sums = SumPool((2, 2))(maps)
g = SumPoolGrad((2, 2))(maps, sums / 1000)
f = theano.function([x, w, b], [y, record, gb, gw, gx, sums, Convolution('filters')(x, g),
                                Convolution('images')(w, g)], mode=theano.Mode('cvm', None))
"""

VALUES = GRAPH + """
shapes = (37, 3, 13, 14), (17, 3, 5, 5), (17,)
numpy.savez(sys.argv[1], *f(*[rng.randn(*s).astype('float32') for s in shapes]))
"""


def instruction_sets():
    try:
        with open("/proc/cpuinfo") as lines:
            flags = [line for line in lines if line.startswith("flags")][0].split()
    except (OSError, IndexError):
        flags = []
    return ["x86-64"] * (platform.machine() == "x86_64") + ["haswell"] * ("avx2" in flags)


@pytest.mark.parametrize("others", [
    instruction_sets()[:1], pytest.param(instruction_sets()[1:], marks=pytest.mark.campaign)])
def test_other_processors_compute_the_same(others, tmp_path):
    """Vectors of 16 and 32 bytes, through Theano, against those of this processor."""
    results = []
    for march in ["native"] + others:
        path = str(tmp_path / (march + ".npz"))
        # Modules that are compiled with other flags are others for Theano's cache.
        flags = "" if march == "native" else f"gcc.cxxflags=-O2 -march={march}"
        process = run_python("-c", VALUES, path, THEANO_FLAGS=flags, OMP_NUM_THREADS="1")
        assert process.returncode == 0, process.stderr
        results.append(numpy.load(path))
    assert len(results[0].files) == 8
    for other in results[1:]:
        for name in results[0].files:
            numpy.testing.assert_allclose(other[name], results[0][name], rtol=1e-5, atol=1e-4)


SAME_BITS = GRAPH + """
for images in (3, 70, 203):
    values = [rng.randn(*s).astype('float32')
              for s in ((images, 5, 14, 14), (17, 5, 5, 5), (17,))]
    for _ in range(3):
        print(hashlib.md5(b''.join(a.tobytes() for a in f(*values))).hexdigest())
"""


def test_same_bits_for_any_number_of_threads():
    results = []
    for threads in "1", "2", "3":
        process = run_python("-c", SAME_BITS, OMP_NUM_THREADS=threads)
        assert process.returncode == 0, process.stderr
        results.append(process.stdout.split())
    assert results[0] == results[1] == results[2]
    assert len(set(results[0])) == 3


@pytest.mark.skipif(os.environ.get("LENET_OPS") == "0", reason="LENET_OPS=0: no op works in place")
def test_debug_mode():
    """Theano's own check: C against NumPy for every node, outputs allocated beforehand with any
    strides, inputs that must not be written to."""
    x, w, b = T.tensor4("x", "float64"), T.tensor4("w", "float64"), T.vector("b", "float64")
    z, record = ConvPool((2, 2), record=True)(x, w)
    y = Activation("tanh")(z, b)
    gz, gb = ActivationGrad("tanh")(y * 2, y)
    gw, gx = ConvPoolGrad((2, 2))(x, w, gz, record)
    unpooled_gb = ConvPoolBiasGrad((2, 2))(gz, record)
    maps = Convolution("output")(x, w)
    g = SumPoolGrad((2, 2), mean=True)(maps, SumPool((2, 2), mean=True)(maps))
    gradients = [Convolution("filters")(x, g), Convolution("images", False)(w, g)]
    own = theano.compile.optdb.query(theano.gof.Query(include=["lenet_ops"]))
    mode = DebugMode(optimizer=own, stability_patience=1, check_preallocated_output="ALL")
    function = theano.function([x, w, b], [y, gb, gw, gx, unpooled_gb] + gradients, mode=mode)
    assert any(node.op == ActivationGrad("tanh", inplace=True)
               for node in function.maker.fgraph.apply_nodes)
    rng = numpy.random.RandomState(7)
    for images in 3, 17:
        function(rng.randn(images, 2, 7, 8), rng.randn(5, 2, 3, 2), rng.randn(5))
