"""Refuse a dataset that cannot be trained on, and work out what a plain one holds."""

import math

import numpy
import theano

from lenet.data import digit_format
from lenet.data.lazy import LazyImages
from lenet.data.pixels import as_bytes, guess_pixels, read_pixels
from lenet.data.plain_pickle import NUMBER_KINDS
from lenet.errors import DataError, one_line

PREPARATIONS = ("digit", "resize")


def check_dataset(sets, set_names, path):
    """Check what was read as a dataset; return arrays that can be trained on.

    Parameters
    ----------
    sets : object
        Three pairs (x, y); after them, unless it is a plain pickle, a dict of any of
        ``image_shape``, ``class_names``, ``preparation`` and ``pixels``; see
        ``lenet.data.sets.Datasets``. What it does not say is worked out as for a plain pickle.
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
    pairs, described = sets[:3], sets[3] if len(sets) == 4 else {}
    places = [f"{path}: {name}" for name in set_names]
    all_x = [check_images(x, where) for (x, _), where in zip(pairs, places)]
    n_training, n_pixels = all_x[0].shape
    if any(x.shape[1] != n_pixels for x in all_x):
        widths = "{}, {} and {}".format(*(x.shape[1] for x in all_x))
        raise DataError(f"{path}: images of {widths} pixels in the training, validation and test "
                        "sets; expected one size")
    image_shape, class_names, preparation = check_description(described, n_pixels, n_training, path)
    if class_names is None:
        n_classes = max(10, n_training)  # ten digits, even where a small set lacks some
        why = f"as a class needs at least one of the {n_training} training images"
    else:
        n_classes, why = len(class_names), "one for each of its class_names"
    all_y = []
    for (_, y), x, where in zip(pairs, all_x, places):
        y = check_labels(y, where, n_classes, why)
        if len(x) != len(y):
            raise DataError(f"{where}: {len(x)} images but {len(y)} labels; expected one label "
                            "for each image")
        if class_names is None and not all_y:
            n_classes, why = max(10, 1 + int(y.max())), "the classes of the training images"
        all_y.append(y)
    class_names = class_names or number_classes(1 + max(int(y.max()) for y in all_y))
    try:
        pixels = read_pixels(described.get("pixels"), n_pixels)
    except ValueError as error:
        raise DataError(f"{path}: pixels {quote(described['pixels'])}; {error}") from None
    if "pixels" not in described and all_x[0].dtype != numpy.uint8:
        pixels = guess_pixels(all_x[0])
    image_shape = image_shape or guess_image_shape(n_pixels)
    if preparation is None:
        preparation = guess_preparation(as_bytes(all_x[0][:200], pixels), image_shape)
    return list(zip(all_x, all_y)), image_shape, class_names, preparation, pixels


def check_images(x, where):
    """Check images; return an array of floatX, or of bytes on the disk, one image a row."""
    x = check_numbers(x, where, "images", theano.config.floatX)
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


def check_numbers(values, where, what, dtype="float64"):
    """Check numbers; return an array, of a list one of this dtype. Lists need items of the same
    length."""
    if isinstance(values, LazyImages):
        return values
    try:
        if not isinstance(values, numpy.ndarray):
            values = numpy.asarray(values, dtype=dtype)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{where}: {what} that are no array; expected equally long rows of "
                        "numbers") from None
    if values.dtype.kind not in NUMBER_KINDS:
        raise DataError(f"{where}: {what} of type {values.dtype}, where numbers were expected")
    return values if isinstance(values, numpy.memmap) else values.view(numpy.ndarray)


def check_description(description, n_pixels, n_training, path):
    """Check a dict; return its ``image_shape``, ``class_names`` and ``preparation``, or None in the
    place of what it does not say."""
    if not isinstance(description, dict):
        raise DataError(f"{path}: {quote(description)}, where a dict of image_shape, class_names "
                        "and preparation was expected")
    shape, names, preparation = (description.get(key) for key in
                                 ("image_shape", "class_names", "preparation"))
    if "image_shape" in description and not (
            isinstance(shape, (tuple, list)) and len(shape) == 3
            and all(type(n) is int and n > 0 for n in shape)):
        raise DataError(f"{path}: image_shape {quote(shape)}; expected (channels, height, width) "
                        f"of images of {n_pixels} pixels")
    if shape is not None and math.prod(shape) != n_pixels:
        raise DataError(f"{path}: image_shape {tuple(shape)}, but images of {n_pixels} pixels; "
                        f"expected {math.prod(shape)}")
    if "class_names" in description and not (
            isinstance(names, (tuple, list)) and names
            and all(isinstance(name, str) and name and name.isprintable() for name in names)
            and len(set(names)) == len(names)):
        raise DataError(f"{path}: class_names {quote(names)}; expected a list of different names")
    if names is not None and len(names) > n_training:
        raise DataError(f"{path}: {len(names)} class_names; expected at most {n_training}, as a "
                        "class needs at least one of the training images")
    if "preparation" in description and not (
            isinstance(preparation, str) and preparation in PREPARATIONS):
        raise DataError(f"{path}: preparation {quote(preparation)}; expected one of "
                        + ", ".join(PREPARATIONS))
    return shape and tuple(shape), names and list(names), preparation


def quote(value):
    """A value of any kind out of a file, in one line."""
    return one_line(repr(value))


# --- what a plain pickle does not say -------------------------------------------------------


def guess_image_shape(n_pixels):
    """(channels, height, width): square images if they can be, grey or of three colours,
    otherwise one row each."""
    for channels in (1, 3):
        side = math.isqrt(n_pixels // channels)
        if channels * side * side == n_pixels:
            return channels, side, side
    return 1, 1, n_pixels


def number_classes(n_classes):
    """The names of the classes: "0", "1", ..."""
    return [str(label) for label in range(n_classes)]


def guess_preparation(images, image_shape):
    """How new pictures are prepared: as digits, if the first images are such."""
    size = digit_format.SIZE
    if image_shape == (1, size, size) and digit_format.are_in_format(images[:200]):
        return "digit"
    return "resize"
