"""A network's parameters on disk, in the format safetensors: named arrays, and no code.

Source: https://huggingface.co/docs/safetensors (the file is a length, a header in JSON with the
name, type, shape and place of every array, then the bytes of the arrays).
"""

import numpy
import safetensors
import safetensors.numpy

from lenet.errors import DataError
from lenet.files import write_beside


def save(params, path, metadata):
    """Write parameters to a file, whole or not at all.

    Parameters
    ----------
    params : dict from str to shared variable
        The parameters by name.
    path : str
        The file to write or to replace.
    metadata : dict from str to str
        What else distinguishes the network, such as ``{"dropout": "0.3"}``.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    arrays = {name: numpy.ascontiguousarray(param.get_value(borrow=True))
              for name, param in params.items()}
    with write_beside(path) as file:
        file.write(safetensors.numpy.save(arrays, metadata))


def load(params, path, metadata):
    """Read into ``params`` what ``save`` wrote for the same network.

    Parameters
    ----------
    params, path, metadata
        As for ``save``. The parameters keep their values if the file is refused.

    Raises
    ------
    DataError
        The file cannot be read, or holds something other than this network's parameters.
    """
    arrays, found = read(path)
    wrong = sorted(key for key in set(metadata) | set(found) if metadata.get(key) != found.get(key))
    if wrong:
        raise DataError(
            "%s: parameters of another network: %s; expected %s; give the options of its training"
            % (path, described(found, wrong), described(metadata, wrong))
        )
    expected = {name: param.get_value(borrow=True) for name, param in params.items()}
    if set(arrays) != set(expected):
        raise DataError("%s: parameters of another network: it has %s; expected %s"
                        % (path, ", ".join(sorted(arrays)) or "none", ", ".join(sorted(expected))))
    for name, value in expected.items():
        if arrays[name].shape != value.shape:
            raise DataError("%s: parameters of another network: %s has shape %s; expected %s"
                            % (path, name, arrays[name].shape, value.shape))
        if arrays[name].dtype.kind != "f":
            raise DataError("%s: %s holds numbers of type %s; expected %s"
                            % (path, name, arrays[name].dtype, value.dtype))
        if not numpy.isfinite(arrays[name]).all():
            raise DataError("%s: %s has a value that is NaN or infinite; the training that saved "
                            "it had failed" % (path, name))
    for name, param in params.items():
        param.set_value(arrays[name].astype(expected[name].dtype))


def read(path):
    """The arrays and the metadata of a file."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except FileNotFoundError:
        raise DataError("%s: not found; give the path of a file that --save wrote" % path) from None
    except OSError as error:
        raise DataError("%s: cannot be read (%s)" % (path, error.strerror or error)) from None
    except (safetensors.SafetensorError, TypeError, AttributeError) as error:
        # A type that NumPy does not have, such as bfloat16, ends in one of the last two.
        raise DataError("%s: no intact file of parameters (%s); expected one that --save wrote"
                        % (path, error)) from None


def described(metadata, keys):
    """ "a=1, b=2" for the given keys, "none" for those that are missing."""
    return ", ".join("%s=%s" % (key, metadata.get(key, "none")) for key in keys)
