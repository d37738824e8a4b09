"""Momentum, and learning rates that change from epoch to epoch.

An optimiser is given to ``lenet.training.functions.compile_functions`` in the place of the learning
rate: a function of the parameters and of the gradients that returns the updates of a step. A rate
that changes is an observer of the loop.
"""

import math

import numpy
import theano

from lenet.errors import UsageError
from lenet.training.loop import Observer


class Momentum:
    """Gradient descent that adds a fraction of each step to the next one.

        v <- momentum v - learning_rate gradient,    param <- param + v

    Parameters
    ----------
    learning_rate : float or scalar shared variable
        Factor of the gradient in each step.
    momentum : float
        The fraction, in [0, 1); a UsageError if it is not.
    """

    def __init__(self, learning_rate, momentum):
        check_learning_rate(learning_rate)
        if not 0 <= momentum < 1:
            raise UsageError(f"momentum {momentum}; expected at least 0 and less than 1, such as "
                             "0.9")
        self.learning_rate, self.momentum = learning_rate, momentum

    def __call__(self, params, gradients):
        # The last step of each parameter; it starts at 0.
        velocities = [theano.shared(numpy.zeros_like(param.get_value(borrow=True)),
                                    name="velocity") for param in params]
        steps = [self.momentum * velocity - self.learning_rate * gradient
                 for velocity, gradient in zip(velocities, gradients)]
        return list(zip(velocities, steps)) + [
            (param, param + step) for param, step in zip(params, steps)]


class RateByEpoch(Observer):
    """A learning rate that each epoch sets anew; ``rate_of`` gives that of an epoch, from 1.

    Attributes
    ----------
    rate : scalar shared variable
        The learning rate, floatX; NaN until the first epoch begins.
    """

    def __init__(self, rate_of):
        self.rate_of = rate_of
        self.rate = theano.shared(numpy.asarray(math.nan, dtype=theano.config.floatX))

    def epoch_begins(self, epoch):
        self.rate.set_value(numpy.asarray(self.rate_of(epoch), dtype=self.rate.dtype))


class FallingRate(RateByEpoch):
    """A learning rate that is multiplied by ``decay`` after each epoch.

    During the first ``warmup`` epochs it rises linearly to that rate: a share of 1 / (warmup + 1)
    in the first epoch, 2 / (warmup + 1) in the second. Large rates, as for large minibatches, need
    this (Goyal et al., arXiv:1706.02677, section 2.2).

    Raises a UsageError if the rate is not positive, the decay not in (0, 1], or the warm-up
    negative.
    """

    def __init__(self, learning_rate, decay=1.0, warmup=0):
        check_learning_rate(learning_rate)
        if not 0 < decay <= 1:
            raise UsageError(f"learning rate decay {decay}; expected more than 0 and at most 1, "
                             "such as 0.95")
        if warmup < 0:
            raise UsageError(f"warmup {warmup}; expected a number of epochs, 0 for none")
        super().__init__(lambda epoch: (learning_rate * decay ** (epoch - 1)
                                        * min(1.0, epoch / (warmup + 1))))


def check_learning_rate(rate):
    """Raise a UsageError unless a learning rate is positive, a shared variable or an optimiser."""
    if isinstance(rate, theano.Variable) or callable(rate):
        return
    if not 0 < rate < math.inf:
        raise UsageError(f"learning rate {rate}; expected a positive number, such as 0.1")
