"""Tell the formats of data sets apart by what is in them, and read each with its own module.

A file or a folder gives either three finished sets, or ``lenet.data.arrays.Found``: images and
labels as they are.
"""

import os
import pickle
import zlib

from lenet.data import archive, array_folder, cifar, idx, plain_pickle, table
from lenet.data.arrays import PARTS, Found, part_of
from lenet.data.files import GZIP, list_names, make_read_error, open_unpacked
from lenet.errors import DataError, one_line

HEAD = 512  # bytes that tell the format


def read(path):
    """Read a data set.

    Parameters
    ----------
    path : str
        A file or a folder.

    Returns
    -------
    lenet.data.arrays.Found, or what ``lenet.data.checks.check_dataset`` takes

    Raises
    ------
    DataError
        It is missing, damaged, tries to run code, or is nothing that is known here.
    """
    return read_folder(path) if os.path.isdir(path) else read_file(path)


def read_file(path):
    """Read a data set in one file; of IDX files, those that belong to it as well."""
    head = read_head(path)
    if head[257:262] == b"ustar":
        return cifar.read_tar(path)
    if head.startswith(b"PK\3\4"):
        return archive.read_npz(path)
    if head.startswith((b"MATLAB", b"\x89HDF")):
        return archive.read_mat(path)
    if head.startswith(b"\0\0\x08"):
        folder, name = os.path.split(path)
        for names in idx.list_sets(list_names(folder or ".")[1]).values():
            if name in names.values() or name + ".gz" in names.values():
                return idx.read(folder, names)
    if table.is_table(head):
        return table.read(path)
    sets = read_pickle(path)
    if isinstance(sets, (tuple, list)) and len(sets) == 3 and all(
            isinstance(pair, (tuple, list)) and len(pair) == 2
            and getattr(pair[0], "ndim", 0) > 2 for pair in sets):
        return Found(dict(zip(PARTS, sets)))  # images that are no rows yet
    return sets


def read_head(path):
    """The first bytes of a file, or of what is compressed in it."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except FileNotFoundError:
        raise DataError(f"{path}: not found; give the path of a dataset such as data/mnist.pkl.gz"
                        ) from None
    except OSError as error:
        raise make_read_error(path, error) from None
    if head.startswith(GZIP):
        try:
            return zlib.decompressobj(31).decompress(head, HEAD)
        except zlib.error:
            pass  # whoever reads it all will say what is wrong
    return head


def read_folder(folder):
    """Read a data set in a folder, or in the only folder or the only file that is in it."""
    from lenet.data import class_folder  # Pillow takes 20 MB, and few data sets need it

    folders, files = list_names(folder)
    if set(files) & set(array_folder.FILES):
        return array_folder.read(folder)
    sets = idx.list_sets(files)
    if len(sets) > 1:
        raise DataError(f"{folder}: holds the files of {len(sets)} sets, {', '.join(sets)}; name "
                        "one file of the set to train on")
    if sets:
        return idx.read(folder, *sets.values())
    if cifar.list_files(files):
        return cifar.read_folder(folder, cifar.list_files(files))
    tables = {name: part_of(name) for name in files if name.endswith((".csv", ".csv.gz", ".mat"))}
    if "train" in tables.values():
        return join_tables(folder, tables)
    if "raw" in folders:  # torchvision's, where "processed" may be beside it
        folders = ["raw"]
    if len(folders) + len(files) == 1:
        inside = os.path.join(folder, *folders, *files)
        folders_there, files_there = list_names(inside) if folders else ([], files)
        if folders_there or not all(map(class_folder.is_picture, files_there)):
            return read(inside)
    if folders:
        return class_folder.read(folder)
    raise DataError(f"{folder}: cannot be read as a dataset: no folders of pictures, and no files "
                    "that are known; docs/images.md says which are, and images_to_pkl.py makes one")


def join_tables(folder, tables):
    """The set in files of which each has one of the parts, a dict from a name to a part or None."""
    parts, class_names = {}, None
    for name, part in sorted(tables.items()):
        if part in parts:
            raise DataError(f"{os.path.join(folder, name)}: a second file named {part}; expected "
                            "one, or name the file to train on")
        if part is not None:
            found = read_file(os.path.join(folder, name))
            parts[part] = found.parts.get("train") or next(iter(found.parts.values()))
            class_names = class_names or found.class_names
    return Found(parts, class_names)


def read_pickle(path):
    """The object in a pickle, which may be gzip'ed.

    See ``lenet.data.plain_pickle`` for what it may hold.
    """
    try:
        with open_unpacked(path) as file:
            value = plain_pickle.load(file)
            # The end of the file holds the checksum, which is compared when it is reached.
            if file.read(1):
                raise pickle.UnpicklingError("something follows the pickle")
            return value
    except EOFError:
        raise DataError(f"{path}: truncated; copy or download it again") from None
    except OSError as error:
        raise make_read_error(path, error) from None
    except (zlib.error, MemoryError, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: refused: {one_line(error)}; expected one of the formats in "
                        "docs/images.md, such as a pickle of arrays of numbers only") from None
