"""Work a convolution by hand, small enough for a pencil: two channels, two tiny filters."""

from lenet import commands  # first: Theano starts with its settings

# isort: split
import numpy
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d


def main():
    commands.Parser(description=__doc__, example="python scripts/conv2d_by_hand.py").parse_args()

    # (images, channels, rows, columns): one image with two channels of 1 x 5 pixels.
    image = numpy.array([[[[1, 2, 3, 4, 5]], [[1, 2, 3, 4, 5]]]], dtype=theano.config.floatX)
    # (filters, channels, rows, columns): two filters, each with 1 x 2 weights per channel.
    W = numpy.array([[[[1, 1]], [[1, 1]]], [[[2, 2]], [[1, 1]]]], dtype=theano.config.floatX)

    print("output[k, t] = sum over channels c and places i of  W[k, c, i] * image[c, t + 1 - i]")
    print("(a convolution flips its filters; these read the same both ways)\n")
    print(f"image   {image.shape}   (images, channels, rows, columns)")
    print(f"filters {W.shape}   (filters, channels, rows, columns)")
    print("output  (1, 2, 1, 4)   columns: 5 - 2 + 1 = 4\n")

    for k, filter in enumerate(W[:, :, 0, :]):
        total = numpy.zeros(4)
        for c, (weights, pixels) in enumerate(zip(filter, image[0, :, 0, :])):
            terms, sums = [], []
            for t in range(4):
                pairs = list(zip(weights[::-1], pixels[t:t + 2]))
                terms.append(" + ".join(f"{weight:g}*{pixel:g}" for weight, pixel in pairs))
                sums.append(sum(weight * pixel for weight, pixel in pairs))
            print(f"filter {k} {format_row(weights)} on channel {c}: "
                  f"[{', '.join(terms)}] = {format_row(sums)}")
            total += sums
        print(f"filter {k}, the channels added: {format_row(total)}\n")

    x = T.tensor4("x")
    output = theano.function([x], conv2d(x, theano.shared(W)))(image)
    print("Theano's conv2d gives")
    for k in range(2):
        print(f"[{format_row(output[0, k, 0])}]")


def format_row(numbers):
    """Numbers in brackets: [6 10 14 18]."""
    return "[" + " ".join(f"{number:g}" for number in numbers) + "]"


if __name__ == "__main__":
    commands.run(main)
