"""A training set whose minibatches are split into shards, of which a process has its own.

    minibatches of 8 examples in 4 shards, of which the second of two processes holds 2 and 3:

    examples   0 1 2 3 4 5 6 7 | 8 9 10 11 12 13 14 15 | ...
    shards     0 0 1 1 2 2 3 3 | 0 0  1  1  2  2  3  3 | ...
    it holds           4 5 6 7 |           12 13 14 15 | ...

Minibatch number i of the training is minibatches 2 i and 2 i + 1 of what it holds.
"""

import math
from collections import namedtuple

from lenet.data.loading import DatasetSource, compute_fingerprint, place_sets
from lenet.errors import UsageError
from lenet.parallel.split_step import compile_split_step


class Shards(namedtuple("Shards", "number batch_size own")):
    """How the minibatches of a training set are split.

    Attributes
    ----------
    number : int
        Shards per minibatch.
    batch_size : int
        Examples per minibatch; a multiple of ``number``.
    own : range
        The numbers of the shards that this process holds.
    """

    __slots__ = ()

    @property
    def size(self):
        """Examples per shard."""
        return self.batch_size // self.number

    def select_rows(self, array):
        """This process's examples of an array of all, without an incomplete last minibatch."""
        n_batches = len(array) // self.batch_size
        # (n, ...) -> (minibatches, shards, examples, ...) -> (own examples, ...)
        split = array[:n_batches * self.batch_size].reshape(
            (n_batches, self.number, self.size) + array.shape[1:])
        own = split[:, self.own.start:self.own.stop]
        return own.reshape((n_batches * len(self.own) * self.size,) + array.shape[1:])

    def find_pieces(self, start, n):
        """Where ``n`` own examples, from number ``start`` on, are among all: pairs of the first
        and the number of neighbours."""
        n_per_minibatch = len(self.own) * self.size
        while n:
            minibatch, offset = divmod(start, n_per_minibatch)
            count = min(n, n_per_minibatch - offset)
            yield minibatch * self.batch_size + self.own.start * self.size + offset, count
            start, n = start + count, n - count


def split_minibatches(number, batch_size, world):
    """The Shards of this process, where minibatches of ``batch_size`` are split into ``number``.

    Raises a UsageError if the shards would not be of one size, or if the ranks would not have the
    same number of them.
    """
    if number < 1 or number % world.size:
        raise UsageError(f"--shards {number} in {world.size} process{'es' * (world.size > 1)}; "
                         f"expected a multiple of {world.size}, such as --shards {world.size}")
    if batch_size < number or batch_size % number:
        raise UsageError(f"--shards {number} of minibatches of {batch_size}; expected a number "
                         "that divides the size of the minibatches")
    n = number // world.size
    return Shards(number, batch_size, range(world.rank * n, (world.rank + 1) * n))


class ShardedDataset(DatasetSource):
    """A dataset, a name or a ChunkedDataset, of which each process of a ``world``, see
    ``lenet.parallel.ranks``, loads its own shards of the training set."""

    def __init__(self, dataset, shards, world):
        super().__init__(dataset)
        self.shards, self.world = shards, world

    def place(self, stored):
        megabytes = getattr(self.dataset, "megabytes", math.inf)
        train_set, *others = place_sets(stored, megabytes, (self.shards, None, None))
        fingerprint = compute_fingerprint(stored)
        sets = [ShardedSet(train_set, len(stored[0][1]), self.shards, self.world, fingerprint)]
        sets += [SplitSet(a_set, self.world) for a_set in others]
        return stored.with_sets(sets, fingerprint)


class ShardedSet:
    """This process's shards of a training set, for the steps of ``lenet.parallel.split_step``.

    Parameters
    ----------
    own_set : SharedSet or ChunkedSet
        This process's examples.
    n_examples : int
        Number of examples of the whole set.
    shards, world
        As of ShardedDataset.
    fingerprint : int
        The checksum of the whole dataset.
    """

    def __init__(self, own_set, n_examples, shards, world, fingerprint):
        self.own_set, self.n_examples, self.shards, self.world = own_set, n_examples, shards, world
        self.fingerprint = fingerprint
        self.x, self.n_pixels = own_set.x, own_set.n_pixels

    def compile_step(self, inputs, cost, gradients, updates, batch_size):
        """As in SharedSet: the same function of a minibatch's number in every process."""
        return compile_split_step(inputs, cost, gradients, updates, self.own_set, self.shards,
                                  self.world)


class SplitSet:
    """A set to evaluate, a SharedSet or ChunkedSet that every process of a ``world`` holds, and of
    whose minibatches each computes its part."""

    def __init__(self, own_set, world):
        self.own_set, self.world = own_set, world
        self.x, self.n_examples, self.n_pixels = own_set.x, own_set.n_examples, own_set.n_pixels
        self.labels, self.compile_all = own_set.labels, own_set.compile_all

    def compile_count(self, inputs, output, batch_size):
        """As in SharedSet: the sum over the whole set, in every process."""
        value = self.own_set.compile(inputs, output, batch_size)
        n_batches = -(-self.n_examples // batch_size)
        rank, size = self.world.rank, self.world.size
        own = range(rank * n_batches // size, (rank + 1) * n_batches // size)
        return lambda: self.world.sum_counts(int(round(sum(float(value(i)) for i in own))))
