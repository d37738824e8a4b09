"""Find a dataset, read it, check it, and place it in Theano's shared variables.

A dataset is what the tutorial calls ``mnist.pkl.gz``: a gzip'ed pickle of three pairs
``((train_x, train_y), (valid_x, valid_y), (test_x, test_y))``; each x holds one image a row,
each y one label an image.
"""

import gzip
import os
import pickle
import zlib

import numpy
import theano
import theano.tensor as T

from lenet import mnist, plain_pickle
from lenet.errors import DataError

SET_NAMES = ("training set", "validation set", "test set")

REPOSITORY_DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data")


def load_data(dataset="mnist.pkl.gz", n_classes=10):
    """Load a dataset into shared variables, so that it lies on the GPU where there is one.

    Parameters
    ----------
    dataset : str
        A path, or a bare name that is looked up in the current folder, in the repository's
        ``data/``, then in the user's cache. ``mnist.pkl.gz``, found nowhere, is downloaded.
    n_classes : int
        Labels must lie in 0 ... n_classes - 1.

    Returns
    -------
    list of three pairs (x, y)
        The training, validation and test sets. x is a shared variable, floatX of shape
        (n, n_pixels); y is an expression, int32 of shape (n,).

    Raises
    ------
    DataError
        The file is missing, damaged, tries to run code, or does not hold what it should.
    """
    return [shared_dataset(pair) for pair in load_arrays(dataset, n_classes)]


def shared_dataset(data_xy, borrow=True):
    """Place one set in shared variables.

    On a GPU, copying each minibatch when it is needed would cost more time than computing with
    it; shared variables are copied there once. GPUs store numbers of type floatX, so the labels
    are stored as floatX too, and cast to int32 inside the graph, since they are used as indexes.

    Parameters
    ----------
    data_xy : pair of arrays
        Images of shape (n, n_pixels) and labels of shape (n,).
    borrow : bool
        Whether the shared variables may use the memory of arrays that have type floatX already.

    Returns
    -------
    (shared variable, expression)
        Images, floatX of shape (n, n_pixels), and labels, int32 of shape (n,).
    """
    data_x, data_y = data_xy
    shared_x = theano.shared(numpy.asarray(data_x, dtype=theano.config.floatX), borrow=borrow)
    shared_y = theano.shared(numpy.asarray(data_y, dtype=theano.config.floatX), borrow=borrow)
    return shared_x, T.cast(shared_y, "int32")


def image_shape_of(datasets, least=1):
    """(channels, height, width) of a dataset's images, which are grey and square.

    Parameters
    ----------
    datasets : list of three pairs
        As ``load_data`` returns them.
    least : int
        Height and width that the network needs at the least, in pixels.

    Raises
    ------
    DataError
        The images are not square, or too small.
    """
    n_pixels = datasets[0][0].get_value(borrow=True).shape[1]
    side = int(round(n_pixels ** 0.5))
    if side * side != n_pixels:
        raise DataError("the dataset has images of %d pixels; expected square ones, such as 28 x 28"
                        % n_pixels)
    if side < least:
        raise DataError("the dataset has images of %d x %d pixels; this network needs at least "
                        "%d x %d" % (side, side, least, least))
    return 1, side, side


def load_arrays(dataset="mnist.pkl.gz", n_classes=10):
    """Load a dataset into memory: as ``load_data``, but NumPy arrays.

    Returns
    -------
    list of three pairs (x, y)
        x floatX of shape (n, n_pixels), y int64 of shape (n,).
    """
    path = find_dataset(dataset)
    sets = read_pickle(path)
    if not (isinstance(sets, (tuple, list)) and len(sets) == 3
            and all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in sets)):
        raise DataError("%s: found no three pairs of images and labels; expected "
                        "((train_x, train_y), (valid_x, valid_y), (test_x, test_y))" % path)
    sets = [list(pair) for pair in sets]
    for pair, name in zip(sets, SET_NAMES):
        where = "%s: %s" % (path, name)
        pair[0] = checked_images(pair[0], where)
        pair[1] = checked_labels(pair[1], where, n_classes)
        if len(pair[0]) != len(pair[1]):
            raise DataError("%s: %d images but %d labels; expected one label for each image"
                            % (where, len(pair[0]), len(pair[1])))
    widths = [pair[0].shape[1] for pair in sets]
    if len(set(widths)) > 1:
        raise DataError("%s: images of %d, %d and %d pixels in the training, validation and test "
                        "sets; expected one size" % ((path,) + tuple(widths)))
    return [tuple(pair) for pair in sets]


def find_dataset(dataset):
    """The path of a dataset, which is downloaded if it is ``mnist.pkl.gz`` and found nowhere."""
    if os.path.dirname(dataset) or os.path.exists(dataset):
        return dataset
    import pooch  # slow to import, and not needed for a path

    cache = str(pooch.os_cache("lenet-theano"))
    for folder in (REPOSITORY_DATA, cache):
        path = os.path.join(folder, dataset)
        if os.path.exists(path):
            return path
    if dataset != "mnist.pkl.gz":
        raise DataError("%s: not found in this folder, in %s or in %s; give its path"
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
    """The object in a gzip'ed pickle; see ``lenet.plain_pickle`` for what it may hold."""
    try:
        with gzip.open(path) as file:
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
                        % (path, error)) from None
    except OSError as error:
        raise DataError("%s: cannot be read (%s)" % (path, error.strerror or error)) from None
    except (zlib.error, pickle.UnpicklingError) as error:
        raise DataError("%s: refused: %s; expected a pickle of arrays of numbers only"
                        % (path, error)) from None
    except MemoryError:
        raise DataError("%s: refused: it asks for more memory than there is" % path) from None


def checked_images(x, where):
    """``x`` as an array of floatX, one image a row; refused if it is anything else."""
    x = as_numbers(x, where, "images")
    if x.ndim != 2 or x.shape[1] == 0:
        raise DataError("%s: images of shape %s; expected (number of images, pixels)"
                        % (where, x.shape))
    if len(x) == 0:
        raise DataError("%s: empty; expected at least one image" % where)
    x = x.astype(theano.config.floatX, copy=False)
    for start in range(0, len(x), 4096):  # in parts: a mask of all pixels at once costs memory
        if not numpy.isfinite(x[start:start + 4096]).all():
            raise DataError("%s: a pixel is NaN or infinite; expected finite numbers" % where)
    return x


def checked_labels(y, where, n_classes):
    """``y`` as a vector of int64; refused if it is not made of whole numbers in range."""
    y = as_numbers(y, where, "labels")
    if y.ndim != 1:
        raise DataError("%s: labels of shape %s; expected one number for each image"
                        % (where, y.shape))
    wrong = (y < 0) | (y >= n_classes) | (y != numpy.floor(y))
    if wrong.any():
        raise DataError("%s: label %s; expected whole numbers from 0 to %d"
                        % (where, y[wrong][0], n_classes - 1))
    return y.astype("int64")


def as_numbers(values, where, what):
    """``values`` as an array; lists become arrays if all their items have one length."""
    if isinstance(values, numpy.ndarray):
        return values
    try:
        return numpy.asarray(values, dtype="float64")
    except (TypeError, ValueError):
        raise DataError("%s: %s that are no array; expected equally long rows of numbers"
                        % (where, what)) from None
