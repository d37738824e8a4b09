"""A training set whose minibatches are split into shards, of which a process has its own.

    minibatches of 8 examples in 4 shards, of which the second of two processes holds 2 and 3:

    examples   0 1 2 3 4 5 6 7 | 8 9 10 11 12 13 14 15 | ...
    shards     0 0 1 1 2 2 3 3 | 0 0  1  1  2  2  3  3 | ...
    it holds           4 5 6 7 |           12 13 14 15 | ...

Minibatch number i of the training is minibatches 2 i and 2 i + 1 of what it holds.
"""

from collections import namedtuple


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

    def rows(self, array):
        """The own examples in an array of all, whose incomplete last minibatch is left out."""
        n_batches = len(array) // self.batch_size
        # (n, ...) -> (minibatches, shards, examples, ...) -> (own examples, ...)
        split = array[:n_batches * self.batch_size].reshape(
            (n_batches, self.number, self.size) + array.shape[1:])
        own = split[:, self.own.start:self.own.stop]
        return own.reshape((n_batches * len(self.own) * self.size,) + array.shape[1:])

    def pieces(self, start, n):
        """Where ``n`` own examples, from number ``start`` on, are among all: pairs of the first
        and the number of neighbours."""
        together = len(self.own) * self.size  # the own examples of a minibatch
        while n:
            minibatch, offset = divmod(start, together)
            count = min(n, together - offset)
            yield minibatch * self.batch_size + self.own.start * self.size + offset, count
            start, n = start + count, n - count


class ShardedSet:
    """The own shards of a training set, with the methods of ``lenet.data.sets.SharedSet``.

    A minibatch is one shard here.

    Parameters
    ----------
    held : SharedSet or ChunkedSet
        The own examples.
    n_examples : int
        Number of examples of the whole set.
    shards : Shards
    fingerprint : int
        The checksum of the whole dataset.
    """

    def __init__(self, held, n_examples, shards, fingerprint):
        self.held, self.n_examples, self.shards = held, n_examples, shards
        self.fingerprint = fingerprint
        self.n_pixels, self.nbytes = held.n_pixels, held.nbytes
        self.minibatch, self.show = held.minibatch, held.show
