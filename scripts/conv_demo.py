"""Convolve a photograph with two random 9 x 9 filters, as at the start of the LeNet tutorial."""

import lenet  # noqa: F401  (first: it starts Theano with settings that work)

# isort: split
import numpy
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d

from lenet import commands
from lenet.pictures import plots
from lenet.pictures.reading import read_photograph


def main():
    parser = commands.Parser(
        description=__doc__, example="python scripts/conv_demo.py photograph.jpg --output maps.png"
    )
    parser.add_argument("image", nargs="?", metavar="IMAGE",
                        help="a photograph; one that Matplotlib ships unless given")
    parser.add_argument("--output", metavar="FILE", help="write the picture to this file")
    arguments = parser.parse_args()
    photograph = read_photograph(arguments.image, least=9)

    print("h_k = sigmoid(W_k * x + b_k)   for each of the two filters k\n")
    rng = numpy.random.RandomState(23455)
    input = T.tensor4("input")

    # (output maps, input maps, filter height, filter width): two filters, each 9 x 9 in size and
    # 3 deep, one layer for red, green and blue each.
    w_shape = (2, 3, 9, 9)
    w_bound = numpy.sqrt(3 * 9 * 9)
    W = theano.shared(
        rng.uniform(low=-1.0 / w_bound, high=1.0 / w_bound, size=w_shape).astype(input.dtype)
    )
    # Biases start at zero when a network is trained; nothing is trained here, so they are random.
    b = theano.shared(rng.uniform(low=-0.5, high=0.5, size=(2,)).astype(input.dtype))

    # The biases, of shape (2,), become (1, 2, 1, 1) and are added to each point of their map.
    output = T.nnet.sigmoid(conv2d(input, W) + b.dimshuffle("x", 0, "x", "x"))
    apply_filters = theano.function([input], output)

    # (height, width, 3) -> (3, height, width) -> (1, 3, height, width): a minibatch of one image.
    images = photograph.transpose(2, 0, 1)[numpy.newaxis].astype(input.dtype)
    maps = apply_filters(images)

    height, width = photograph.shape[:2]
    print("photograph         %s   (height, width, colours)" % (photograph.shape,))
    print("input x            %s   (images, maps, height, width)" % (images.shape,))
    print("filters W          %s   (output maps, input maps, height, width)" % (w_shape,))
    print("biases b           (2,)   %.3f and %.3f" % tuple(b.get_value()))
    print("output h           %s" % (maps.shape,))
    print("                   height %d - 9 + 1 = %d, width %d - 9 + 1 = %d"
          % (height, height - 8, width, width - 8))
    for number, a_map in enumerate(maps[0]):
        print("map %d              from %.3f to %.3f" % (number, a_map.min(), a_map.max()))

    plots.finish(plots.draw_panels([photograph, maps[0, 0], maps[0, 1]],
                                   ["photograph", "filter 0", "filter 1"], cell=3.5),
                 arguments.output)


if __name__ == "__main__":
    commands.run(main)
