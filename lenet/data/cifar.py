"""CIFAR-10 and CIFAR-100 as their authors pack them: pickles or binary files, in a folder or a tar.

A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009; the formats are on the
page of the sets. A row is 32 x 32 reds, greens and blues; in the binary files, one label (CIFAR-10)
or two (CIFAR-100: the superclass first) come before it.
"""

import io
import os
import re

import numpy

from lenet.data import plain_pickle
from lenet.data.archive import refuse_damage
from lenet.data.arrays import Found
from lenet.errors import DataError

SHAPE = (3, 32, 32)
BYTES = 3 * 32 * 32
MOST_BYTES = 2 ** 28  # of a member of a tar that is read

# Of a training file, a test file and the file of the names; pickles have these by key.
NAMES = re.compile(r"data_batch_\d+(\.bin)?|test_batch(\.bin)?|batches\.meta(\.txt)?"
                   r"|(train|test)(\.bin)?|meta|fine_label_names\.txt")


def list_files(names):
    """CIFAR's files among the names of files, none if the images to train on are not there."""
    names = [name for name in names if NAMES.fullmatch(name)]
    return names if any(name.startswith(("data_batch_", "train")) for name in names) else []


def read_folder(folder, names):
    """The set in these files of a folder."""
    contents = {}
    for name in names:
        path = os.path.join(folder, name)
        with refuse_damage(path), open(path, "rb") as file:
            contents[name] = file.read()
    return read(contents, folder)


def read_tar(path):
    """The set in an archive, which is not unpacked."""
    import tarfile  # slow to import

    contents = {}
    with refuse_damage(path), tarfile.open(path) as archive:
        for member in archive:
            name = os.path.basename(member.name)
            if member.isfile() and NAMES.fullmatch(name) and member.size < MOST_BYTES:
                contents[name] = archive.extractfile(member).read()
    if not list_files(contents):
        raise DataError(f"{path}: an archive without CIFAR's files; unpack it into a folder")
    return read(contents, path)


def read(contents, path):
    """The set in the contents of files, bytes by name, which are taken out of the dict."""
    parts, class_names = {"train": [], "test": []}, None
    is_fine = any(name.startswith(("train", "fine_")) for name in contents)  # CIFAR-100
    kind = b"fine_label" if is_fine else b"label"
    for name in sorted(contents):
        content, where = contents.pop(name), os.path.join(path, name)
        with refuse_damage(where):
            if name.endswith(".txt"):
                class_names = content.decode("ascii").split()
                continue
            if name.endswith(".bin"):
                x, y = read_binary(content, 1 + is_fine)
            else:
                described = read_pickle(content)
                if "meta" in name:
                    class_names = [word.decode("ascii") if isinstance(word, bytes) else word
                                   for word in described[kind + b"_names"]]
                    continue
                x, y = described[b"data"], numpy.asarray(described[kind + b"s"])
            if (x.dtype, x.shape) != ("uint8", (*y.shape, BYTES)):
                raise ValueError(f"{x.dtype} of shape {x.shape} with {len(y)} labels, where images "
                                 "of 3 x 32 x 32 bytes were expected")
        parts["test" if name.startswith("test") else "train"].append((x, y))
    parts = {part: tuple(map(numpy.concatenate, zip(*pairs)))
             for part, pairs in parts.items() if pairs}
    return Found(parts, class_names, SHAPE)


def read_binary(content, n_labels):
    """Images and labels of a binary file; of several labels the last one."""
    rows = numpy.frombuffer(content, "uint8").reshape(-1, n_labels + BYTES)
    return rows[:, n_labels:], rows[:, n_labels - 1]


def read_pickle(content):
    """The dict in a pickle; its keys, which Python 3 and 2 wrote, as bytes."""
    return {key.encode() if isinstance(key, str) else key: value
            for key, value in plain_pickle.load(io.BytesIO(content)).items()}
