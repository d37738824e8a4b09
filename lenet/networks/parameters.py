"""A network's parameters on disk, in the format safetensors: named arrays, and no code.

Source: https://huggingface.co/docs/safetensors (the file is a length, a header in JSON with the
name, type, shape and place of every array, then the bytes of the arrays).
"""

import struct

import numpy
import safetensors
import safetensors.numpy

from lenet.data.files import make_read_error, write_beside
from lenet.errors import DataError

LARGEST_HEADER = 2 ** 20  # bytes; the package's own are a few thousand


def write(path, arrays, metadata):
    """Write arrays to a file, whole or not at all.

    Parameters
    ----------
    path : str
        The file to write or to replace.
    arrays : dict from str to array
        The arrays by name.
    metadata : dict from str to str
        What the arrays do not tell, such as ``{"dropout": "0.3"}``.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    content = safetensors.numpy.save(
        {name: numpy.ascontiguousarray(array) for name, array in arrays.items()}, metadata
    )
    with write_beside(path) as file:
        file.write(content)


def read(path):
    """Read what ``write`` wrote.

    Returns
    -------
    (dict from str to array, dict from str to str)
        The arrays and the metadata.

    Raises
    ------
    DataError
        The file cannot be read, or is of another kind.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(8)
        # Before the library makes room for a header as long as it says.
        if len(start) == 8 and struct.unpack("<Q", start)[0] > LARGEST_HEADER:
            raise DataError(f"{path}: no intact file of parameters (its header would have "
                            f"{struct.unpack('<Q', start)[0]} bytes); expected a .safetensors file "
                            "of this package")
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except FileNotFoundError:
        raise DataError(f"{path}: not found; give the folder of a run, or a .safetensors file"
                        ) from None
    except OSError as error:
        raise make_read_error(path, error) from None
    except (safetensors.SafetensorError, TypeError, AttributeError) as error:
        # A type that NumPy does not have, such as bfloat16, ends in one of the last two.
        raise DataError(f"{path}: no intact file of parameters ({error}); expected a .safetensors "
                        "file of this package") from None


def values(params):
    """The arrays of shared variables by name, which go on belonging to them."""
    return {name: param.get_value(borrow=True) for name, param in params.items()}


def fill(params, arrays, path):
    """Give shared variables the values that were read from a file.

    Parameters
    ----------
    params : dict from str to shared variable
        All of them keep their values if one array is refused.
    arrays : dict from str to array
        Of the same names and shapes.
    path : str
        The file they come from, for the errors.

    Raises
    ------
    DataError
        The arrays are not those of this network, or not finite.
    """
    expected = values(params)
    if set(arrays) != set(expected):
        raise DataError(f"{path}: parameters of another network: it has "
                        f"{', '.join(sorted(arrays)) or 'none'}; expected "
                        f"{', '.join(sorted(expected))}")
    for name, value in expected.items():
        if arrays[name].shape != value.shape:
            raise DataError(f"{path}: parameters of another network: {name} has shape "
                            f"{arrays[name].shape}; expected {value.shape}")
        if arrays[name].dtype.kind != value.dtype.kind:
            raise DataError(f"{path}: {name} holds numbers of type {arrays[name].dtype}; expected "
                            f"{value.dtype}")
        if not numpy.isfinite(arrays[name]).all():
            raise DataError(f"{path}: {name} has a value that is NaN or infinite; the training "
                            "that saved it had failed")
    for name, param in params.items():
        param.set_value(arrays[name].astype(expected[name].dtype))
