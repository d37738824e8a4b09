"""Noise in training, put into the cost from outside: the network itself stays as it is.

    rng = numpy.random.RandomState(0)
    cost = apply_dropout(network.negative_log_likelihood(y), network.layer2.output, 0.5, rng)
"""

import numpy
import theano
from theano.gof.graph import io_toposort
from theano.sandbox.rng_mrg import MRG_RandomStreams

from lenet.errors import UsageError


def apply_dropout(cost, units, p_dropout, rng):
    """The cost with dropout of some units.

    Each unit is left out with probability ``p_dropout``, drawn anew for each example and step, and
    the others are divided by 1 - p_dropout, so that the mean of a unit stays what it is when the
    network is used.

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting", JMLR 15:1929-1958, 2014, section 10 ("inverted" dropout).

    Parameters
    ----------
    cost : scalar expression
    units : expression
        What the cost is computed from, such as the output of a hidden layer.
    p_dropout : float
        In [0, 1).
    rng : numpy.random.RandomState
        Draws the seed.
    """
    check_dropout(p_dropout)
    kept = numpy.asarray(1 - p_dropout, dtype=theano.config.floatX)
    return replace_units(cost, units, drop_units(units, p_dropout, make_streams(rng)) / kept)


def drop_units(units, p_dropout, streams):
    """Set each number of an expression to zero with probability ``p_dropout``."""
    mask = streams.binomial(size=units.shape, n=1, p=1 - p_dropout, dtype=theano.config.floatX)
    return units * mask


def replace_units(cost, units, noisy):
    """The cost, computed from ``noisy`` where it was computed from ``units``.

    Raises a ValueError if it does not depend on them.
    """
    new = {units: noisy}
    for node in io_toposort([units], [cost]):
        if any(variable in new for variable in node.inputs):
            changed = node.clone_with_new_inputs([new.get(v, v) for v in node.inputs])
            new.update(zip(node.outputs, changed.outputs))
    if cost not in new:
        raise ValueError(f"the cost does not depend on {units}; expected units of its network")
    return new[cost]


def make_streams(rng):
    """Streams of random numbers inside a graph, their seed drawn from ``rng``."""
    return MRG_RandomStreams(int(rng.randint(1, 2 ** 31 - 2 ** 16)))


def check_dropout(p_dropout):
    """Raise a UsageError unless 0 <= p_dropout < 1."""
    if not 0 <= p_dropout < 1:
        raise UsageError(f"dropout {p_dropout}; expected at least 0 and less than 1, such as 0.5")
