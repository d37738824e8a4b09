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
import theano.tensor as T

from lenet.parallel import ranks

# Streams of random numbers that a shard draws from, and what their states are smaller than.
N_STREAMS, MODULUS = 256, 2147462579


def compile_split_step(model, x, y, cost, gradients, updates, train_set):
    """Compile a training step on a minibatch in shards.

    Parameters
    ----------
    model, x, y, cost
        See ``lenet.training.functions.compile_functions``; the cost is a mean over the examples.
    gradients : list of expressions
        Of the cost, one for each of ``model.params``.
    updates : list of pairs
        The shared variables and their new values, made of the gradients.
    train_set : lenet.parallel.shards.ShardedSet

    Returns
    -------
    function of an int
        Makes a step on the minibatch of that number and returns its cost.

    Notes
    -----
    P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour",
    arXiv:1706.02677, 2017, section 3.
    """
    shards = train_set.shards
    floatX = theano.config.floatX

    # One message for each shard: the gradients, the cost, and a place for the wish to stop.
    message = T.concatenate([gradient.flatten() for gradient in gradients]
                            + [cost.flatten(), T.zeros((1,))])
    index = T.lscalar("index")
    of_shard = theano.function(
        [index], T.cast(message, floatX),
        givens=dict(zip((x, y), train_set.minibatch(index, shards.size))),
    )

    # The update takes the sum of the messages; the mean is in the place of the gradients.
    total = T.vector("total")
    means, start = [], 0
    for param, gradient in zip(model.params, gradients):
        shape = param.get_value(borrow=True).shape
        end = start + int(numpy.prod(shape))
        mean = total[start:end].reshape(shape) / numpy.asarray(shards.number, floatX)
        means.append((gradient, gradient.type.filter_variable(mean)))
        start = end
    update = theano.function([total], [], updates=updates, givens=means)

    random_states = getattr(model, "random_states", [])

    def train_minibatch(index):
        seeds = [state.get_value(borrow=True) for state in random_states]

        def message_of(number):
            for state, seed in zip(random_states, seeds):
                state.set_value(drawn_from(seed, number), borrow=True)
            held = index * len(shards.own) + number - shards.own.start
            train_set.show(held, shards.size)
            return of_shard(held)

        total = ranks.world.sum(message_of, shards)
        update(total)
        for state, seed in zip(random_states, seeds):
            seed[0] = drawn_from(seed, shards.number)[0]  # the seed of the next minibatch
            state.set_value(seed, borrow=True)
        return total[-2] / shards.number

    return train_minibatch


def drawn_from(seed, number):
    """The state of a generator MRG31k3p for a shard.

    Each shard of each minibatch has numbers of its own, which do not depend on the process that
    draws them. The first row of ``seed``, a state itself, is the seed of all of them.

    Returns
    -------
    int32 array of shape (N_STREAMS, 6)
    """
    rng = numpy.random.RandomState([*seed[0], number])
    return rng.randint(1, MODULUS, (N_STREAMS, 6)).astype("int32")
