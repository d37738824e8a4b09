"""From the four original files of MNIST to the tutorial's ``mnist.pkl.gz``.

MNIST: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".
"""

import gzip
import hashlib
import os
import sys
import zlib

import numpy

from lenet.data import idx, plain_pickle
from lenet.data.files import make_read_error, open_unpacked, write_beside
from lenet.data.pixels import BYTES
from lenet.errors import DataError

# SHA-256 of the files' contents, uncompressed, and MD5 of the compressed files on the mirrors.
FILES = {
    "train-images-idx3-ubyte": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
    "train-labels-idx1-ubyte": (
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "d53e105ee54ea40749a09fcbcd1e9432"),
    "t10k-images-idx3-ubyte": (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "9fb629c4189551a2d022fa330f9573f3"),
    "t10k-labels-idx1-ubyte": (
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        "ec29112dd5afa0611ce80d1b7f02629c"),
}

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def build(folder, output):
    """Write ``mnist.pkl.gz`` from a folder with the four original files.

    Parameters
    ----------
    folder : str
        Holds ``train-images-idx3-ubyte.gz`` and the other three, compressed or not.
    output : str
        The file to write: a gzip'ed pickle of
        ``((train_x, train_y), (valid_x, valid_y), (test_x, test_y))``, images float32 of shape
        (n, 784) in [0, 1), labels int64 of shape (n,). The same input gives the same bytes.

    Raises
    ------
    DataError
        A file is missing or is not the original one.
    """
    train_x, test_x = (read_original(folder, name) for name in ("train-images-idx3-ubyte",
                                                           "t10k-images-idx3-ubyte"))
    train_y, test_y = (read_original(folder, name) for name in ("train-labels-idx1-ubyte",
                                                           "t10k-labels-idx1-ubyte"))
    sets = (
        make_pair(train_x[:-idx.N_VALIDATION], train_y[:-idx.N_VALIDATION]),
        make_pair(train_x[-idx.N_VALIDATION:], train_y[-idx.N_VALIDATION:]),
        make_pair(test_x, test_y),
    )
    with write_beside(output) as file:
        # No name and no time in the header: the bytes depend on the contents alone.
        with gzip.GzipFile("", "wb", compresslevel=9, fileobj=file, mtime=0) as compressed:
            plain_pickle.dump(sets, compressed)


def make_pair(images, labels):
    """Images of shape (n, rows, columns) and labels (n,), uint8, in the tutorial's format."""
    x = images.reshape(len(images), -1)
    return BYTES.from_bytes(x, numpy.empty(x.shape, "float32")), labels.astype("int64")


def read_original(folder, name):
    """Read one of the four original files and check that it is that file: an array, uint8 of shape
    (n, 28, 28) for images, (n,) for labels."""
    path = os.path.join(folder, name)
    try:
        with open_unpacked(path + ".gz" if os.path.exists(path + ".gz") else path) as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise make_read_error(path, error, "expected the original file of MNIST there") from None
    found, expected = hashlib.sha256(content).hexdigest(), FILES[name][0]
    if found != expected:
        raise DataError(f"{path}: not the original file of MNIST (SHA-256 {found[:12]}..., "
                        f"expected {expected[:12]}...)")
    return idx.parse(content, path, n_dimensions=3 if "images" in name else 1)


def fetch(output):
    """Download the four original files from a public mirror and build ``mnist.pkl.gz``.

    Parameters
    ----------
    output : str
        The file to write. The downloads are kept beside it until it is complete, so that a
        second try downloads only what is missing.

    Raises
    ------
    DataError
        No mirror can be reached, or a file that arrived is not the original one.
    """
    import pooch  # only needed, and only then imported, without the repository's copy

    folder = os.path.dirname(output)
    pooch.get_logger().setLevel("WARNING")
    for name, (_, md5) in FILES.items():
        problems = []
        for mirror in MIRRORS:
            try:
                pooch.retrieve(mirror + name + ".gz", "md5:" + md5, name + ".gz", folder,
                               downloader=pooch.HTTPDownloader(progressbar=sys.stderr.isatty()))
                break
            except Exception as error:  # requests, urllib3 and pooch each have their own
                problems.append(f"{mirror}: {type(error).__name__}")
        else:
            raise DataError(
                "mnist.pkl.gz is neither in this folder nor in the repository's data/, and "
                f"cannot be fetched ({'; '.join(problems)}); copy it from the repository's data/ "
                "or try again online")
    build(folder, output)
    for name in FILES:
        os.unlink(os.path.join(folder, name + ".gz"))
