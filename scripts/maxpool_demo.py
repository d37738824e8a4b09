"""Max-pool 5 x 5 numbers, ignoring the border and keeping it, as in the LeNet tutorial."""

from lenet import commands  # first: Theano starts with its settings

# isort: split
import numpy
import theano
import theano.tensor as T
from theano.tensor.signal import pool


def main():
    commands.Parser(description=__doc__, example="python scripts/maxpool_demo.py").parse_args()

    print("each output = max of a 2 x 2 window of inputs; the windows do not overlap\n")
    input = T.dtensor4("input")
    # (images, maps, height, width)
    invals = numpy.random.RandomState(1).rand(3, 2, 5, 5)

    # 5 = 2 + 2 + 1: two windows fit, and the last row and column are ignored.
    pool_out = pool.pool_2d(input, (2, 2), ignore_border=True)
    show(theano.function([input], pool_out), invals, 0, "True", "5 // 2 = 2")

    # The last row and column get windows of their own, which they only partly fill.
    pool_out = pool.pool_2d(input, (2, 2), ignore_border=False)
    show(theano.function([input], pool_out), invals, 1, "False", "5 / 2, rounded up, = 3")


def show(f, invals, image, setting, size):
    """Print an image's first map before and after pooling."""
    output = f(invals)
    print(f"With ignore_border set to {setting}:")
    print(f"shapes: {invals.shape} -> {output.shape}, since {size}")
    print(f"invals[{image}, 0, :, :] =\n{invals[image, 0, :, :]}")
    print(f"output[{image}, 0, :, :] =\n{output[image, 0, :, :]}\n")


if __name__ == "__main__":
    commands.run(main)
