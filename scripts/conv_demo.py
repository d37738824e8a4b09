"""Convolve a photograph with two random 9 x 9 filters, as at the start of the LeNet tutorial."""

from lenet import commands  # first: Theano starts with its settings

# isort: split
import numpy
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d

from lenet.data.pictures import read_photograph
from lenet.figures import plots


def main():
    parser = commands.Parser(
        __doc__, example="python scripts/conv_demo.py photograph.jpg --output maps.png")
    parser.add_argument("image", nargs="?", metavar="IMAGE",
                        help="a photograph; by default one that Matplotlib ships")
    parser.add_argument("--output", metavar="FILE", help="write the picture to this file")
    arguments = parser.parse_args()
    photograph = read_photograph(arguments.image, least=9)

    print("h_k = sigmoid(W_k * x + b_k)   for each of the two filters k\n")
    rng = numpy.random.RandomState(23455)
    input = T.tensor4("input")

    # (output maps, input maps, filter height, filter width): two filters of 9 x 9, each 3 deep: a
    # layer each for red, green and blue.
    w_shape = (2, 3, 9, 9)
    w_bound = numpy.sqrt(3 * 9 * 9)
    W = theano.shared(
        rng.uniform(low=-1.0 / w_bound, high=1.0 / w_bound, size=w_shape).astype(input.dtype)
    )
    # Biases usually start at zero; nothing is trained here, so they are random.
    b = theano.shared(rng.uniform(low=-0.5, high=0.5, size=(2,)).astype(input.dtype))

    # The biases, of shape (2,), become (1, 2, 1, 1) and are added to each point of their map.
    output = T.nnet.sigmoid(conv2d(input, W) + b.dimshuffle("x", 0, "x", "x"))
    apply_filters = theano.function([input], output)

    # (height, width, 3) -> (3, height, width) -> (1, 3, height, width): a minibatch of one image.
    images = photograph.transpose(2, 0, 1)[numpy.newaxis].astype(input.dtype)
    maps = apply_filters(images)

    height, width = photograph.shape[:2]
    print(f"photograph         {photograph.shape}   (height, width, colours)")
    print(f"input x            {images.shape}   (images, maps, height, width)")
    print(f"filters W          {w_shape}   (output maps, input maps, height, width)")
    print("biases b           (2,)   {:.3f} and {:.3f}".format(*b.get_value()))
    print(f"output h           {maps.shape}")
    print(f"                   height {height} - 9 + 1 = {height - 8}, "
          f"width {width} - 9 + 1 = {width - 8}")
    for number, a_map in enumerate(maps[0]):
        print(f"map {number}              from {a_map.min():.3f} to {a_map.max():.3f}")

    figure = plots.draw_images([photograph, maps[0, 0], maps[0, 1]],
                               ["photograph", "filter 0", "filter 1"], cell=3.5, fontsize=10)
    plots.finish(figure, arguments.output)


if __name__ == "__main__":
    commands.run(main)
