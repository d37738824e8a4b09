"""Shared variables of a given shape, as the layers make and take them."""

import numpy
import theano


def zeros(shape, name):
    """A shared variable of zeros, floatX; mostly for biases."""
    return theano.shared(numpy.zeros(shape, dtype=theano.config.floatX), name=name, borrow=True)


def check_shape(name, parameter, shape):
    """Raise a ValueError unless a layer's parameter, a shared variable, has this shape."""
    found = parameter.get_value(borrow=True).shape
    if found != tuple(shape):
        raise ValueError(f"{name} has shape {found}; expected {tuple(shape)}")
