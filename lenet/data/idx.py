"""The IDX files of MNIST and of the sets that took its place: Fashion-MNIST, KMNIST, EMNIST.

Format (Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits"): two zero
bytes, a type (8 for unsigned bytes), the number of dimensions, each dimension as a big-endian
32-bit integer, the bytes. Those of EMNIST (G. Cohen, S. Afshar, J. Tapson, A. van Schaik, 2017)
have columns before rows.
"""

import gzip
import os
import re
import zlib
from math import prod
from string import ascii_lowercase, ascii_uppercase, digits

import numpy

from lenet.data.arrays import Found, part_of
from lenet.data.files import make_read_error, open_unpacked
from lenet.errors import DataError

NAME = re.compile(r"(.*?)(train|t10k|test)[-.](images|labels)[-.]idx[13][-.]ubyte(?:\.gz)?")

# As in the tutorial, the last 10,000 of the 60,000 training images are the validation set.
N_TRAINING, N_VALIDATION = 60000, 10000

EMNIST_CLASSES = {  # where a small letter looks like the capital, both are one class
    "letters": ascii_uppercase,
    "balanced": digits + ascii_uppercase + "abdefghnqrt",
    "bymerge": digits + ascii_uppercase + "abdefghnqrt",
    "byclass": digits + ascii_uppercase + ascii_lowercase,
}


def list_sets(names):
    """The IDX files among the names of files: a dict from what the names of a set's files begin
    with to a dict from ("train", "images") and so on to a name."""
    sets = {}
    for name in sorted(names, reverse=True):  # one that is not compressed is taken last, and stays
        match = NAME.fullmatch(name)
        if match:
            prefix, part, what = match.groups()
            sets.setdefault(prefix, {})[part_of(part), what] = name
    return sets


def read(folder, names):
    """The set in the files of one prefix in a folder, as ``list_sets`` names them.

    Returns
    -------
    lenet.data.arrays.Found
        Images uint8 of shape (n, rows, columns), memory-mapped if they are not compressed.

    Raises
    ------
    DataError
        A file is missing or damaged.
    """
    parts = {}
    for (part, what), name in names.items():
        if what == "labels":
            continue
        if (part, "labels") not in names:
            raise DataError(f"{folder}: no file of labels beside {name}; expected both")
        parts[part] = (open_array(os.path.join(folder, name), n_dimensions=3),
                       open_array(os.path.join(folder, names[part, "labels"]), n_dimensions=1))
    first = next(iter(names.values()))
    classes = None
    if first.startswith("emnist-"):
        kind = first.split("-")[1]
        classes = EMNIST_CLASSES.get(kind)
        parts = {part: (x.transpose(0, 2, 1), y - (kind == "letters"))  # these count from 1
                 for part, (x, y) in parts.items()}
    x, y = parts.get("train", ((), ()))
    if len(x) == len(y) == N_TRAINING:
        parts.update(train=(x[:-N_VALIDATION], y[:-N_VALIDATION]),
                     valid=(x[-N_VALIDATION:], y[-N_VALIDATION:]))
    return Found(parts, classes and list(classes))


def open_array(path, n_dimensions):
    """The array of bytes in a file, memory-mapped if it is not compressed."""
    try:
        with open_unpacked(path) as file:
            content = (file.read() if isinstance(file, gzip.GzipFile) or not os.path.getsize(path)
                       else numpy.memmap(path, mode="r"))
    except (OSError, EOFError, zlib.error) as error:
        raise make_read_error(path, error, "copy or download it again") from None
    return parse(content, path, n_dimensions)


def parse(content, path, n_dimensions):
    """The array, uint8, in the bytes of a file."""
    start = 4 + 4 * n_dimensions
    header = bytes(content[:start])
    shape = numpy.frombuffer(header[4:], ">u4").tolist() if len(header) == start else ()
    if header[:4] != bytes([0, 0, 8, n_dimensions]) or prod(shape) != len(content) - start:
        raise DataError(f"{path}: a header of {header[:4].hex()} and {shape} before "
                        f"{max(0, len(content) - start)} bytes; expected bytes in {n_dimensions} "
                        "dimensions; copy or download it again")
    if isinstance(content, bytes):
        content = numpy.frombuffer(content, "uint8")
    return content[start:].reshape(shape)
