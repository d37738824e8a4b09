"""A folder of pictures with one subfolder per class, perhaps with ``train/`` and ``test/`` above.

The pictures are read when they are needed, at the size and in the colours that most of them have.
"""

import contextlib
import os
import re
import statistics
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy
from PIL import Image

from lenet.data.arrays import SEED, Found
from lenet.data.files import list_names
from lenet.data.lazy import LazyImages
from lenet.data.pictures import read_picture, read_shape, refusal
from lenet.errors import DataError

SAMPLE = 100  # images that decide on size and colours where no option does
LONGEST, SHORTEST = 32, 16  # pixels of a side of reduced images; LeNet-5 needs 16
N_THREADS = min(4, os.cpu_count() or 1)  # decoding an image leaves Python to the other threads

PART_NAMES = {"train": "train", "training": "train", "valid": "valid", "val": "valid",
              "validation": "valid", "test": "test", "testing": "test"}


def read(folder):
    """The pictures of a folder, which stay on the disk.

    Returns
    -------
    lenet.data.arrays.Found
        Labels int32; pictures of any format that Pillow reads, by the endings of their names.

    Raises
    ------
    DataError
        There are no classes, or a class without pictures; later, a picture cannot be read.
    """
    folders = find_parts(folder)
    class_names = list_classes(folders["train"])
    listings = {part: Listing(path, class_names, counts=is_picture)
                for part, path in folders.items()}
    channels, *size = listings["train"].measure_images()
    image_shape = (channels, *reduce_size(*size))
    counts = numpy.bincount(listings["train"].labels, minlength=len(class_names))
    if not counts.all():
        raise DataError(f"{os.path.join(folders['train'], class_names[counts.argmin()])}: no "
                        "pictures; expected some in the folder of each class")
    rng = numpy.random.RandomState(SEED)
    parts = {}
    for part, listing in listings.items():
        rows = rng.permutation(len(listing.labels))  # minibatches need mixed classes
        read_rows = PictureReader(listing, image_shape).read
        parts[part] = (LazyImages(read_rows, int(numpy.prod(image_shape)), rows),
                       listing.labels[rows])
    return Found(parts, class_names, image_shape)


def find_parts(folder):
    """The folders of the sets, a dict by part: the folder itself, or those named train and so on
    in it."""
    parts = {PART_NAMES[name.lower()]: os.path.join(folder, name) for name in list_classes(folder)
             if name.lower() in PART_NAMES}
    # Pictures of trains may be a class.
    return parts if "train" in parts and list_names(parts["train"])[0] else {"train": folder}


def is_picture(name):
    """Whether the name of a file ends like that of a picture that Pillow reads."""
    return name.lower().endswith(tuple(Image.registered_extensions()))


class PictureReader:
    """Reads pictures of a listing as bytes of one shape."""

    def __init__(self, listing, image_shape):
        self.listing, self.image_shape = listing, image_shape

    def read(self, rows):
        """The pictures of these numbers, uint8 of shape (n, channels, height, width)."""
        images = numpy.empty((len(rows), *self.image_shape), "uint8")
        with ThreadPoolExecutor(N_THREADS) as pool, refuse_bombs():
            for image, pixels in zip(images, pool.map(self.read_one, rows)):
                image[...] = pixels
        return images

    def read_one(self, row):
        path = self.listing.path(row)
        try:
            return read_picture(path, self.image_shape)
        except Exception as error:  # Pillow says in many ways that a file is damaged
            raise DataError(f"{refusal(path, error)}; remove it, or make a dataset with "
                            "images_to_pkl.py, which skips it") from None


@contextlib.contextmanager
def refuse_bombs():
    """Inside the ``with`` block, a picture that would fill the memory is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def reduce_size(height, width):
    """A size for images of such a height and width: in proportion, quick to train on."""
    factor = LONGEST / max(height, width)
    if factor >= 1:
        return height, width
    return tuple(max(SHORTEST, round(factor * side)) for side in (height, width))


# --- what there is --------------------------------------------------------------------------


def list_classes(folder):
    """The names of the subfolders, sorted, numbers as numbers."""
    names, _ = list_names(folder)
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
    counts : function
        Of a file's name: whether it counts; by default, all do.
    """

    def __init__(self, folder, class_names, limit=None, rng=None, counts=lambda name: True):
        self.folder, self.class_names, self.counts = folder, class_names, counts
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
        folders, files = list_names(os.path.join(self.folder, class_name))
        names = sorted(filter(self.counts, folders + files), key=pad_numbers)
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
