"""What files, options and the page call a function."""

import theano.tensor as T

from lenet import lenet5_1998, network3
from lenet.errors import UsageError

# The non-linearities. network3's ReLU and Theano's relu give the same numbers.
ACTIVATIONS = {"tanh": T.tanh, "sigmoid": T.nnet.sigmoid, "relu": T.nnet.relu,
               "softplus": T.nnet.softplus, "linear": network3.linear, "ReLU": network3.ReLU,
               "squash": lenet5_1998.squash}


def name_of(value, names, what="an activation"):
    """The name of a function or class in a table of them.

    Raises
    ------
    UsageError
        It has none, so that a file could not name it.
    """
    for name, known in names.items():
        if known is value:
            return name
    raise UsageError(f"{what} that cannot be saved; expected one of {', '.join(names)}")


def find_by_name(what, name, names):
    """The function or class of that name; raise a UsageError if there is none."""
    if name not in names:
        raise UsageError(f"{what} {name!s:.60}; expected one of {', '.join(names)}")
    return names[name]
