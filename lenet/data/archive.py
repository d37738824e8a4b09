"""NumPy's archives of arrays (``.npz``), as those of Keras and of MedMNIST, and MATLAB's files.

Format of an archive: a zip file whose members are ``.npy`` files. Those that are not compressed are
found in the archive itself, and stay on the disk.
"""

import contextlib
import struct
import zipfile

import numpy

from lenet.data.arrays import Found, pair_up
from lenet.data.files import make_read_error
from lenet.errors import DataError, one_line

NAMES = "class_names"  # an array of words in either format


def read_npz(path):
    """The images and labels in an archive, by the names of its arrays; pickles are refused."""
    with refuse_damage(path), zipfile.ZipFile(path) as archive:
        members = {info.filename[:-len(".npy")]: open_member(archive, info, path)
                   for info in archive.infolist() if info.filename.endswith(".npy")}
        if not members:
            raise DataError(f"{path}: a zip file without arrays; expected one that numpy.savez "
                            "wrote; unpack pictures into a folder")
    return make_found(members, path)


def open_member(archive, info, path):
    """An array in an archive, memory-mapped if it is of bytes that are not compressed."""
    with archive.open(info) as file:
        version = numpy.lib.format.read_magic(file)
        shape, is_fortran, dtype = (numpy.lib.format.read_array_header_1_0 if version == (1, 0)
                                    else numpy.lib.format.read_array_header_2_0)(file)
        start = file.tell()
    if dtype.hasobject:
        raise DataError(f"{path}: {info.filename} is an array of objects; expected numbers")
    if info.compress_type != zipfile.ZIP_STORED or dtype != numpy.uint8 or not shape:
        with archive.open(info) as file:
            return numpy.lib.format.read_array(file, allow_pickle=False)
    with open(path, "rb") as file:  # a member's own header ends with its name and an extra field
        file.seek(info.header_offset + 26)
        start += info.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))
    return numpy.memmap(path, dtype, "r", start, shape, "F" if is_fortran else "C")


def read_mat(path):
    """The images and labels in a MATLAB file, such as SVHN's, whose last dimension counts the
    images, and in which class 10 is the digit 0."""
    from scipy.io import loadmat  # slow to import

    with refuse_damage(path):
        arrays = {name: value for name, value in loadmat(path).items()
                  if isinstance(value, numpy.ndarray) and value.size}
    for name, array in arrays.items():
        if array.dtype.kind == "O":  # a cell array of words
            arrays[name] = numpy.array([str(numpy.squeeze(value)) for value in array.flat])
        elif array.shape[0] == 1 or array.ndim == 4 and {
                other.size for other in arrays.values()} & {array.shape[-1]}:
            arrays[name] = numpy.moveaxis(array, -1, 0)
    found = make_found(arrays, path)
    labels = numpy.unique(found.parts.get("train", next(iter(found.parts.values())))[1])
    if found.class_names is None and labels.tolist() == list(range(1, 11)):
        return Found({part: (x, y % 10) for part, (x, y) in found.parts.items()})
    return found


def make_found(arrays, path):
    """What was found: the images and labels, and the names of the classes."""
    names = arrays.pop(NAMES, None)
    arrays = {name: array for name, array in arrays.items()
              if array.dtype.kind in "biufU" and array.ndim}
    if not arrays:
        raise DataError(f"{path}: no arrays of numbers; expected images and labels")
    return Found(pair_up(arrays, path),
                 None if names is None else [str(name).strip() for name in names.flat])


@contextlib.contextmanager
def refuse_damage(path):
    """A ``with`` block in which whatever a damaged file makes fail is a DataError."""
    try:
        yield
    except DataError:
        raise
    except NotImplementedError:  # of MATLAB's files only
        raise DataError(f"{path}: written by MATLAB as HDF5; save it with -v7") from None
    except OSError as error:
        raise make_read_error(path, error) from None
    except Exception as error:
        raise DataError(f"{path}: damaged ({one_line(error)}); copy or download it again"
                        ) from None
