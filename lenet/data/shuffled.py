"""A dataset whose training set can be put in another order, as in each epoch of a training.

The tutorial trains on the same minibatches in every epoch, and never on an incomplete last one. Of
50,000 images that is nothing; of 195 in minibatches of 20 it is 15 that are never seen. In another
order, others are left out each time.
"""

import numpy
import theano

from lenet.data.chunks import ChunkedSet
from lenet.data.loading import DatasetSource
from lenet.data.pixels import as_floats
from lenet.data.sets import SharedSet


class ShuffledDataset(DatasetSource):
    """A dataset whose training set has a method ``set_order``."""

    def place(self, stored):
        datasets = super().place(stored)
        train_set = datasets[0]
        if isinstance(train_set, ChunkedSet):
            datasets[0] = ShuffledChunks(train_set.images, train_set.all_labels, train_set.window,
                                         train_set.pixels)
        else:
            datasets[0] = ShuffledSet(*train_set)
        return datasets


class ShuffledSet(SharedSet):
    """A set whose minibatches are made of the examples that an order names."""

    def __init__(self, x, y):
        self.order = theano.shared(numpy.arange(self.n_examples), "order")

    def minibatch(self, index, batch_size):
        start = index * batch_size
        rows = self.order[start:start + batch_size]
        return self.x[rows], self.y[rows]

    def set_order(self, order):
        """Set the order of the examples: their numbers, an int64 array of shape (n_examples,)."""
        self.order.set_value(order)


class ShuffledChunks(ChunkedSet):
    """As ShuffledSet, of a set that is seen chunk by chunk."""

    def __init__(self, images, labels, window, pixels):
        super().__init__(images, labels, window, pixels=pixels)
        self.order = numpy.arange(self.n_examples)

    def set_order(self, order):
        self.order = order
        self.window.forget()

    def read(self, start, size, buffer):
        rows = self.order[start:start + size]
        x, y = self.split_buffer(buffer, len(rows))
        y[...] = self.all_labels[rows]
        if not self.on_disk(self.images):
            x[...] = as_floats(self.images[rows], self.pixels)
        else:
            self.read_bytes(rows, x)
        return x, y

    def read_content(self, rows, content):
        step = len(rows) if self.file is None else 1  # only neighbours are read from a file at once
        for i in range(0, len(rows), step):
            super().read_content(rows[i:i + step], content[i:i + step])
