"""Max-pooling of 5 x 5 numbers with the border left out and kept, as in the LeNet tutorial."""

import lenet  # noqa: F401  (first: it starts Theano with settings that work)

# isort: split
import numpy
import theano
import theano.tensor as T
from theano.tensor.signal import pool

from lenet import commands


def main():
    commands.Parser(description=__doc__, example="python scripts/maxpool_demo.py").parse_args()

    print("each output = max of a window of 2 x 2 inputs; the windows do not overlap\n")
    input = T.dtensor4("input")
    # (images, maps, height, width)
    invals = numpy.random.RandomState(1).rand(3, 2, 5, 5)

    # 5 = 2 + 2 + 1: two windows fit, and the last row and column are left out.
    pool_out = pool.pool_2d(input, (2, 2), ignore_border=True)
    show(theano.function([input], pool_out), invals, 0, "True", "5 // 2 = 2")

    # The last row and column have windows of their own, which they do not fill.
    pool_out = pool.pool_2d(input, (2, 2), ignore_border=False)
    show(theano.function([input], pool_out), invals, 1, "False", "5 / 2, rounded up, = 3")


def show(f, invals, image, setting, size):
    """Print an image's first map before and after pooling."""
    output = f(invals)
    print("With ignore_border set to %s:" % setting)
    print("shapes: %s -> %s, since %s" % (invals.shape, output.shape, size))
    print("invals[%d, 0, :, :] =\n%s" % (image, invals[image, 0, :, :]))
    print("output[%d, 0, :, :] =\n%s\n" % (image, output[image, 0, :, :]))


if __name__ == "__main__":
    commands.run(main)
