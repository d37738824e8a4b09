"""A dataset as a folder of arrays, which are read from the disk as they are needed.

The folder holds ``train_x.npy``, ``valid_x.npy`` and ``test_x.npy``, uint8 of shape (n, channels,
height, width), their labels ``train_y.npy``, ``valid_y.npy`` and ``test_y.npy``, int64 of shape
(n,), and ``dataset.json`` with the ``image_shape``, the ``class_names`` and the ``preparation``
that ``lenet.data.Datasets`` explains. A pixel stands for byte / 256, as in the tutorial's pickle,
unless ``pixels`` says otherwise (``lenet.data.pixels``).
"""

import json
import os

import numpy

from lenet.data.arrays import PARTS
from lenet.data.files import make_read_error
from lenet.errors import DataError, one_line

DESCRIPTION = "dataset.json"
FILES = [DESCRIPTION] + [f"{part}_{what}.npy" for part in PARTS for what in "xy"]


def read(folder):
    """The arrays and the description of a folder.

    Parameters
    ----------
    folder : str

    Returns
    -------
    list
        Three pairs (x, y) and what ``dataset.json`` holds. x is memory-mapped, uint8 of shape
        (n, n_pixels); y has the type that the file has.

    Raises
    ------
    DataError
        A file is missing or damaged, or holds something other than images.
    """
    description = read_description(folder)
    sets = []
    for part in PARTS:
        path = os.path.join(folder, part + "_x.npy")
        x = open_images(path)
        if isinstance(description, dict) and description.get("image_shape") != list(x.shape[1:]):
            raise DataError(f"{path}: images of shape {x.shape[1:]}, where {DESCRIPTION} says "
                            "otherwise; make the dataset again")
        # Labels are few bytes, and are checked all together.
        y = numpy.array(map_array(os.path.join(folder, part + "_y.npy")))
        sets.append((x.reshape(len(x), -1), y))
    return sets + [description]


def read_description(folder):
    """The object in ``dataset.json``."""
    path = os.path.join(folder, DESCRIPTION)
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise make_read_error(path, error) from None
    except ValueError as error:
        raise DataError(f"{path}: no JSON ({one_line(error)}); make the dataset again") from None


def open_images(path):
    """Open the images of a file, memory-mapped."""
    x = map_array(path)
    if x.dtype != numpy.uint8 or x.ndim != 4 or 0 in x.shape or not x.flags.c_contiguous:
        raise DataError(f"{path}: {x.dtype} of shape {x.shape}; expected uint8 of shape (images, "
                        "channels, height, width), row by row")
    return x


def map_array(path, mode="r"):
    """The array in a ``.npy`` file, memory-mapped. Objects, which are pickles, are refused."""
    try:
        return numpy.lib.format.open_memmap(path, mode)
    except OSError as error:
        raise make_read_error(path, error, "make the dataset again") from None
    except Exception as error:  # a damaged header makes NumPy fail in many ways
        raise DataError(f"{path}: no intact array ({one_line(error)}); make the dataset again"
                        ) from None


# --- writing --------------------------------------------------------------------------------


class ArrayWriter:
    """Writes a ``.npy`` file row by row, so that the rows are never in memory together.

    Parameters
    ----------
    path : str
        The file.
    dtype : str
        Type of the numbers.
    row_shape : tuple of int
        Shape of a row; () for an array of one dimension.
    """

    def __init__(self, path, dtype, row_shape):
        self.dtype, self.row_shape, self.n_rows = numpy.dtype(dtype), row_shape, 0
        self.file = open(path, "wb")
        self.write_header()
        self.header_bytes = self.file.tell()

    def append(self, row):
        """Write one more row."""
        self.file.write(numpy.ascontiguousarray(row, self.dtype).reshape(self.row_shape).data)
        self.n_rows += 1

    def close(self):
        """Write the number of rows into the header, and the file to the disk."""
        with self.file as file:
            file.seek(0)
            self.write_header()
            assert file.tell() == self.header_bytes  # NumPy leaves room for a longer number
            file.flush()
            os.fsync(file.fileno())

    def write_header(self):
        """Write what comes before the rows."""
        numpy.lib.format.write_array_header_1_0(self.file, {
            "descr": self.dtype.str, "fortran_order": False,
            "shape": (self.n_rows,) + self.row_shape})


def write_description(folder, image_shape, class_names, preparation):
    """Write ``dataset.json``."""
    with open(os.path.join(folder, DESCRIPTION), "w", encoding="utf-8") as file:
        json.dump({"image_shape": list(image_shape), "class_names": list(class_names),
                   "preparation": preparation}, file, indent=1, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
