"""Find a dataset, read it, check it, and place it in Theano's shared variables.

A dataset is what the tutorial calls ``mnist.pkl.gz``: a gzip'ed pickle of three pairs
``((train_x, train_y), (valid_x, valid_y), (test_x, test_y))``; each x holds one image per
row, each y one label per image. If the images are not grey and square, or the classes have names,
a fourth element describes them in a dict: see ``lenet.data.sets.Datasets``. What else may be
a dataset is in ``lenet.data.formats``.
"""

import math
import os
import zlib

import numpy
import theano

from lenet.data import formats, gpu_memory, mnist
from lenet.data.arrays import FRACTION, SEED, Found, arrange_sets
from lenet.data.checks import check_dataset
from lenet.data.chunks import MEGABYTE, ChunkedSet, Window, check_megabytes
from lenet.data.files import make_folder
from lenet.data.pixels import as_floats
from lenet.data.sets import SET_NAMES, Datasets, shared_dataset
from lenet.errors import DataError, UsageError
from lenet.installed import find_resources

REPOSITORY_DATA = os.path.join(find_resources(), "data")


def load_data(dataset="mnist.pkl.gz"):
    """Load a dataset into shared variables: on the GPU, if there is one.

    Parameters
    ----------
    dataset : str, or an object with a method ``load``
        A path, or a bare name that is looked up in the current folder, in the repository's
        ``data/``, then in the user's cache; ``mnist.pkl.gz``, found nowhere, is downloaded. Or what
        loads another kind of ``Datasets``, such as a ``lenet.data.ChunkedDataset``.

    Returns
    -------
    Datasets
        The training, validation and test sets, each a ``lenet.data.sets.SharedSet``, a pair
        (x, y): x is a shared variable, floatX of shape (n, n_pixels), byte / 256 for images that
        were bytes; y is an expression, int32 of shape (n,).

    Raises
    ------
    DataError
        The file is missing, damaged, tries to run code, or does not hold what it should.
    """
    if hasattr(dataset, "load"):
        return dataset.load()
    return load_sets(open_arrays(dataset))


class DatasetSource:
    """What ``load_data`` takes in the place of a name: a dataset that is changed on its way.

    Parameters
    ----------
    dataset : str or DatasetSource
        See ``load_data``.
    """

    def __init__(self, dataset):
        self.dataset = dataset

    def open(self):
        """The arrays, as ``open_arrays`` returns them."""
        return open_arrays(self.dataset)

    def place(self, stored):
        """Such arrays in shared variables, as ``load_data`` returns them."""
        return getattr(self.dataset, "place", load_sets)(stored)

    def load(self):
        return self.place(self.open())


class SplitDataset(DatasetSource):
    """A dataset of whose training images parts are held back where it has no other sets.

    Parameters
    ----------
    dataset : str
        See ``load_data``.
    validation, test : float
        Fractions of each class that are held back if there is no such set.
    seed : int
        Decides which images these are.
    """

    def __init__(self, dataset, validation=FRACTION, test=FRACTION, seed=SEED):
        super().__init__(dataset)
        self.fractions, self.seed = (validation, test), seed

    def open(self):
        path = find_dataset(self.dataset)
        sets = formats.read(path)
        if isinstance(sets, Found):
            sets = arrange_sets(sets, path, self.fractions, self.seed)
        return Datasets(*check_dataset(sets, SET_NAMES, path))


def split_as(options, dataset=None):
    """What to load of the dataset in a command's options, a dict by name, or of another one: held
    back as these say."""
    dataset = dataset or options["dataset"]
    fractions = [options.get(f"{part}_fraction", FRACTION) for part in ("validation", "test")]
    return dataset if fractions == [FRACTION] * 2 else SplitDataset(dataset, *fractions)


class ChunkedDataset(DatasetSource):
    """A dataset that ``load_data`` loads chunk by chunk if it is large.

    Parameters
    ----------
    dataset : str or StandardizedDataset
        See ``load_data``.
    megabytes : float
        If the three sets take more than this many times 2 ** 20 bytes as floatX, each is a
        ``lenet.data.chunks.ChunkedSet``: two chunks take no more than that.

    Raises
    ------
    UsageError
        The number of megabytes is not positive.
    """

    def __init__(self, dataset, megabytes):
        super().__init__(dataset)
        check_megabytes(megabytes)
        self.megabytes = megabytes

    def place(self, stored):
        return load_sets(stored, self.megabytes)


class StandardizedDataset(DatasetSource):
    """A dataset of which each channel of the training set has mean 0 and standard deviation 1.

    Photographs need it: their pixels are far from 0, all on one side. The mean and the deviation
    are those of all pixels of the training set; the other sets, and new pictures, get the same.
    """

    def open(self):
        stored = super().open()
        mean, deviation = measure_channels(stored[0][0], stored.pixels, stored.image_shape[0])
        sets = [(x if x.dtype == numpy.uint8 else standardize(x, mean, deviation), y)
                for x, y in stored]
        pixels = stored.pixels.standardize(*(values[0] if len(values) == 1 else values
                                             for values in (mean, deviation)))
        return stored.with_sets(sets, compute_fingerprint(stored), pixels)


def measure_channels(x, pixels, n_channels):
    """The mean and the standard deviation of each channel, float64 of shape (n_channels,); 1 in the
    place of a deviation of 0. ``x`` is images of bytes, which ``pixels`` makes numbers, or of
    numbers."""
    sums, squares = numpy.zeros((2, n_channels))
    for start in range(0, len(x), 4096):  # in parts: all pixels in float64 would fill the memory
        part = as_floats(x[start:start + 4096], pixels).astype("float64")
        part = part.reshape(len(part), n_channels, -1)
        sums += part.sum(axis=(0, 2))
        squares += (part ** 2).sum(axis=(0, 2))
    n = x.size // n_channels
    mean = sums / n
    deviation = numpy.sqrt(numpy.maximum(squares / n - mean ** 2, 0))
    return mean, numpy.where(deviation > 0, deviation, 1)


def standardize(x, mean, deviation):
    """Images of numbers less the mean, divided by the deviation, of each channel."""
    channels = x.reshape(len(x), len(mean), -1)
    scaled = (channels - mean[:, None].astype(x.dtype)) / deviation[:, None].astype(x.dtype)
    return scaled.reshape(x.shape)


def load_sets(stored, megabytes=math.inf):
    """Datasets of arrays in shared variables."""
    return stored.with_sets(place_sets(stored, megabytes), compute_fingerprint(stored))


def place_sets(stored, megabytes=math.inf, selections=(None, None, None)):
    """Three sets of arrays in shared variables: whole, or in chunks if they take more than this
    many megabytes; of each set only a selection, a ``lenet.parallel.shards.Shards``, if there is
    one."""
    size = sum(x.size + y.size for x, y in stored) * numpy.dtype(theano.config.floatX).itemsize
    if size > megabytes * MEGABYTE:
        window = Window(megabytes)
        return [ChunkedSet(x, y, window, selection, stored.pixels)
                for (x, y), selection in zip(stored, selections)]
    with gpu_memory.explain_full_memory(lambda: {"the data set": size}):
        return [shared_dataset(
            (as_floats(x, stored.pixels), y) if selection is None else
            (as_floats(selection.select_rows(x), stored.pixels), selection.select_rows(y)))
                for (x, y), selection in zip(stored, selections)]


def compute_fingerprint(sets):
    """A checksum of all labels, and of up to a thousand images of each set; of a standardized set,
    that of the images as they were."""
    if sets.fingerprint is not None:
        return sets.fingerprint
    checksum = 0
    for x, y in sets:
        some = as_floats(x[::-(-len(x) // 1000)], sets.pixels).astype("float32", copy=False)
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
    return stored.with_sets([(as_floats(x, stored.pixels), y) for x, y in stored])


def open_arrays(dataset="mnist.pkl.gz"):
    """Open a dataset: as ``load_arrays``, but a folder's images stay on the disk.

    Returns
    -------
    Datasets
        A list of three pairs (x, y): x of shape (n, n_pixels), floatX, or uint8, which may be
        memory-mapped and which their ``pixels`` make numbers; y int64 of shape (n,).
    """
    if hasattr(dataset, "open"):
        return dataset.open()
    return SplitDataset(dataset).open()


def find_dataset(dataset):
    """The path of a dataset; ``mnist.pkl.gz``, found nowhere, is downloaded."""
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
        raise DataError(f"{dataset}: not found in this folder, in {REPOSITORY_DATA} or in {cache}; "
                        "give its path (--dataset)")
    path = os.path.join(cache, dataset)
    make_folder(cache, "name a dataset by its path")
    mnist.fetch(path)
    return path
