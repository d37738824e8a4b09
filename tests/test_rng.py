"""lenet.rng: what a seed brings back, and numbers that are none."""

import numpy
import pytest

from lenet.errors import UsageError
from lenet.rng import seeded


def test_seeds():
    expected = numpy.random.RandomState(5).rand(3)
    numpy.testing.assert_array_equal(seeded(5).rand(3), expected)
    for seed in (-1, 2 ** 32):
        with pytest.raises(UsageError, match="seed %d; expected a number from 0" % seed):
            seeded(seed)
