"""Find a dataset, read it, check it, and place it in Theano's shared variables.

A dataset is what the tutorial calls ``mnist.pkl.gz``: a gzip'ed pickle of three pairs
``((train_x, train_y), (valid_x, valid_y), (test_x, test_y))``; each x holds one image a row,
each y one label an image. Sets that are more than grey square images with numbered classes carry
a fourth element, a dict that says what they are: see ``lenet.data.sets.Datasets``. A dataset may
also be a folder of arrays: see ``lenet.data.array_folder``.
"""

import gzip
import math
import os
import pickle
import reprlib
import zlib

import numpy
import theano

from lenet.data import array_folder, digit_format, files, mnist, plain_pickle
from lenet.data.chunks import MEGABYTE, ChunkedSet, Window
from lenet.data.sets import SET_NAMES, Datasets, shared_dataset
from lenet.errors import DataError, UsageError, one_line
from lenet.gpu import memory

PREPARATIONS = ("digit", "resize")

REPOSITORY_DATA = os.path.join(files.beside_the_package(), "data")

Unsaid = object()  # in the place of a description


def load_data(dataset="mnist.pkl.gz", chunk_mb=None):
    """Load a dataset into shared variables, so that it lies on the GPU where there is one.

    Parameters
    ----------
    dataset : str
        A path, or a bare name that is looked up in the current folder, in the repository's
        ``data/``, then in the user's cache. ``mnist.pkl.gz``, found nowhere, is downloaded.
    chunk_mb : float, optional
        If the three sets take more than this many times 2 ** 20 bytes as floatX, let them come
        chunk by chunk; two chunks take no more than that.

    Returns
    -------
    Datasets
        The training, validation and test sets, each a ``lenet.data.sets.SharedSet``, a pair
        (x, y): x is a shared variable, floatX of shape (n, n_pixels), byte / 256 for images that
        were bytes; y is an expression, int32 of shape (n,). Sets that come in chunks are each a
        ``lenet.data.chunks.ChunkedSet``.

    Raises
    ------
    DataError
        The file is missing, damaged, tries to run code, or does not hold what it should.
    UsageError
        ``chunk_mb`` is not positive.
    """
    window = None if chunk_mb is None else Window(chunk_mb)
    stored = open_arrays(dataset)
    itemsize = numpy.dtype(theano.config.floatX).itemsize
    size = sum(x.size + y.size for x, y in stored) * itemsize
    fingerprint = fingerprint_of(stored)
    if window is not None and size > chunk_mb * MEGABYTE:
        return stored.with_sets([ChunkedSet(x, y, window) for x, y in stored], fingerprint)
    with memory.in_one_line(lambda: {"the data set": size}):
        return stored.with_sets([shared_dataset((as_floats(x), y)) for x, y in stored],
                                fingerprint)


def fingerprint_of(sets):
    """A checksum of all labels, and of up to a thousand images of each set."""
    checksum = 0
    for x, y in sets:
        some = as_floats(x[::-(-len(x) // 1000)]).astype("float32", copy=False)
        for array in (some, y.astype("int64", copy=False)):
            checksum = zlib.crc32(numpy.ascontiguousarray(array), checksum)
    return checksum


def load_arrays(dataset="mnist.pkl.gz"):
    """Load a dataset into memory: as ``load_data``, but NumPy arrays.

    Returns
    -------
    Datasets
        A list of three pairs (x, y): x floatX of shape (n, n_pixels), y int64 of shape (n,).
    """
    stored = open_arrays(dataset)
    return stored.with_sets([(as_floats(x), y) for x, y in stored])


def open_arrays(dataset="mnist.pkl.gz"):
    """Open a dataset: as ``load_arrays``, but a folder's images stay on the disk.

    Returns
    -------
    Datasets
        A list of three pairs (x, y): x of shape (n, n_pixels), floatX in memory, or memory-mapped
        uint8, which stands for byte / 256; y int64 of shape (n,).
    """
    path = find_dataset(dataset)
    if os.path.isdir(path):
        return checked(*array_folder.read(path), path)
    sets = read_pickle(path)
    if not (isinstance(sets, (tuple, list)) and len(sets) in (3, 4)
            and all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in sets[:3])):
        raise DataError("%s: found no three pairs of images and labels; expected "
                        "((train_x, train_y), (valid_x, valid_y), (test_x, test_y))" % path)
    return checked(sets[:3], sets[3] if len(sets) == 4 else Unsaid, path)


def as_floats(x):
    """Images as ``open_arrays`` gives them as floatX, in memory."""
    if x.dtype != numpy.uint8:
        return x
    floats = numpy.empty(x.shape, theano.config.floatX)
    for start in range(0, len(x), 4096):  # in parts, which the caches of the processor hold
        array_folder.to_floats(x[start:start + 4096], floats[start:start + 4096])
    return floats


def checked(sets, description, path):
    """Three pairs as ``Datasets`` of arrays, refused if they cannot be trained on.

    Parameters
    ----------
    sets : three pairs
        What stands where images and labels should.
    description : object
        What stands where the dict of ``image_shape``, ``class_names`` and ``preparation`` should;
        ``Unsaid`` if there is none, as in the tutorial's pickle.
    path : str
        Named in the errors.
    """
    sets = [list(pair) for pair in sets]
    places = ["%s: %s" % (path, name) for name in SET_NAMES]
    for pair, where in zip(sets, places):
        pair[0] = checked_images(pair[0], where)
    widths = [pair[0].shape[1] for pair in sets]
    if len(set(widths)) > 1:
        raise DataError("%s: images of %d, %d and %d pixels in the training, validation and test "
                        "sets; expected one size" % ((path,) + tuple(widths)))
    n_training = len(sets[0][0])
    if description is not Unsaid:
        image_shape, class_names, preparation = checked_description(
            description, widths[0], n_training, path)
        n_classes, why = len(class_names), "one for each of its class_names"
    else:
        n_classes = max(10, n_training)  # ten digits, even where a small set lacks some
        why = "as a class needs at least one of the %d training images" % n_training
    for pair, where in zip(sets, places):
        pair[1] = checked_labels(pair[1], where, n_classes, why)
        if description is Unsaid and pair is sets[0] and len(pair[1]):
            n_classes = max(10, 1 + int(pair[1].max()))
            why = "the classes of the training images"
        if len(pair[0]) != len(pair[1]):
            raise DataError("%s: %d images but %d labels; expected one label for each image"
                            % (where, len(pair[0]), len(pair[1])))
    if description is Unsaid:
        image_shape = shape_of_rows(widths[0])
        class_names = numbered(1 + max(int(labels.max()) for _, labels in sets))
        preparation = preparation_of(sets[0][0], image_shape)
    return Datasets([tuple(pair) for pair in sets], image_shape, class_names, preparation)


def numbered(n_classes):
    """The names of classes that have none: "0", "1", ..."""
    return [str(label) for label in range(n_classes)]


def preparation_of(images, image_shape):
    """How new pictures are prepared if nothing tells: as digits, if the first images are such."""
    size = digit_format.SIZE
    if image_shape == (1, size, size) and digit_format.are_in_format(images[:200]):
        return "digit"
    return "resize"


def shape_of_rows(n_pixels):
    """What rows of so many pixels are if nothing tells: square grey images, or one row each."""
    side = math.isqrt(n_pixels)
    return (1, side, side) if side * side == n_pixels else (1, 1, n_pixels)


def find_dataset(dataset):
    """The path of a dataset, which is downloaded if it is ``mnist.pkl.gz`` and found nowhere."""
    if not dataset:
        raise UsageError("the dataset has an empty name; expected a path, or mnist.pkl.gz")
    if os.path.dirname(dataset) or os.path.exists(dataset):
        return dataset
    import pooch  # slow to import, and not needed for a path

    cache = str(pooch.os_cache("lenet-theano"))
    for folder in (REPOSITORY_DATA, cache):
        path = os.path.join(folder, dataset)
        if os.path.exists(path):
            return path
    if dataset != "mnist.pkl.gz":
        raise DataError("%s: not found in this folder, in %s or in %s; give its path (--dataset)"
                        % (dataset, REPOSITORY_DATA, cache))
    path = os.path.join(cache, dataset)
    try:
        os.makedirs(cache, exist_ok=True)
    except OSError as error:
        raise DataError("%s: cannot be made (%s); name a dataset by its path"
                        % (cache, error.strerror)) from None
    mnist.fetch(path)
    return path


def read_pickle(path):
    """The object in a pickle, which is gzip'ed unless its name ends in ``.pkl``.

    See ``lenet.data.plain_pickle`` for what it may hold.
    """
    try:
        with open(path, "rb") if path.endswith(".pkl") else gzip.open(path) as file:
            value = plain_pickle.load(file)
            # The end of the file holds the checksum, which is compared when it is reached.
            if file.read(1):
                raise pickle.UnpicklingError("something follows the pickle")
            return value
    except FileNotFoundError:
        raise DataError("%s: not found; give the path of a dataset such as data/mnist.pkl.gz"
                        % path) from None
    except EOFError:
        raise DataError("%s: truncated; copy or download it again" % path) from None
    except gzip.BadGzipFile as error:
        raise DataError("%s: no intact gzip file (%s); expected a gzip'ed pickle"
                        % (path, one_line(error))) from None
    except OSError as error:
        raise DataError("%s: cannot be read (%s)" % (path, error.strerror or error)) from None
    except (zlib.error, pickle.UnpicklingError) as error:
        raise DataError("%s: refused: %s; expected a pickle of arrays of numbers only"
                        % (path, one_line(error))) from None
    except MemoryError:
        raise DataError("%s: refused: it asks for more memory than there is" % path) from None


def checked_description(description, n_pixels, n_training, path):
    """``image_shape``, ``class_names`` and ``preparation`` out of a dict; refused if damaged."""
    if not isinstance(description, dict):
        raise DataError("%s: %s, where a dict of image_shape, class_names and preparation was "
                        "expected" % (path, shown(description)))
    shape = description.get("image_shape")
    if not (isinstance(shape, (tuple, list)) and len(shape) == 3
            and all(type(n) is int and 0 < n <= n_pixels for n in shape) and shape[0] in (1, 3)):
        raise DataError("%s: image_shape %s; expected (1 or 3 channels, height, width) of "
                        "images of %d pixels" % (path, shown(shape), n_pixels))
    if math.prod(shape) != n_pixels:
        raise DataError("%s: image_shape %s, but images of %d pixels; expected %d"
                        % (path, tuple(shape), n_pixels, math.prod(shape)))
    names = description.get("class_names")
    if not (isinstance(names, (tuple, list)) and names
            and all(isinstance(name, str) and name and name.isprintable() for name in names)
            and len(set(names)) == len(names)):
        raise DataError("%s: class_names %s; expected a list of different names"
                        % (path, shown(names)))
    if len(names) > n_training:
        raise DataError("%s: %d class_names; expected at most %d, as a class needs at least one of "
                        "the training images" % (path, len(names), n_training))
    preparation = description.get("preparation")
    if not (isinstance(preparation, str) and preparation in PREPARATIONS):
        raise DataError("%s: preparation %s; expected one of %s"
                        % (path, shown(preparation), ", ".join(PREPARATIONS)))
    return tuple(shape), list(names), preparation


def shown(value):
    """A value of any kind out of a file, in at most 60 characters of one line."""
    try:
        return " ".join(reprlib.repr(value).split())[:60]  # never follows a value to any depth
    except ValueError:  # Python writes no number of thousands of digits
        return "a number too long to show"


def checked_images(x, where):
    """``x`` as an array of floatX, or of bytes on the disk, one image a row; or refused."""
    x = as_numbers(x, where, "images")
    if x.ndim != 2 or x.shape[1] == 0:
        raise DataError("%s: images of shape %s; expected (number of images, pixels)"
                        % (where, x.shape))
    if len(x) == 0:
        raise DataError("%s: empty; expected at least one image" % where)
    if isinstance(x, numpy.memmap):  # bytes on the disk, which stay there
        return x
    if x.dtype == numpy.uint8:
        return as_floats(x)
    x = x.astype(theano.config.floatX, copy=False)
    for start in range(0, len(x), 4096):  # in parts: a mask of all pixels at once costs memory
        if not numpy.isfinite(x[start:start + 4096]).all():
            raise DataError("%s: a pixel is NaN or infinite; expected finite numbers" % where)
    return x


def checked_labels(y, where, n_classes, why):
    """``y`` as a vector of int64; refused if it is not made of whole numbers below n_classes."""
    y = as_numbers(y, where, "labels")
    if y.ndim != 1:
        raise DataError("%s: labels of shape %s; expected one number for each image"
                        % (where, y.shape))
    wrong = (y < 0) | (y >= n_classes) | (y != numpy.floor(y))
    if wrong.any():
        raise DataError("%s: label %s; expected whole numbers from 0 to %d, %s"
                        % (where, y[wrong][0], n_classes - 1, why))
    return y.astype("int64")


def as_numbers(values, where, what):
    """``values`` as an array; lists become arrays if all their items have one length."""
    if isinstance(values, numpy.ndarray):
        return values
    try:
        # Deeper lists, which a few bytes can make as large as they like, are never looked into.
        if any(isinstance(part, (list, tuple)) for row in values if isinstance(row, (list, tuple))
               for part in row):
            raise ValueError
        return numpy.asarray(values, dtype="float64")
    except (TypeError, ValueError, OverflowError):
        raise DataError("%s: %s that are no array; expected equally long rows of numbers"
                        % (where, what)) from None
