"""lenet.training.updates: momentum and rates against their formulas."""

import math

import numpy
import pytest
import theano
import theano.tensor as T

from lenet.errors import UsageError
from lenet.training.updates import FallingRate, Momentum, RateByEpoch


def test_momentum_adds_a_fraction_of_the_last_step():
    # The cost of a ball at height w^2: its slope is 2 w.
    w = theano.shared(numpy.asarray(1.0))
    updates = Momentum(0.25, 0.75)([w], [2 * w])
    step = theano.function([], [], updates=updates)
    velocity, = (variable for variable, _ in updates if variable is not w)
    expected, last = 1.0, 0.0
    for _ in range(4):
        last = 0.75 * last - 0.25 * 2 * expected
        expected += last
        step()
        assert w.get_value() == pytest.approx(expected)
        assert velocity.get_value() == pytest.approx(last)


def test_momentum_of_a_rate_that_changes():
    w, rate = theano.shared(numpy.asarray(1.0)), theano.shared(numpy.asarray(0.5))
    step = theano.function([], [], updates=Momentum(rate, 0.5)([w], [T.ones_like(w)]))
    step()  # v = -0.5
    rate.set_value(2.0)
    step()  # v = 0.5 * -0.5 - 2
    assert w.get_value() == 1 - 0.5 - 2.25


@pytest.mark.parametrize("momentum", [-0.1, 1, math.nan])
def test_momentum_that_cannot_work(momentum):
    with pytest.raises(UsageError, match="momentum .*; expected at least 0 and less than 1"):
        Momentum(0.1, momentum)


@pytest.mark.parametrize("arguments, rates", [
    ((0.4, 0.5), {1: 0.4, 2: 0.2, 4: 0.05}),
    ((0.4, 1, 3), {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4, 5: 0.4}),
    ((0.4, 0.5, 1), {1: 0.2, 2: 0.2, 3: 0.1}),
])
def test_a_rate_that_falls_after_each_epoch_and_rises_before(arguments, rates):
    falling = FallingRate(*arguments)
    assert math.isnan(falling.rate.get_value())
    for epoch, expected in [*rates.items(), (1, rates[1])]:
        falling.epoch_begins(epoch)
        assert falling.rate.get_value() == pytest.approx(expected)
        assert falling.rate.dtype == theano.config.floatX


def test_any_rate_of_an_epoch():
    by_epoch = RateByEpoch(lambda epoch: 1 / epoch)
    by_epoch.epoch_begins(4)
    assert by_epoch.rate.get_value() == 0.25


@pytest.mark.parametrize("rate, decay, warmup, words", [
    (0, 0.5, 0, "learning rate 0"), (1, 0, 0, "decay 0"), (1, -1, 0, "decay -1"),
    (1, 1.1, 0, "decay 1.1"), (1, math.nan, 0, "decay nan"), (1, 1, -1, "warmup -1")])
def test_rates_that_cannot_fall(rate, decay, warmup, words):
    with pytest.raises(UsageError, match=words):
        FallingRate(rate, decay, warmup)
