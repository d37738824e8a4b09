"""From arrays as people have them to three sets: axes, classes, and what is held back.

A data set comes with images for training and their labels, perhaps with a validation and a test
set. Where it has none, parts of the training set are held back, so that no image is in two sets.
"""

from collections import namedtuple
from math import prod

import numpy

from lenet.data.checks import number_classes, quote
from lenet.data.lazy import LazyImages
from lenet.errors import DataError, UsageError

PARTS = ("train", "valid", "test")
FRACTION = 0.1  # of each class, held back for a set that is missing
SEED = 23455

# What a format holds.
# parts: dict from "train", "valid" or "test" to a pair of images and labels, arrays of any of the
#     kinds that ``arrange_sets`` takes
# class_names: list of str, or None where the labels are all there is
# image_shape: (channels, height, width), or None where the arrays say it
Found = namedtuple("Found", "parts class_names image_shape", defaults=[None, None])


def arrange_sets(found, path, fractions=(FRACTION, FRACTION), seed=SEED):
    """Three sets of what was found, as ``lenet.data.checks.check_dataset`` takes them.

    Parameters
    ----------
    found : Found
        Images are of shape (n, height, width), (n, height, width, channels), (n, channels, height,
        width) or (n, pixels), bytes or other numbers; labels are whole numbers or words, of shape
        (n,) or (n, 1), or (n, classes) with a one for the class of each image.
    path : str
        Named in errors.
    fractions : pair of float
        How much of each class is held back for validation and for testing, where a set is missing.
    seed : int
        Decides which images are held back.

    Returns
    -------
    list
        Three pairs (x, y), and a dict that describes them.

    Raises
    ------
    DataError, UsageError
        The arrays are something else, or too few to hold any back.
    """
    check_fractions(fractions)
    if "train" not in found.parts:
        raise DataError(f"{path}: no training images, only {join_parts(found.parts)}; expected "
                        "images and labels to train on")
    labels, names = arrange_labels(
        {part: flatten_labels(y, f"{path}: {part}") for part, (_, y) in found.parts.items()},
        found.class_names, path)
    images, shapes = {}, {}
    for part, (x, _) in found.parts.items():
        x, shapes[part] = arrange_images(x, found.image_shape, f"{path}: {part}")
        images[part] = x
        if len(x) != len(labels[part]):
            raise DataError(f"{path}: {part}: {len(x)} images but {len(labels[part])} labels; "
                            "expected one label for each image")
    shape = shapes["train"]
    if set(shapes.values()) != {shape}:
        raise DataError(f"{path}: images of shapes {' and '.join(map(str, shapes.values()))} in "
                        f"{join_parts(shapes)}; expected one shape")
    sets = {part: (x, labels[part]) for part, x in unify_numbers(images, path).items()}
    missing = [part not in sets for part in PARTS[1:]]
    if any(missing):
        x, y = sets["train"]
        rng = numpy.random.RandomState(seed)
        order = rng.permutation(len(y))
        numbers = draw_parts(y, names, fractions, missing, rng, path)
        for number, part in enumerate(PARTS):
            rows = order[numbers[order] == number]
            if part == "train" or missing[number - 1]:
                sets[part] = x.take(rows, axis=0), y[rows]
    description = {"class_names": names}
    return [sets[part] for part in PARTS] + [
        description if shape is None else dict(description, image_shape=shape)]


def check_fractions(fractions):
    """Raise a UsageError unless such parts of the training set can be held back."""
    if not (min(fractions) > 0 and sum(fractions) < 1):
        raise UsageError("fractions {} and {} of the training images held back; expected positive "
                         "numbers of a sum below 1".format(*fractions))


def draw_parts(labels, class_names, fractions, missing, rng, path):
    """Draw the images to be held back, of every class in proportion.

    Parameters
    ----------
    labels : int array of shape (n,)
    class_names : list of str
    fractions : pair of float
        As for ``arrange_sets``.
    missing : pair of bool
        Whether the validation and the test set are missing.
    rng : numpy.random.RandomState
    path : str
        Named in the error.

    Returns
    -------
    int array of shape (n,)
        0 for an image to train on, 1 for validation, 2 for testing.
    """
    numbers = numpy.zeros(len(labels), int)
    for label in numpy.unique(labels) if any(missing) else ():
        rows = rng.permutation(numpy.flatnonzero(labels == label))
        counts = [max(1, round(fraction * len(rows))) if needed else 0
                  for fraction, needed in zip(fractions, missing)]
        if sum(counts) >= len(rows):
            name = class_names[label] if 0 <= label < len(class_names) else label
            raise DataError(f"{path}: class {name}: {len(rows)} images; expected at least "
                            f"{1 + sum(counts)}, as every set needs some")
        # The test set comes first: whatever the other fraction is, it holds the same images.
        numbers[rows[:counts[1]]] = 2
        numbers[rows[counts[1]:sum(counts)]] = 1
    return numbers


# --- images ---------------------------------------------------------------------------------


def arrange_images(x, image_shape, where):
    """Images as rows of pixels, channel by channel, and the shape (channels, height, width) of an
    image, None where rows do not say it. Those on the disk stay there."""
    if isinstance(x, LazyImages):
        return x, image_shape
    x = as_array(x, where)
    if not 2 <= x.ndim <= 4:
        raise DataError(f"{where}: images of shape {x.shape}; expected (n, height, width), (n, "
                        "height, width, channels), (n, channels, height, width) or (n, pixels)")
    if x.ndim == 4 and image_shape is None and x.shape[1] == x.shape[3]:
        raise DataError(f"{where}: images of shape {x.shape}, which may have {x.shape[1]} channels "
                        "first or last; say which with image_shape")
    # Where nobody says it, the channels are fewer than the rows and the columns.
    if x.ndim == 4 and (x.shape[3] < x.shape[1] if image_shape is None
                        else x.shape[1:] != tuple(image_shape)):
        x = numpy.moveaxis(x, 3, 1)
    if x.ndim == 3:
        x = x[:, None]
    shape = x.shape[1:] if x.ndim == 4 else image_shape
    if image_shape is not None and shape != image_shape:
        raise DataError(f"{where}: images of shape {shape}; expected image_shape {image_shape}")
    if isinstance(x, numpy.memmap) and x.dtype == numpy.uint8:
        return LazyImages(x.__getitem__, prod(x.shape[1:]), numpy.arange(len(x))), shape
    return x.reshape(len(x), -1) if len(x) else x.reshape(0, 1), shape


def as_array(x, where):
    """An array of whatever NumPy can make one of."""
    try:
        return x if isinstance(x, numpy.ndarray) else numpy.asarray(x)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{where}: neither images nor labels of one size; expected an array"
                        ) from None


def unify_numbers(images, path):
    """The images of the parts, a dict, in numbers of one kind: bytes, if whole numbers of all of
    them fit; 0 and 255 for 0 and 1, or False and True, alone; fractions as they are."""
    whole = [part for part, x in images.items() if x.dtype.kind in "biu"]
    if not whole:
        return images
    if len(whole) < len(images):
        types = (f"{x.dtype} in {part}" for part, x in images.items())
        raise DataError(f"{path}: images of type {' and '.join(types)}; expected whole numbers in "
                        "all parts, or fractions in all")
    ends = [(0, 255) if isinstance(x, LazyImages) else (x.min(), x.max())
            for x in images.values() if len(x)]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if low < 0 or high > 255:
        return {part: numpy.asarray(x).astype("float32") for part, x in images.items()}
    factor = numpy.uint8(1 if high > 1 else 255)
    return {part: x if x.dtype == numpy.uint8 and factor == 1 else x.astype("uint8") * factor
            for part, x in images.items()}


# --- labels ---------------------------------------------------------------------------------


def flatten_labels(y, where):
    """Labels as an array of shape (n,), of words or of whole numbers."""
    y = as_array(y, where)
    if y.dtype.kind == "O" and all(isinstance(value, str) for value in y.flat):
        y = y.astype(str)
    if y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "biuf":
        if not (((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all()):
            raise DataError(f"{where}: labels of shape {y.shape}; expected one class for each "
                            "image: a number, a word, or a row with a single one")
        return y.argmax(axis=1)
    if y.ndim == 0 or y.size != len(y) or y.dtype.kind not in "biufU":
        raise DataError(f"{where}: labels of type {y.dtype} and shape {y.shape}; expected a number "
                        "or a word for each image")
    y = y.reshape(-1)
    if y.dtype.kind == "f" and not (y == numpy.floor(y)).all():  # NaN is not, either
        raise DataError(f"{where}: labels that are no whole numbers, such as "
                        f"{y[y != numpy.floor(y)][0]}; expected classes")
    return y if y.dtype.kind == "U" else y.astype("int64")


def arrange_labels(labels, class_names, path):
    """The labels of each part counted from 0, and the names of the classes. Classes that do not
    begin at 0 are named after their labels."""
    values = numpy.unique(labels["train"])
    if len(values) < 2:
        raise DataError(f"{path}: train: one class only, {quote(values.tolist()[0])}; expected at "
                        "least two" if len(values) else
                        f"{path}: train: empty; expected at least one image")
    if values.dtype.kind != "U" and values[0] == 0:
        return labels, class_names or number_classes(
            min(int(values[-1]), len(labels["train"])) + 1)
    if class_names is not None and values.dtype.kind == "U":
        values = numpy.array(class_names)
    elif class_names is not None and len(class_names) == values[-1] and values[0] > 0:
        values = numpy.arange(1, len(class_names) + 1)
    elif class_names is not None and len(class_names) != len(values):
        raise DataError(f"{path}: labels from {values[0]} to {values[-1]} and {len(class_names)} "
                        f"class_names, where labels may count from 0 or from 1; expected the names "
                        f"of these {len(values)} classes")
    order = numpy.argsort(values)
    found = {}
    for part, y in labels.items():
        if (y.dtype.kind == "U") != (values.dtype.kind == "U"):
            raise DataError(f"{path}: {part}: labels of type {y.dtype}, where {values.dtype} was "
                            "expected as in the training set")
        # Where each label is among the values, if it is there.
        found[part] = order[numpy.searchsorted(values, y, sorter=order).clip(0, len(values) - 1)]
        unknown = values[found[part]] != y
        if unknown.any():
            raise DataError(f"{path}: {part}: label {quote(y[unknown].tolist()[0])}; expected one "
                            "of the classes of the training set")
    return found, class_names or [str(value) for value in values]


# --- which array is what ----------------------------------------------------------------------


def part_of(name):
    """"train", "valid" or "test", if the name of a file or of an array says so."""
    name = name.lower()
    for part, words in (("train", ["train"]), ("valid", ["val"]), ("test", ["test", "t10k"])):
        if any(word in name for word in words):
            return part
    return None


def pair_up(arrays, path):
    """The images and the labels of each part, of arrays by name, such as ``x_train`` or
    ``train_images``; names that speak of no part are of the training set."""
    parts = {}
    for name, array in arrays.items():
        parts.setdefault(part_of(name) or "train", {})[name] = array
    return {part: pick_pair(named, path) for part, named in parts.items()}


def pick_pair(named, path):
    """The images, which is the largest array, and the one that has as many labels."""
    images = max(named, key=lambda name: (named[name].size, name))
    n_images = named[images].shape[:1]
    labels = [name for name in named if name != images and named[name].shape[:1] == n_images]
    if len(labels) != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in sorted(named.items()))
        raise DataError(f"{path}: found {quote(shapes)[1:-1]}; expected images and as many labels, "
                        "such as x_train and y_train")
    return named[images], named[labels[0]]


def join_parts(parts):
    return " and ".join(parts) or "none"
