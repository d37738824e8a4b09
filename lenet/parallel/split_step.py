"""A training step in shards: the same numbers, however many processes share the work.

    shard 0   shard 1   shard 2   shard 3      of one minibatch
       gradient of each, by one compiled function
        \\       /         \\       /
         sum 0-1           sum 2-3             added in this order, whoever computed them
             \\               /
                sum 0-3, divided by 4          the gradient of the mean cost
                   update                      by the same compiled function in every process

Floating-point addition is not associative, so the order of the sum is a part of the result. It
depends on the number of shards alone.
"""

import numpy
import theano

from lenet.training.functions import find_random_states

# Streams of random numbers that a shard draws from, and what their states are smaller than.
N_STREAMS, MODULUS = 256, 2147462579


def compile_split_step(inputs, cost, gradients, updates, own_set, shards, world):
    """Compile a training step on a minibatch in shards: a function of the minibatch's number that
    makes the step and returns its cost.

    Source: P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour",
    arXiv:1706.02677, 2017, section 3.

    Parameters
    ----------
    inputs, cost, gradients, updates
        See ``lenet.data.sets.SharedSet.compile_step``; the cost is a mean over the examples.
    own_set : SharedSet or ChunkedSet
        This process's examples.
    shards : lenet.parallel.shards.Shards
    world : lenet.parallel.ranks.SingleProcess or Ranks
        Adds up what the processes have computed.
    """
    compute_shard = own_set.compile(inputs, [*gradients, cost], shards.size)

    # The update takes the sum of the gradients of all shards; the mean is in their place.
    totals = [theano.tensor.TensorType(gradient.dtype, gradient.broadcastable)()
              for gradient in gradients]
    update = theano.function(totals, [], updates=updates, givens=[
        (gradient, gradient.type.filter_variable(
            total / numpy.asarray(shards.number, total.dtype)))
        for gradient, total in zip(gradients, totals)])

    random_states = find_random_states(cost)

    def train_minibatch(index):
        seeds = [state.get_value(borrow=True) for state in random_states]
        shapes = []

        def compute_message(number):
            """A vector: the gradients, the cost, and a place for the wish to stop."""
            for state, seed in zip(random_states, seeds):
                state.set_value(draw_state(seed, number), borrow=True)
            outputs = compute_shard(index * len(shards.own) + number - shards.own.start)
            arrays = [numpy.asarray(output) for output in outputs]
            shapes[:] = [array.shape for array in arrays[:-1]]
            return numpy.concatenate([array.ravel() for array in arrays] + [[0]]).astype(
                theano.config.floatX, copy=False)

        total = world.sum(compute_message, shards)
        sizes = [int(numpy.prod(shape)) for shape in shapes]
        parts = numpy.split(total, numpy.cumsum(sizes))
        update(*[part.reshape(shape) for part, shape in zip(parts, shapes)])
        for state, seed in zip(random_states, seeds):
            seed[0] = draw_state(seed, shards.number)[0]  # the seed of the next minibatch
            state.set_value(seed, borrow=True)
        return total[-2] / shards.number

    return train_minibatch


def draw_state(seed, number):
    """The state of a generator MRG31k3p for a shard: an int32 array of shape (N_STREAMS, 6).

    Each shard of each minibatch has numbers of its own, which do not depend on the process that
    draws them. The first row of ``seed``, a state itself, is the seed of all of them.
    """
    rng = numpy.random.RandomState([*seed[0], number])
    return rng.randint(1, MODULUS, (N_STREAMS, 6)).astype("int32")
