"""Bring the picture of a digit into the format of MNIST (see ``lenet.data.digit_format``)."""

import math
from collections import namedtuple

import numpy
from PIL import Image
from scipy import ndimage

from lenet.data.digit_format import BOX, SIZE, centre_of, is_in_format
from lenet.data.pictures import GREY, turn_upright
from lenet.errors import DataError

LARGEST = 200  # rows and columns: a larger picture is reduced to means of its pixels
# As fractions of the darkest ink: anything fainter is paper; the darkness at the edge of a stroke.
FAINT, EDGE = 0.03, 0.35
EIGHT_NEIGHBOURS = numpy.ones((3, 3), dtype=bool)

# image: as to_mnist returns it; box: (top, left, bottom, right) of the digit in the picture, and
# centre: (row, column) of its mass there, in pixels from the top left corner
Found = namedtuple("Found", "image box centre")


def read_digit(path):
    """The digit in an image file, of a path or a binary file: uint8 of shape (1, 28, 28). Raises
    what ``to_mnist`` and ``lenet.data.pictures.read_picture`` raise."""
    with Image.open(path) as image:
        image.draft("L", (LARGEST, LARGEST))  # decodes a JPEG to about that
        return to_mnist(numpy.asarray(turn_upright(image, GREY)))[None]


def to_mnist(grey):
    """Find the digit in a picture and bring it into the format of MNIST.

    Parameters
    ----------
    grey : array of shape (height, width)
        Brightness from 0 (black) to 255 of one digit on paper that fills the picture, dark on
        light or light on dark; the light may be uneven.

    Returns
    -------
    array of shape (28, 28)
        uint8, the ink light. A picture that is already in this format is returned unchanged,
        inverted if it was dark on light.

    Raises
    ------
    DataError
        There is nothing on the paper.
    """
    return find_digit(grey).image


def find_digit(grey):
    """Find the digit in a picture: a Found. See ``to_mnist`` for the parameter and the errors."""
    factor = -(-max(grey.shape) // LARGEST)
    if factor > 1:
        grey = numpy.asarray(Image.fromarray(grey).reduce(factor))
    ink, noise = find_ink(grey.astype("float32"))
    if not noise:
        ink = numpy.maximum(ink, 0)
        if is_in_format(ink):
            return Found(ink.astype("uint8"), *locate_digit(ink, 0, 0, 1))
    digit, top, left = cut_out_digit(ink, noise)
    return Found(centre_digit(scale_digit(digit)), *locate_digit(digit, top, left, factor))


def locate_digit(digit, top, left, factor):
    """The box and the centre of a Found, from ink that begins at (top, left) of a picture reduced
    by ``factor``."""
    masses = digit.sum(axis=1), digit.sum(axis=0)
    ends = [(inked[0], inked[-1] + 1) for inked in map(numpy.flatnonzero, masses)]
    (above, below), (before, after) = ends
    box = top + above, left + before, top + below, left + after
    # The middle of pixel 0 is at 0.5.
    centre = [start + 0.5 + centre_of(mass) for start, mass in zip((top, left), masses)]
    return tuple(int(factor * n) for n in box), tuple(factor * n for n in centre)


def find_ink(grey):
    """Tell ink from paper.

    Parameters
    ----------
    grey : array of shape (height, width)
        Brightness, float32.

    Returns
    -------
    ink : array of shape (height, width)
        How much darker than the paper a pixel is, or lighter if the ink is light; around 0 for
        paper.
    noise : float
        Standard deviation of the paper's grain.
    """
    border = numpy.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
    border.sort()
    paper = border[len(border) // 2]
    if border[len(border) // 4] == paper == border[3 * len(border) // 4]:
        # Drawn or scanned: the paper is one even grey.
        ink, noise = grey - paper, 0.0
    else:
        ink = grey - fit_paper(grey)
        noise = 1.4826 * float(numpy.median(numpy.abs(ink)))  # of normally distributed grain
    # The sign of the sum of cubes: the grain, small and of both signs, hardly counts in it.
    if numpy.vdot(ink * ink, ink) < 0:
        ink = -ink
    return ink, noise


def fit_paper(grey):
    """The brightness of unevenly lit paper, float32 of the shape of ``grey``.

    Fits a plane to the border, which is mostly paper; then a quadratic function of row and column
    to all pixels close to that, in three rounds that exclude ever more of the digit.
    """
    height, width = grey.shape
    rows = numpy.linspace(-1, 1, height, dtype="float32")[:, None]
    columns = numpy.linspace(-1, 1, width, dtype="float32")[None, :]
    step = -(-max(height, width) // 32)  # at most 32 pixels in each direction are enough
    values = grey[::step, ::step].ravel()
    row, column = (axis.ravel().astype("float64") for axis in
                   numpy.broadcast_arrays(rows[::step], columns[:, ::step]))
    terms = numpy.stack([numpy.ones_like(row), row, column, row * column, row ** 2, column ** 2])

    # First a plane: the border alone says little about curvature.
    border = (abs(row) == 1) | (row == row[-1]) | (abs(column) == 1) | (column == column[-1])
    near = border
    for _ in range(4):
        away = abs(values - least_squares(terms[:3], values, near) @ terms[:3])
        near = border & (away <= 2.5 * numpy.median(away[border]))
    for share in (0.4, 0.3, 0.2):
        factors = least_squares(terms, values, away <= max(share * away.max(), numpy.median(away)))
        away = abs(values - factors @ terms)
    a, b, c, d, e, f = factors.astype("float32")
    return a + (b + d * columns + e * rows) * rows + (c + f * columns) * columns


def least_squares(terms, values, chosen):
    """The factors that bring ``factors @ terms`` closest to the chosen values."""
    terms, values = terms[:, chosen], values[chosen]
    # The normal equations; with few pixels they may have more than one solution.
    return numpy.linalg.lstsq(terms @ terms.T, terms @ values, rcond=None)[0]


def cut_out_digit(ink, noise):
    """Cut the digit out of a picture, given ``ink`` and ``noise`` as ``find_ink`` returns them.

    Returns
    -------
    (array, int, int)
        The digit: float32, at least 0, just as large as it is; and its first row and column.

    Raises
    ------
    DataError
        No ink stands out from the grain.
    """
    smooth = ink
    if noise:
        smooth, noise = ndimage.uniform_filter(ink, 3), noise / 3  # the mean of 9 pixels
    darkest = smooth.max()
    if darkest < max(8, 6 * noise):
        raise DataError("no digit found: nothing stands out from the paper")
    inked = smooth > max(4 * noise, FAINT * darkest)
    pieces = numpy.empty(inked.shape, dtype="int32")
    n_pieces = ndimage.label(inked, EIGHT_NEIGHBOURS, output=pieces)
    if n_pieces > 1:
        inked = select_digit(pieces, n_pieces, smooth)
    if noise:
        ink = numpy.where(ndimage.binary_dilation(inked), ink, 0)
    # A stroke ends in the middle of its blurred edge.
    inked &= smooth > EDGE * smooth[inked].max()
    rows, columns = numpy.flatnonzero(inked.any(axis=1)), numpy.flatnonzero(inked.any(axis=0))
    digit = numpy.maximum(ink[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1], 0)
    return digit, int(rows[0]), int(columns[0])


def select_digit(pieces, n_pieces, ink):
    """Which pixels belong to the digit where the ink is in several pieces.

    Specks and faint spots do not; nor does what touches the border (the edge of the paper, a
    shadow), if enough ink does not. The digit may itself be in several pieces.

    Parameters
    ----------
    pieces : array of shape (height, width)
        0 for paper, for ink the number of its piece.
    n_pieces : int
    ink : array of shape (height, width)

    Returns
    -------
    bool array of shape (height, width)
    """
    mass = numpy.bincount(pieces.ravel(), ink.ravel(), minlength=n_pieces + 1)
    mass[0] = 0
    inside = mass.copy()
    for border in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
        inside[border] = 0
    if inside.max() >= 0.2 * mass.max():
        mass = inside
    darkness = mass / numpy.bincount(pieces.ravel())  # the mean of a piece
    kept = (mass >= 0.03 * mass.max()) & (darkness >= 0.5 * darkness[mass.argmax()])
    return kept[pieces]


def scale_digit(digit):
    """The digit scaled so that its longer side is 20 pixels, its darkest pixel 255."""
    height, width = digit.shape
    scale = BOX / max(height, width)
    if scale != 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        # Shrinking averages the pixels, which turns edges into levels of grey.
        digit = numpy.asarray(Image.fromarray(digit).resize(size, Image.HAMMING))
        digit = numpy.maximum(digit, 0)
    return digit * (255 / digit.max())


def centre_digit(digit):
    """The digit in 28 x 28 pixels, its centre of mass within half a pixel of their middle."""
    place = []
    for other_axis, length in ((1, digit.shape[0]), (0, digit.shape[1])):
        # The centres of MNIST's own digits lie from 13.5 to 14.5, counted from 0.
        start = math.ceil(SIZE / 2 - 0.5 - centre_of(digit.sum(axis=other_axis)))
        start = min(max(start, 0), SIZE - length)
        place.append(slice(start, start + length))
    image = numpy.zeros((SIZE, SIZE), dtype="uint8")
    image[tuple(place)] = numpy.rint(digit)
    return image
