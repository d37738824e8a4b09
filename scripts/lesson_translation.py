"""Count the shifts by one pixel that max-pooling does not see: 3 of 8, and up to 8 of 8."""

from lenet import commands  # first: Theano starts with its settings

# isort: split
import itertools

import numpy
import theano
import theano.tensor as T

from lenet.figures import plots
from lenet.pooling import max_pool

SHIFTS = [shift for shift in itertools.product((-1, 0, 1), repeat=2) if shift != (0, 0)]
BLACK, GREY, WHITE, GREEN, RED = numpy.array([[38] * 3, [115] * 3, [255] * 3, [51, 166, 77],
                                              [204, 64, 51]]) / 255
DRAWN = {(2, 0, 0), (3, 0, 0), (3, 0, 1), (3, 1, 1)}  # the other places are like one of these


def main():
    parser = commands.Parser(
        __doc__, example="python scripts/lesson_translation.py --output shifts.png")
    parser.add_argument("--output", metavar="FILE", help="write the picture to this file")
    output = parser.parse_args().output
    print("A pixel of ink is shifted in each of 8 directions. How often does the output stay as it "
          "is?\nIn the picture: the pixel is white, the shifts are green if it does, else red.")

    x = T.tensor4("x")  # (images, maps, height, width)
    pictures, captions = [], []
    for size in (2, 3):
        pool = theano.function([x], max_pool(x, (size, size)))
        counts = numpy.zeros((size, size), dtype=int)
        for row, column in numpy.ndindex(size, size):
            # The pixel lies in the middle one of 3 x 3 windows.
            places = numpy.array([(0, 0)] + SHIFTS) + (size + row, size + column)
            images = numpy.zeros((9, 1, 3 * size, 3 * size), dtype=x.dtype)
            images[numpy.arange(9), 0, places[:, 0], places[:, 1]] = 1
            pooled = pool(images)
            same = (pooled[1:] == pooled[0]).all(axis=(1, 2, 3))
            counts[row, column] = same.sum()
            if (size, row, column) in DRAWN:
                picture = numpy.tile(BLACK, (3 * size, 3 * size, 1))
                picture[size:2 * size, size:2 * size] = GREY
                for place, colour in zip(places, [WHITE] + [GREEN if s else RED for s in same]):
                    picture[tuple(place)] = colour
                picture = picture[size - 1:size + 4, size - 1:size + 4].repeat(12, 0).repeat(12, 1)
                picture[::12] = picture[:, ::12] = BLACK  # lines between the pixels
                pictures.append(picture)
                captions.append(f"{size} x {size}: {counts[row, column]} of 8")
        print(f"\nmax-pooling over {size} x {size}, for each place of the pixel in its window:\n"
              f"{counts}\nmedian {numpy.median(counts):g} / 8, mean {counts.mean():.2f} / 8")
    plots.finish(plots.draw_images(pictures, captions, cell=1.9, fontsize=11), output)


if __name__ == "__main__":
    commands.run(main)
