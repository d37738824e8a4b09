"""Another order of the training set in each epoch."""

import numpy

from lenet.training.loop import Observer


class EpochShuffle(Observer):
    """Draws the order of the examples anew before each epoch.

    It depends on the seed, an int, and on the number of the epoch alone, so a training that is
    resumed goes on with the minibatches that it would have had.
    """

    def __init__(self, seed):
        self.seed = seed

    def model_built(self, model, datasets):
        self.train_set = datasets[0]  # a lenet.data.shuffled.ShuffledSet, or one in chunks

    def epoch_begins(self, epoch):
        rng = numpy.random.RandomState([self.seed, epoch])
        self.train_set.set_order(rng.permutation(self.train_set.n_examples))
