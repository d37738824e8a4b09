"""The file of parameters of the texts that extend the book, ``params.pkl``: pickles in a row."""

import pickle

import numpy
import theano

from lenet.data import plain_pickle
from lenet.data.files import make_read_error, write_beside
from lenet.errors import DataError, one_line


def save(layers, filename="../model/params.pkl"):
    """Write the parameters of layers into a file, each as a pickle of its own."""
    with write_beside(filename) as file:
        for param in list_params(layers):
            plain_pickle.dump(param.get_value(borrow=True), file)


def load(layers, filename="../model/params.pkl"):
    """Read the parameters of layers from a file that ``save`` wrote, here or in a text's Python 2.

    Raises
    ------
    DataError
        The file cannot be read, tries to run code, or does not hold the parameters of these layers.
    """
    params, values = list_params(layers), []
    try:
        with open(filename, "rb") as file:
            while file.peek(1):
                values.append(plain_pickle.load(file))
    except EOFError:
        raise DataError(f"{filename}: truncated; copy or save it again") from None
    except OSError as error:
        raise make_read_error(filename, error) from None
    except (MemoryError, pickle.UnpicklingError) as error:
        raise DataError(f"{filename}: refused: {one_line(error)}; expected pickles of arrays of "
                        "numbers only") from None
    found = [getattr(value, "shape", type(value).__name__) for value in values]
    expected = [param.get_value(borrow=True).shape for param in params]
    if found != expected:
        raise DataError(f"{filename}: holds {one_line(found)}; expected the parameters of these "
                        f"layers, {expected}")
    for param, value in zip(params, values):
        param.set_value(numpy.array(value, dtype=theano.config.floatX), borrow=True)


def list_params(layers):
    """All parameters, from the first layer to the last."""
    return [param for layer in layers for param in layer.params]
