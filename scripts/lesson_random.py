"""See in what sense random filters are edge detectors: without their sum, flat places are 0."""

from lenet import commands  # first: Theano starts with its settings

# isort: split
import itertools

import numpy
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d

from lenet.data.pictures import read_photograph
from lenet.figures import plots


def main():
    parser = commands.Parser(__doc__, example="python scripts/lesson_random.py --output random.png")
    parser.add_argument("image", nargs="?", metavar="IMAGE", help="by default one of Matplotlib's")
    parser.add_argument("--output", metavar="FILE", help="write the picture to this file")
    arguments = parser.parse_args()
    photograph = read_photograph(arguments.image, least=9).mean(axis=2)
    x, w = T.tensor4("x"), T.tensor4("w")
    filtered = theano.function([x, w], conv2d(x, w), allow_input_downcast=True)

    # A step from 0 to 1. A filter of 8 weights sees the dark side, 7 places at the edge, the light
    # side: 0, then sums of more and more weights, then the sum of all.
    step = numpy.repeat([0, 1], 8).reshape(1, 1, 1, 16)
    filters = numpy.array(list(itertools.product((-1, 1), repeat=8)))
    responses = abs(filtered(step, filters.reshape(256, 1, 1, 8))[0, :, 0])  # (256, 9)
    at_edge = responses[:, 1:-1].max(axis=1) > responses[:, [0, -1]].max(axis=1)
    balanced = filters.sum(axis=1) == 0
    print(f"of the {len(filters)} filters of 8 weights +1 or -1, {at_edge.sum()} respond most at "
          f"an edge;\nof the {balanced.sum()} whose weights add up to 0, "
          f"{(at_edge & balanced).sum()}\n")

    # w . x = sum(w) * mean(x) + (w - mean(w)) . x: brightness, and what changes within the window.
    random = numpy.random.RandomState(23455).uniform(-1, 1, size=(3, 1, 9, 9))
    flat = numpy.full((1, 1, 9, 9), 1 / 81)
    kernels = numpy.concatenate([flat, random, random - random.mean(axis=(2, 3), keepdims=True)])
    mean, *maps = filtered(photograph[None, None], kernels)[0]
    contrast = numpy.sqrt(numpy.maximum(
        filtered(photograph[None, None] ** 2, flat)[0, 0] - mean ** 2, 0))
    maps = {f"filter {number % 3}" + ", balanced" * (number > 2): abs(a_map)
            for number, a_map in enumerate(maps)}
    print("correlation of |map| with   brightness   contrast")
    for name, a_map in maps.items():
        print("{:27}{:11.2f}{:11.2f}".format(name, *(
            numpy.corrcoef(a_map.ravel(), of.ravel())[0, 1] for of in (mean, contrast))))
    pairs = list(maps.items())
    shown = {"photograph": photograph, **dict(pairs[:3]), "contrast": contrast, **dict(pairs[3:])}
    figure = plots.draw_images(list(shown.values()), list(shown), columns=4, cell=2.2)
    plots.finish(figure, arguments.output)


if __name__ == "__main__":
    commands.run(main)
