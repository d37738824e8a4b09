"""Refuse a dataset that cannot be trained on, and work out what a plain one holds."""

import math

import numpy
import theano

from lenet.data import digit_format
from lenet.data.pixels import BYTES, as_bytes, guess_pixels, read_pixels
from lenet.data.plain_pickle import NUMBER_KINDS
from lenet.errors import DataError, one_line

PREPARATIONS = ("digit", "resize")


def check_dataset(sets, set_names, path):
    """Check what was read as a dataset; return arrays that can be trained on.

    Parameters
    ----------
    sets : object
        Three pairs (x, y); after them, unless it is a plain pickle, a dict of ``image_shape``,
        ``class_names`` and ``preparation``, and ``pixels`` where they are not byte / 256. See
        ``lenet.data.sets.Datasets``.
    set_names : three str
    path : str
        Named in the errors, as ``set_names`` are.

    Returns
    -------
    sets : list of three pairs (x, y)
        x of shape (n, n_pixels), floatX or uint8; y int64 of shape (n,).
    image_shape : (int, int, int)
    class_names : list of str
    preparation : str
    pixels : lenet.data.pixels.Pixels

    Raises
    ------
    DataError
        Something else was read.
    """
    if not (isinstance(sets, (tuple, list)) and len(sets) in (3, 4)
            and all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in sets[:3])):
        raise DataError(f"{path}: found no three pairs of images and labels; expected "
                        "((train_x, train_y), (valid_x, valid_y), (test_x, test_y))")
    pairs, is_plain = sets[:3], len(sets) == 3
    places = [f"{path}: {name}" for name in set_names]
    all_x = [check_images(x, where) for (x, _), where in zip(pairs, places)]
    n_training, n_pixels = all_x[0].shape
    if any(x.shape[1] != n_pixels for x in all_x):
        widths = "{}, {} and {}".format(*(x.shape[1] for x in all_x))
        raise DataError(f"{path}: images of {widths} pixels in the training, validation and test "
                        "sets; expected one size")
    if is_plain:
        n_classes = max(10, n_training)  # ten digits, even where a small set lacks some
        why = f"as a class needs at least one of the {n_training} training images"
    else:
        image_shape, class_names, preparation = check_description(
            sets[3], n_pixels, n_training, path)
        try:
            pixels = read_pixels(sets[3].get("pixels"), n_pixels)
        except ValueError as error:
            raise DataError(f"{path}: pixels {quote(sets[3]['pixels'])}; {error}") from None
        n_classes, why = len(class_names), "one for each of its class_names"
    all_y = []
    for (_, y), x, where in zip(pairs, all_x, places):
        y = check_labels(y, where, n_classes, why)
        if len(x) != len(y):
            raise DataError(f"{where}: {len(x)} images but {len(y)} labels; expected one label "
                            "for each image")
        if is_plain and not all_y:
            n_classes, why = max(10, 1 + int(y.max())), "the classes of the training images"
        all_y.append(y)
    if is_plain:
        image_shape = guess_image_shape(n_pixels)
        class_names = number_classes(1 + max(int(y.max()) for y in all_y))
    if is_plain or "pixels" not in sets[3]:
        pixels = BYTES if all_x[0].dtype == numpy.uint8 else guess_pixels(all_x[0])
    if is_plain:
        preparation = guess_preparation(as_bytes(all_x[0][:200], pixels), image_shape)
    return list(zip(all_x, all_y)), image_shape, class_names, preparation, pixels


def check_images(x, where):
    """Check images; return an array of floatX, or of bytes on the disk, one image a row."""
    x = check_numbers(x, where, "images")
    if x.ndim != 2 or x.shape[1] == 0:
        raise DataError(f"{where}: images of shape {x.shape}; expected (number of images, pixels)")
    if len(x) == 0:
        raise DataError(f"{where}: empty; expected at least one image")
    if x.dtype == numpy.uint8:  # perhaps on the disk, where they stay
        return x
    x = x.astype(theano.config.floatX, copy=False)
    for start in range(0, len(x), 4096):  # in parts: a mask of all pixels at once costs memory
        if not numpy.isfinite(x[start:start + 4096]).all():
            raise DataError(f"{where}: a pixel is NaN or infinite; expected finite numbers")
    return x


def check_labels(y, where, n_classes, why):
    """Check labels, whole numbers below ``n_classes``; return a vector of int64."""
    y = check_numbers(y, where, "labels")
    if y.ndim != 1:
        raise DataError(f"{where}: labels of shape {y.shape}; expected one number for each image")
    wrong = (y < 0) | (y >= n_classes) | (y != numpy.floor(y))
    if wrong.any():
        raise DataError(f"{where}: label {y[wrong][0]}; expected whole numbers from 0 to "
                        f"{n_classes - 1}, {why}")
    return y.astype("int64")


def check_numbers(values, where, what):
    """Check numbers; return an array. Lists need items of the same length."""
    try:
        if not isinstance(values, numpy.ndarray):
            values = numpy.asarray(values, dtype="float64")
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{where}: {what} that are no array; expected equally long rows of "
                        "numbers") from None
    if values.dtype.kind not in NUMBER_KINDS:
        raise DataError(f"{where}: {what} of type {values.dtype}, where numbers were expected")
    return values if isinstance(values, numpy.memmap) else values.view(numpy.ndarray)


def check_description(description, n_pixels, n_training, path):
    """Check a dict; return its ``image_shape``, ``class_names`` and ``preparation``."""
    if not isinstance(description, dict):
        raise DataError(f"{path}: {quote(description)}, where a dict of image_shape, class_names "
                        "and preparation was expected")
    shape = description.get("image_shape")
    if not (isinstance(shape, (tuple, list)) and len(shape) == 3
            and all(type(n) is int and n > 0 for n in shape) and shape[0] in (1, 3)):
        raise DataError(f"{path}: image_shape {quote(shape)}; expected (1 or 3 channels, height, "
                        f"width) of images of {n_pixels} pixels")
    if math.prod(shape) != n_pixels:
        raise DataError(f"{path}: image_shape {tuple(shape)}, but images of {n_pixels} pixels; "
                        f"expected {math.prod(shape)}")
    names = description.get("class_names")
    if not (isinstance(names, (tuple, list)) and names
            and all(isinstance(name, str) and name and name.isprintable() for name in names)
            and len(set(names)) == len(names)):
        raise DataError(f"{path}: class_names {quote(names)}; expected a list of different names")
    if len(names) > n_training:
        raise DataError(f"{path}: {len(names)} class_names; expected at most {n_training}, as a "
                        "class needs at least one of the training images")
    preparation = description.get("preparation")
    if not (isinstance(preparation, str) and preparation in PREPARATIONS):
        raise DataError(f"{path}: preparation {quote(preparation)}; expected one of "
                        + ", ".join(PREPARATIONS))
    return tuple(shape), list(names), preparation


def quote(value):
    """A value of any kind out of a file, in one line."""
    return one_line(repr(value))


# --- what a plain pickle does not say -------------------------------------------------------


def guess_image_shape(n_pixels):
    """(channels, height, width): square grey images if they can be, otherwise one row each."""
    side = math.isqrt(n_pixels)
    return (1, side, side) if side * side == n_pixels else (1, 1, n_pixels)


def number_classes(n_classes):
    """The names of the classes: "0", "1", ..."""
    return [str(label) for label in range(n_classes)]


def guess_preparation(images, image_shape):
    """How new pictures are prepared: as digits, if the first images are such."""
    size = digit_format.SIZE
    if image_shape == (1, size, size) and digit_format.are_in_format(images[:200]):
        return "digit"
    return "resize"
