"""A first function of Theano's on the device, compared with NumPy: python -m lenet.gpu.first"""

import sys

import numpy
import theano
import theano.tensor as T

# float32 has 24 bits, of which a sum of 100 products of numbers below 1 loses a few.
TOLERANCE = 1e-4


def compare():
    """The largest difference between tanh(x . w + b) on the device and in NumPy, a float, and
    whether the GPU computed the product."""
    rng = numpy.random.RandomState(0)
    arrays = [rng.uniform(-1, 1, shape).astype("float32") for shape in ((64, 100), (100, 10), 10)]
    x, w, b = (theano.shared(a) for a in arrays)
    function = theano.function([], T.tanh(T.dot(x, w) + b))
    expected = numpy.tanh(numpy.dot(*(a.astype("float64") for a in arrays[:2])) + arrays[2])
    names = [type(node.op).__name__ for node in function.maker.fgraph.toposort()]
    difference = numpy.abs(numpy.asarray(function()) - expected).max()
    return float(difference), any(name in ("GpuGemm", "GpuDot22") for name in names)


def main():
    difference, on_gpu = compare()
    if not on_gpu:
        sys.exit("the product was not moved to the GPU")
    if not difference < TOLERANCE:
        sys.exit(f"the result differs from the CPU's by {difference:g}")
    print(f"a first function on {theano.config.device} agrees with the CPU "
          f"(largest difference {difference:.1e})")


if __name__ == "__main__":
    main()
