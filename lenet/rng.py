"""Random numbers that a seed brings back."""

import numpy

from lenet.errors import UsageError


def seeded(seed):
    """A generator of random numbers: ``numpy.random.RandomState(seed)``.

    Raises
    ------
    UsageError
        The seed is no number that NumPy takes.
    """
    if not 0 <= seed < 2 ** 32:
        raise UsageError("seed %d; expected a number from 0 to 2 ** 32 - 1" % seed)
    return numpy.random.RandomState(seed)
