"""From a folder of images with one subfolder per class to a dataset.

The images stream to the disk one by one: apart from their names, what is in memory does not grow
with their number. The tutorial's pickle is written from arrays on the disk, which are removed
afterwards.
"""

import contextlib
import functools
import gzip
import math
import mmap
import os
import re
import shutil
import statistics
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy
from PIL import Image
from tqdm import tqdm

from lenet.data import array_folder, plain_pickle
from lenet.data.array_folder import ArrayWriter
from lenet.data.checks import guess_preparation, number_classes
from lenet.data.files import make_read_error, write_beside, write_folder_beside
from lenet.data.pictures import COLOUR, GREY, read_picture, read_shape
from lenet.data.pixels import BYTES
from lenet.errors import DataError, UsageError, one_line
from lenet.images.digit import SIZE as DIGIT_SIZE
from lenet.images.digit import read_digit

VALIDATION_FRACTION = 0.1
SAMPLE = 100  # images that decide on size and colours where no option does
LONGEST, SHORTEST = 32, 16  # pixels of a side of reduced images; LeNet-5 needs 16
N_THREADS = min(4, os.cpu_count() or 1)  # decoding an image leaves Python to the other threads
IMAGES_AT_ONCE = 256
MEGABYTE = 2 ** 20


class Report:
    """What became of the images.

    Attributes
    ----------
    image_shape : (int, int, int)
        Channels, height, width.
    class_names : list of str
    n_images : list of three int
        Images in the training, validation and test sets.
    median_size : (int, int) or None
        Height and width of most images, if these decided on the size.
    skipped : list of (path, reason)
        Files that hold no image that could be read.
    """

    def __init__(self, image_shape, class_names, median_size=None):
        self.image_shape, self.class_names = image_shape, class_names
        self.median_size = median_size
        self.n_images, self.skipped = [], []


def build(source, output, validation=None, test=None, size=None, channels=None, digit=False,
          limit=None, order="shuffled", seed=23455, strict=False):
    """Make a dataset from a folder of images.

    Parameters
    ----------
    source : str
        A folder with one subfolder per class; their names, sorted, numbers as numbers, become the
        names of the classes. Every file in them should be an image.
    output : str
        The dataset: a pickle if it ends in ``.pkl.gz`` or ``.pkl`` (not compressed), otherwise a
        folder of arrays.
    validation : str, optional
        A folder of the same kind for the validation set; by default a tenth of every class.
    test : str, optional
        A folder of the same kind for the test set; by default that is the validation set.
    size : (int, int), optional
        Height and width of the images, which are resized; by default the medians of up to a
        hundred of them, reduced until the longer side has no more than 32 pixels.
    channels : int, optional
        1 (grey) or 3 (colour), by default what most of these have.
    digit : bool
        Bring each image into MNIST's format instead: see ``lenet.images.digit``.
    limit : int, optional
        Take at most this number of images of each class of each folder, chosen by the seed.
    order : str
        "shuffled" (minibatches need mixed classes) or "name": by the names of the files, over all
        classes.
    seed : int
        Of the split, the order and the limit.
    strict : bool
        Refuse a file that cannot be read, instead of skipping it.

    Returns
    -------
    Report

    Raises
    ------
    UsageError
        An option cannot work.
    DataError
        A folder is missing or empty, or has only one class; no image can be read; the dataset
        cannot be written. What was at ``output`` stays.
    """
    check_options(size, channels, digit, limit, order)
    rng = numpy.random.RandomState(seed)
    as_pickle = output.endswith((".pkl.gz", ".pkl"))
    if as_pickle and os.path.isdir(output):
        raise DataError(f"{output}: a folder; expected the name of a file")
    class_names = list_classes(source)
    listings = [Listing(source, class_names, limit, rng)]
    for folder in (validation, test):
        if folder is not None:
            listings.append(Listing(folder, class_names, limit, rng))
    check_apart(output, [listing.folder for listing in listings])

    if digit:
        channels, size = GREY, (DIGIT_SIZE, DIGIT_SIZE)
    median_shape = (None if size is not None and channels is not None
                    else listings[0].measure_images())
    image_shape = (channels or median_shape[0],) + tuple(size or reduce_size(*median_shape[1:]))
    report = Report(image_shape, class_names, None if size else median_shape[1:])
    read = read_digit if digit else functools.partial(read_picture, image_shape=image_shape)
    training = listings.pop(0)
    rows = training.order_rows(order, rng)
    if validation is None:
        chosen = training.draw_validation_rows(rng)
        plans = [(training, rows[~chosen[rows]]), (training, rows[chosen[rows]])]
    else:
        plans = [(training, rows)]
    plans += [(listing, listing.order_rows(order, rng)) for listing in listings]

    with contextlib.ExitStack() as stack:
        if as_pickle:
            file = stack.enter_context(write_beside(output))
            folder = stack.enter_context(tempfile.TemporaryDirectory(
                dir=os.path.dirname(os.path.abspath(output)),
                prefix=os.path.basename(output) + "."))
        else:
            folder = stack.enter_context(write_folder_beside(output, array_folder.FILES))
        n_files = sum(len(rows) for _, rows in plans)
        with tqdm(total=n_files, unit="image", file=sys.stderr, disable=not sys.stderr.isatty(),
                  dynamic_ncols=True, leave=False) as bar:
            for part, (listing, rows) in zip(array_folder.PARTS, plans):
                write_set(folder, part, listing, rows, read, report, strict, as_pickle, bar)
        if test is None:
            for what in "xy":
                shutil.copyfile(os.path.join(folder, f"valid_{what}.npy"),
                                os.path.join(folder, f"test_{what}.npy"))
            report.n_images.append(report.n_images[1])
        training_images = array_folder.map_array(os.path.join(folder, "train_x.npy"))
        guessed = guess_preparation(training_images, image_shape)
        description = image_shape, class_names, "digit" if digit else guessed
        # The tutorial's pickle says nothing of grey square images of numbered classes.
        is_plain = (image_shape[0] == GREY and image_shape[1] == image_shape[2]
                    and class_names == number_classes(len(class_names))
                    and description[2] == guessed)
        if as_pickle:
            # No name and no time in the header: the bytes depend on the contents alone.
            with gzip.GzipFile("", "wb", 6, file, mtime=0) if output.endswith(".gz") \
                    else contextlib.nullcontext(file) as file:
                write_pickle(file, folder, None if is_plain else description)
        else:
            array_folder.write_description(folder, *description)
    return report


def check_options(size, channels, digit, limit, order):
    """Raise a UsageError for invalid options."""
    if digit and (size is not None or channels == COLOUR):
        raise UsageError(f"images in MNIST's format are grey, {DIGIT_SIZE} x {DIGIT_SIZE} pixels; "
                         "leave out --digit, or size and colour")
    if size is not None and min(size) < 1:
        raise UsageError(f"size {size[0]} x {size[1]}; expected a height and a width of at least "
                         "one pixel")
    if limit is not None and limit < 2:
        raise UsageError(f"limit {limit}; expected at least 2 images of each class")
    if order not in ("shuffled", "name"):
        raise UsageError(f"order {order}; expected shuffled or name")


def reduce_size(height, width):
    """A size for images of such a height and width: in proportion, quick to train on."""
    factor = LONGEST / max(height, width)
    if factor >= 1:
        return height, width
    return tuple(max(SHORTEST, round(factor * side)) for side in (height, width))


def check_apart(output, folders):
    """Raise a DataError if the dataset would become one of the classes."""
    for folder in folders:
        if os.path.realpath(output).startswith(os.path.join(os.path.realpath(folder), "")):
            raise DataError(f"{output}: lies in {folder}, where it would become a class; name "
                            "another place")


# --- what there is --------------------------------------------------------------------------


def list_classes(folder):
    """The names of the subfolders, sorted, numbers as numbers."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries
                     if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        raise make_read_error(
            folder, error, "expected a folder with one subfolder per class") from None
    if not names:
        raise DataError(f"{folder}: no subfolders; expected one for each class, with its images")
    for name in names:
        if not name.isprintable():
            raise DataError(f"{folder}: a subfolder named {name!a}; rename it to something "
                            "printable")
    return sorted(names, key=lambda name: (pad_numbers(name), name))


def pad_numbers(name):
    """A name with its numbers as long as any other, so that "9" comes before "10"."""
    return re.sub(r"[0-9]+", lambda number: number.group().zfill(12), name)


class Listing:
    """The files of a folder, class by class, sorted by name.

    Parameters
    ----------
    folder : str
        Has no subfolders other than ``class_names``.
    class_names : list of str
    limit : int or None
        Take at most this number of files of each class.
    rng : numpy.random.RandomState
        Chooses them.
    """

    def __init__(self, folder, class_names, limit, rng):
        self.folder, self.class_names = folder, class_names
        here = list_classes(folder)
        unknown = [name for name in here if name not in class_names]
        if unknown:
            raise DataError(f"{folder}: class {unknown[0]}, which the training folder lacks; "
                            f"expected {join_names(class_names)}")
        if len(class_names) < 2:
            raise DataError(f"{folder}: one class only, {class_names[0]}; expected a subfolder for "
                            "each of at least two")
        # Arrays of bytes take a tenth of the memory of as many strings.
        self.names, self.labels = [], []
        for label, class_name in enumerate(class_names):
            names = self.list_files(class_name) if class_name in here else []
            if limit is not None and len(names) > limit:
                names = names[numpy.sort(rng.permutation(len(names))[:limit])]
            if len(names):
                self.names.append(names)
                self.labels.append(numpy.full(len(names), label, "int32"))
        if not self.names:
            raise DataError(f"{folder}: no files in its subfolders; expected images")
        self.names, self.labels = numpy.concatenate(self.names), numpy.concatenate(self.labels)

    def list_files(self, class_name):
        """The names of the files of a class, sorted, as an array of bytes."""
        folder = os.path.join(self.folder, class_name)
        try:
            names = [name for name in os.listdir(folder) if not name.startswith(".")]
        except OSError as error:
            raise make_read_error(folder, error) from None
        names.sort(key=pad_numbers)
        return numpy.array([os.fsencode(name) for name in names], "S") if names else names

    def path(self, row):
        """The path of file number ``row``."""
        return os.path.join(self.folder, self.class_names[self.labels[row]],
                            os.fsdecode(self.names[row]))

    def order_rows(self, order, rng):
        """The numbers of all files, in the order of the dataset."""
        if order == "shuffled":
            return rng.permutation(len(self.names))
        keys = numpy.array([pad_numbers(os.fsdecode(name)).encode("utf-8", "surrogateescape")
                            for name in self.names])
        return numpy.argsort(keys, kind="stable")

    def draw_validation_rows(self, rng):
        """Which files are for validation, as an array of booleans."""
        chosen = numpy.zeros(len(self.names), bool)
        for label, class_name in enumerate(self.class_names):
            rows = numpy.flatnonzero(self.labels == label)
            if len(rows) < 2:
                raise DataError(f"{os.path.join(self.folder, class_name)}: {len(rows)} files; "
                                "expected at least 2, one for training and one for validation")
            n_chosen = max(1, round(VALIDATION_FRACTION * len(rows)))
            chosen[rng.permutation(rows)[:n_chosen]] = True
        return chosen

    def measure_images(self):
        """(channels, height, width) of most images: the medians of a sample."""
        shapes = []
        for row in numpy.unique(numpy.linspace(0, len(self.names) - 1, SAMPLE).astype(int)):
            with contextlib.suppress(Exception):  # Pillow says in many ways that there is none
                shapes.append(read_shape(self.path(row)))
        if not shapes:
            raise DataError(f"{self.folder}: no image among its {len(self.names)} files; expected "
                            "images of a format that Pillow reads")
        channels, heights, widths = zip(*shapes)
        return (statistics.median_high(channels), statistics.median_low(heights),
                statistics.median_low(widths))


def join_names(names):
    """The names, at most ten of them, in one line."""
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")


# --- what is written ------------------------------------------------------------------------


def write_set(folder, part, listing, rows, read, report, strict, as_pickle, bar):
    """Write the images, as floats for a pickle, and the labels of one set; see ``build``."""
    dtype = "float32" if as_pickle else "uint8"
    images = ArrayWriter(os.path.join(folder, part + "_x.npy"), dtype, report.image_shape)
    labels = ArrayWriter(os.path.join(folder, part + "_y.npy"), "int64", ())
    floats = numpy.empty((1, math.prod(report.image_shape)), "float32")
    n_of_class = numpy.zeros(len(listing.class_names), "int64")
    with contextlib.closing(images), contextlib.closing(labels):
        for row, pixels in decode_images(listing, rows, read):
            if isinstance(pixels, Exception):
                if strict:
                    raise DataError(f"{listing.path(row)}: {describe_error(pixels)}; remove it, "
                                    "or leave out --strict")
                report.skipped.append((listing.path(row), describe_error(pixels)))
            else:
                if as_pickle:
                    pixels = BYTES.from_bytes(pixels.reshape(1, -1), floats)
                images.append(pixels)
                labels.append(listing.labels[row])
                n_of_class[listing.labels[row]] += 1
            bar.update()
    if not n_of_class.any():
        path, why = report.skipped[0]
        raise DataError(f"{listing.folder}: no image that can be read among {len(rows)} files; "
                        f"the first: {path}: {why}")
    if part == "train" and not n_of_class.all():
        class_name = listing.class_names[n_of_class.argmin()]
        raise DataError(f"{os.path.join(listing.folder, class_name)}: no image that can be read "
                        "for training")
    report.n_images.append(int(n_of_class.sum()))


def decode_images(listing, rows, read):
    """Pairs of a row and its pixels, or the exception that reading it raised, in order; ``read``
    is a function of a path."""

    def try_to_read(row):
        try:
            return read(listing.path(row))
        except Exception as error:  # Pillow says in many ways that a file is damaged
            return error

    with ThreadPoolExecutor(N_THREADS) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        following = []
        for start in range(0, len(rows) + IMAGES_AT_ONCE, IMAGES_AT_ONCE):
            # While one batch is written the next one is read.
            batch, following = following, [
                (row, pool.submit(try_to_read, row)) for row in rows[start:start + IMAGES_AT_ONCE]]
            for row, pixels in batch:
                yield row, pixels.result()


def describe_error(error):
    """What is wrong with an image, in one line."""
    if isinstance(error, FileNotFoundError):
        return "vanished"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, Image.UnidentifiedImageError):
        return "no image that Pillow can read"
    return one_line(error)


def write_pickle(file, folder, description=None):
    """Write the arrays of a folder as the tutorial's pickle, with their image_shape, class_names
    and preparation if it has more to say than that one."""
    sets, maps = [], []
    for part in array_folder.PARTS:
        # Mapped as writable, so that whoever reads the pickle gets a writable array.
        x = array_folder.map_array(os.path.join(folder, part + "_x.npy"), "r+")
        y = numpy.array(array_folder.map_array(os.path.join(folder, part + "_y.npy")))
        sets.append((x.reshape(len(x), -1), y))
        maps.append(x.base)
    if description is not None:
        sets.append(dict(zip(("image_shape", "class_names", "preparation"), description)))
    plain_pickle.dump(tuple(sets), PieceWriter(file, maps))


class PieceWriter:
    """A file that passes on what is written a megabyte at a time.

    So neither what gzip makes of an array nor its pages of ``maps`` come together in memory.
    """

    def __init__(self, file, maps=()):
        self.file, self.maps = file, maps

    def write(self, content):
        content = memoryview(content).cast("B")
        for start in range(0, len(content), MEGABYTE):
            self.file.write(content[start:start + MEGABYTE])
            for pages in self.maps:
                pages.madvise(mmap.MADV_DONTNEED)
