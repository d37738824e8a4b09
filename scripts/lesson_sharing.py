"""Give a filter weights of its own at each place: the shared gradient is the sum of theirs."""

from lenet import commands  # first: Theano starts with its settings

# isort: split
import numpy
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d


def main():
    commands.Parser(description=__doc__, example="python scripts/lesson_sharing.py").parse_args()
    pixels = numpy.array([2, 0, 1, 3, 2], dtype=theano.config.floatX)
    weights = numpy.array([1, -1, 2], dtype=theano.config.floatX)
    print(f"a row of pixels {pixels}, a filter {weights}, 5 - 3 + 1 = 3 places, C = sum h^2 / 2\n")

    # Shared weights: one filter, of shape (filters, maps below, height, width).
    w = theano.shared(weights)
    filters = w[::-1].reshape((1, 1, 1, 3))  # conv2d turns a filter round, as convolution does
    h = conv2d(T.constant(pixels.reshape(1, 1, 1, 5)), filters).flatten()
    shared, output = theano.function([], [T.grad((h ** 2).sum() / 2, w), h])()

    # Weights of their own: row i of a matrix for place i, all alike to begin with.
    own = theano.shared(numpy.tile(weights, (3, 1)))
    patches = numpy.array([pixels[i:i + 3] for i in range(3)])
    h_own = (own * patches).sum(axis=1)
    gradients, output_own = theano.function([], [T.grad((h_own ** 2).sum() / 2, own), h_own])()

    print("place  pixels     h   gradient of the weights there, dC/dw = h * pixels")
    for place in range(3):
        print(f"{place:5}  {patches[place]}  {output_own[place]:3.0f}   {gradients[place]}")
    print(f"sum of the places       {gradients.sum(axis=0)}")
    print(f"T.grad, shared weights  {shared}\n")
    print(f"largest difference: outputs {abs(output - output_own).max():g}, "
          f"gradients {abs(shared - gradients.sum(axis=0)).max():g}")
    print(f"parameters: {own.get_value().size} become {weights.size}; for LeNet's 24 x 24 places "
          f"and filters of 5 x 5, {24 * 24 * 25} become {25}")


if __name__ == "__main__":
    commands.run(main)
