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
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy
from PIL import Image
from tqdm import tqdm

from lenet.data import array_folder, plain_pickle
from lenet.data.array_folder import ArrayWriter
from lenet.data.arrays import FRACTION, SEED, check_fractions, draw_parts
from lenet.data.checks import guess_preparation, number_classes
from lenet.data.class_folder import (
    N_THREADS,
    Listing,
    find_parts,
    list_classes,
    reduce_size,
    refuse_bombs,
)
from lenet.data.files import write_beside, write_folder_beside
from lenet.data.pictures import COLOUR, GREY, read_picture
from lenet.data.pixels import BYTES
from lenet.errors import DataError, UsageError, one_line
from lenet.images.digit import SIZE as DIGIT_SIZE
from lenet.images.digit import read_digit

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
          limit=None, order="shuffled", seed=SEED, strict=False, validation_fraction=FRACTION,
          test_fraction=FRACTION):
    """Make a dataset from a folder of images.

    Parameters
    ----------
    source : str
        A folder with one subfolder per class; their names, sorted, numbers as numbers, become the
        names of the classes. Every file in them should be an image. Or a folder of such folders
        that are named train, valid or test.
    output : str
        The dataset: a pickle if it ends in ``.pkl.gz`` or ``.pkl`` (not compressed), otherwise a
        folder of arrays.
    validation : str, optional
        A folder of the same kind for the validation set; by default a part of every class.
    test : str, optional
        A folder of the same kind for the test set; by default another part of every class.
    validation_fraction, test_fraction : float
        These parts.
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
    check_fractions((validation_fraction, test_fraction))
    rng = numpy.random.RandomState(seed)
    as_pickle = output.endswith((".pkl.gz", ".pkl"))
    if as_pickle and os.path.isdir(output):
        raise DataError(f"{output}: a folder; expected the name of a file")
    folders = dict(find_parts(source))
    folders.update((part, folder) for part, folder in (("valid", validation), ("test", test))
                   if folder is not None)
    check_apart(output, folders.values())
    class_names = list_classes(folders["train"])
    listings = {part: Listing(folders[part], class_names, limit, rng)
                for part in array_folder.PARTS if part in folders}
    training = listings["train"]

    if digit:
        channels, size = GREY, (DIGIT_SIZE, DIGIT_SIZE)
    median_shape = (None if size is not None and channels is not None
                    else training.measure_images())
    image_shape = (channels or median_shape[0],) + tuple(size or reduce_size(*median_shape[1:]))
    report = Report(image_shape, class_names, None if size else median_shape[1:])
    read = read_digit if digit else functools.partial(read_picture, image_shape=image_shape)
    rows = training.order_rows(order, rng)
    numbers = draw_parts(training.labels, class_names, (validation_fraction, test_fraction),
                         [part not in listings for part in array_folder.PARTS[1:]], rng,
                         training.folder)
    plans = [(training, rows[numbers[rows] == number]) if listings.get(part, training) is training
             else (listings[part], listings[part].order_rows(order, rng))
             for number, part in enumerate(array_folder.PARTS)]

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


def check_apart(output, folders):
    """Raise a DataError if the dataset would become one of the classes."""
    for folder in folders:
        if os.path.realpath(output).startswith(os.path.join(os.path.realpath(folder), "")):
            raise DataError(f"{output}: lies in {folder}, where it would become a class; name "
                            "another place")


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

    with ThreadPoolExecutor(N_THREADS) as pool, refuse_bombs():
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
