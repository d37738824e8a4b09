"""The format of MNIST's digits, and whether images have it.

MNIST's makers scaled each digit to fit a box of 20 x 20 pixels, its proportions kept, with grey
levels where an edge crosses a pixel, and put it into 28 x 28 pixels with the centre of its mass
in the middle; ink is light (255) on dark paper (0).

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits" (their page on
the web).
"""

import numpy

# Rows and columns of an MNIST image, and of the box that its digit fits.
SIZE, BOX = 28, 20
ONES = numpy.ones(SIZE, dtype="float32")


def is_in_format(ink):
    """Whether a digit on even paper fits its box and is centered already."""
    if ink.shape != (SIZE, SIZE):
        return False
    masses = ink @ ONES, ONES @ ink  # one mass per row, one per column
    return max(map(extent, masses)) == BOX and all(
        SIZE / 2 - 0.5 <= centre_of(mass) < SIZE / 2 + 0.5 for mass in masses)


def are_in_format(images):
    """Whether images are digits such as MNIST's; one in ten may be something else.

    Parameters
    ----------
    images : array of shape (n, 28 * 28)
        Brightness, in any unit.
    """
    images = numpy.asarray(images, dtype="float32").reshape(-1, SIZE, SIZE)
    return sum(map(is_in_format, images)) >= 0.9 * len(images)


def extent(mass):
    """From the first to the last mass that is not 0."""
    inked = mass.nonzero()[0]
    return inked[-1] - inked[0] + 1 if len(inked) else 0


def centre_of(mass):
    """The centre of masses at 0, 1, 2, ..."""
    return float(mass @ numpy.arange(len(mass), dtype=mass.dtype)) / float(mass.sum())
