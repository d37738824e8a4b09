"""A convolution small enough to follow with a pencil: two channels, two filters of two weights."""

import lenet  # noqa: F401  (first: it starts Theano with settings that work)

# isort: split
import numpy
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d

from lenet import commands


def main():
    commands.Parser(description=__doc__, example="python scripts/conv2d_by_hand.py").parse_args()

    # (images, channels, rows, columns): one image of two channels, of 1 x 5 pixels each.
    image = numpy.array([[[[1, 2, 3, 4, 5]], [[1, 2, 3, 4, 5]]]], dtype=theano.config.floatX)
    # (filters, channels, rows, columns): two filters, each with 1 x 2 weights for each channel.
    W = numpy.array([[[[1, 1]], [[1, 1]]], [[[2, 2]], [[1, 1]]]], dtype=theano.config.floatX)

    print("output[k, t] = sum over channels c and places i of  W[k, c, i] * image[c, t + 1 - i]")
    print("(a convolution turns its filters round; these read the same from both ends)\n")
    print("image   %s   (images, channels, rows, columns)" % (image.shape,))
    print("filters %s   (filters, channels, rows, columns)" % (W.shape,))
    print("output  (1, 2, 1, 4)   columns: 5 - 2 + 1 = 4\n")

    for k, filter in enumerate(W[:, :, 0, :]):
        total = numpy.zeros(4)
        for c, (weights, pixels) in enumerate(zip(filter, image[0, :, 0, :])):
            terms, sums = [], []
            for t in range(4):
                pairs = list(zip(weights[::-1], pixels[t:t + 2]))
                terms.append(" + ".join("%g*%g" % pair for pair in pairs))
                sums.append(sum(weight * pixel for weight, pixel in pairs))
            print("filter %d %s on channel %d: [%s] = %s"
                  % (k, row(weights), c, ", ".join(terms), row(sums)))
            total += sums
        print("filter %d, the channels added: %s\n" % (k, row(total)))

    x = T.tensor4("x")
    output = theano.function([x], conv2d(x, theano.shared(W)))(image)
    print("Theano's conv2d gives")
    for k in range(2):
        print("[[%s]]" % row(output[0, k, 0])[1:-1])


def row(numbers):
    """Numbers in brackets: [6 10 14 18]."""
    return "[%s]" % " ".join("%g" % number for number in numbers)


if __name__ == "__main__":
    commands.run(main)
