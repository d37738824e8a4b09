"""lenet.training.noise: a cost with noise in it, from outside the network."""

import numpy
import pytest
import theano
import theano.tensor as T

from lenet.errors import UsageError
from lenet.training.noise import apply_dropout, drop_units, make_streams, replace_units


def test_units_are_replaced_above_and_left_below():
    x = T.scalar("x")
    first = 2 * x
    second = first + 1
    cost = second ** 2 + first
    # The units themselves may stand in what replaces them.
    noisy = replace_units(cost, second, 10 * second)
    assert theano.function([x], [cost, noisy])(5) == [11 ** 2 + 10, 110 ** 2 + 10]
    both = replace_units(noisy, first, first + 1)  # below: x = 5 gives 11, then 10 * 12
    assert theano.function([x], both)(5) == 120 ** 2 + 11
    assert theano.function([x], cost)(5) == 11 ** 2 + 10  # as it was


def test_units_that_the_cost_does_not_depend_on():
    x, other = T.scalar("x"), T.scalar("other")
    with pytest.raises(ValueError, match="does not depend on other"):
        replace_units(x ** 2, other, 2 * other)


def test_dropout_leaves_out_units_and_keeps_their_mean(rng):
    units = T.matrix("units")
    values = numpy.ones((100, 200), theano.config.floatX)
    cost = apply_dropout(units.sum() + 0 * units.mean(), units, 0.3, rng)
    total = theano.function([units], cost)(values)
    # A unit is 0 or 1 / 0.7, of variance 0.3 / 0.7; 20,000 of them are summed.
    assert total == pytest.approx(20000, abs=4 * (20000 * 0.3 / 0.7) ** 0.5)
    assert total != 20000
    masked = theano.function([units], drop_units(units, 0.3, make_streams(rng)))
    first, second = masked(values), masked(values)
    assert set(numpy.unique(first)) == {0, 1} and (first != second).any()
    # Of 20,000 units, the fraction kept lies within 4 standard deviations of 0.7.
    assert first.mean() == pytest.approx(0.7, abs=4 * (0.3 * 0.7 / 20000) ** 0.5)


def test_one_mask_for_all_uses_of_the_units(rng):
    units = T.matrix("units")
    cost = apply_dropout(abs(units - units).sum(), units, 0.5, rng)
    assert theano.function([units], cost)(numpy.ones((9, 9), theano.config.floatX)) == 0


@pytest.mark.parametrize("p_dropout", [1, -0.1, float("nan")])
def test_dropout_that_cannot_be(p_dropout, rng):
    with pytest.raises(UsageError, match="dropout .*; expected at least 0 and less than 1"):
        apply_dropout(T.scalar(), T.scalar(), p_dropout, rng)
