"""What to do next, if a training ended too early or has learned nothing."""

import math
import sys

import numpy

from lenet.training.loop import Observer

FEW = 100  # images to test on: of fewer, a single one is more than a percent


class Advice(Observer):
    """Says, on standard error and last of all, if nothing was learned or the last epoch was best:
    how to go on, or what to try if nothing was learned. Before that, if few test images tell."""

    result = None

    def __init__(self, more_epochs, other_settings):
        self.more_epochs, self.other_settings = more_epochs, other_settings

    def model_built(self, model, datasets):
        counts = numpy.bincount(datasets[1].labels(), minlength=len(datasets.class_names))
        self.most_frequent = datasets.class_names[counts.argmax()]
        self.least_error = 1 - counts.max() / counts.sum()  # that one answer gives
        self.n_test = datasets[2].n_examples

    def training_begins(self, functions, n_epochs, result):
        self.best_error, self.best_is_last = result.best_validation_error, False

    def validated(self, epoch, minibatch, error):
        self.best_is_last = error < self.best_error < math.inf  # of the first, it says nothing
        self.best_error = min(error, self.best_error)

    def training_ends(self, result):
        self.result = result

    def close(self):
        if self.result is None or self.result.stopped not in ("n_epochs", "patience"):
            return
        if self.n_test < FEW:
            print(explain_few(self.n_test), file=sys.stderr)
        if self.best_error > self.least_error - 1e-9:  # equal, but for rounding
            print(f"nothing has been learned: always answering {self.most_frequent} has a "
                  f"validation error of {self.least_error * 100:.2f} %; {self.other_settings}",
                  file=sys.stderr)
        elif self.best_is_last:
            print(f"the last epoch was the best, and more may be better: {self.more_epochs}",
                  file=sys.stderr)


def explain_few(n_images):
    """How little the percentages of so few images mean."""
    return f"the test set is small: one of its {n_images} images is {100 / n_images:.3g} %"
