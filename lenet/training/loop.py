"""The early-stopping loop, which every model uses: it only calls functions.

It tells its observers of each step: one prints, one saves the run, one stops the loop on Ctrl-C.
``lenet.training.watch`` brings them together.

Source: the deeplearning.net tutorial, "Early-stopping" in "Getting started".
"""

import math
import operator
from collections import namedtuple

from lenet.errors import UsageError

# What the loop calls:
# train_minibatch(index): makes a step on the minibatch of that number, from 0; returns its cost
# validation_error(), test_error(): the error on the whole set, a fraction
# n_train_batches: minibatches per epoch, not counting an incomplete last one
# state: the shared variables that the step changes, or depends on; for observers
Functions = namedtuple("Functions", "train_minibatch validation_error test_error n_train_batches "
                                    "state", defaults=[()])


class Result:
    """How far a training run has got: all that the loop needs to continue from there.

    Attributes
    ----------
    best_validation_error, test_error : float
        Fractions of wrongly classified examples, infinite and 0 before the first validation.
    best_iteration : int
        The minibatch, counted from 0, after which the best validation error was found.
    iteration : int
        The last minibatch that was done, counted from 0.
    cost : float
        The cost on that minibatch.
    patience : float or None
        Minibatches to train on in any case; None before the first one.
    stopped : str or None
        "n_epochs" (all epochs done), "patience" (no progress), "interrupted" (asked to stop),
        "diverged" (the cost was not finite); None as long as the training goes on.
    rows : list of dicts
        A row for each validation, once the training has ended; see ``lenet.training.history``.
    """

    def __init__(self):
        self.best_validation_error = math.inf
        self.best_iteration = 0
        self.test_error = 0.0
        self.iteration = -1
        self.cost = math.nan
        self.patience = None
        self.stopped = None
        self.rows = []

    @property
    def has_best(self):
        """Whether there was a validation yet."""
        return self.best_validation_error < math.inf


class Observer:
    """Told what happens in a training, and asked whether to go on. This one does nothing.

    Attributes
    ----------
    advice : str
        What to do if the training is interrupted.
    """

    advice = ""

    def model_built(self, model, datasets):
        """Before the functions are compiled; the parameters may be set, or fewer of them left in
        ``model.params``."""

    def training_begins(self, functions, n_epochs, result):
        """Before the first minibatch; ``result`` may be set to what an earlier process reached."""

    def epoch_begins(self, epoch):
        """Before the first minibatch of an epoch (from 1), or the first one of this process."""

    def minibatch_begins(self, iteration):
        """Minibatch number ``iteration`` (from 0) is about to be trained on."""

    def minibatch_ends(self, result):
        """The minibatch is done; ``result.cost`` is its cost."""

    def validated(self, epoch, minibatch, error):
        """The validation error was computed, after ``minibatch`` (from 1) of ``epoch`` (from 1)."""

    def improved(self, epoch, minibatch, error):
        """That was the best error so far; now ``error`` is the test error."""

    def iteration_ends(self, result):
        """The minibatch is done, and the validation if there was one: a moment to save."""

    def wants_to_stop(self):
        """Whether to stop after the minibatch just done."""
        return False

    def training_ends(self, result):
        """After the last minibatch; ``result.stopped`` says why it was the last one."""

    def close(self):
        """Called last, even after an error."""


def early_stopping(functions, n_epochs, patience=10000, patience_increase=2,
                   improvement_threshold=0.995, better=operator.lt, observers=()):
    """Train until all epochs are done, or until the validation error has stopped improving.

    Parameters
    ----------
    functions : Functions
        As ``lenet.training.functions.compile_functions`` returns them.
    n_epochs : int
        Maximum number of epochs.
    patience : int, or math.inf
        Train on this many minibatches in any case.
    patience_increase : int
        When the validation error improves enough, extend patience to this many times the
        minibatches done so far.
    improvement_threshold : float
        "Enough" means: to less than this fraction of the best error so far.
    better : function of two floats
        Whether a validation error replaces the best one so far; with ``operator.le``, the later
        of two equal ones does.
    observers : sequence of Observer
        Told of each step.

    Returns
    -------
    Result

    Raises
    ------
    UsageError
        The number of epochs is not positive.
    """
    if n_epochs < 1:
        raise UsageError(f"number of epochs {n_epochs}; expected a positive number")

    train_minibatch, validation_error, test_error, n_train_batches, _ = functions

    # Go through this many minibatches before looking at the validation set: as many as there are
    # in an epoch, or fewer if patience is shorter than two epochs.
    validation_frequency = max(1, int(min(n_train_batches, patience / 2)))

    result = Result()
    for observer in observers:
        observer.training_begins(functions, n_epochs, result)
    if result.patience is None:
        result.patience = patience
    done = result.iteration + 1  # minibatches; an earlier process may have stopped mid-epoch

    epoch = done // n_train_batches
    while epoch < n_epochs and result.stopped is None:
        epoch += 1
        for observer in observers:
            observer.epoch_begins(epoch)
        for minibatch_index in range(n_train_batches):
            iteration = (epoch - 1) * n_train_batches + minibatch_index
            if iteration < done:
                continue
            # The tutorial checks ``patience <= iter`` after each minibatch, which is the same.
            if result.patience < iteration:
                result.stopped = "patience"
                break

            for observer in observers:
                observer.minibatch_begins(iteration)
            result.cost = float(train_minibatch(minibatch_index))
            result.iteration = iteration
            for observer in observers:
                observer.minibatch_ends(result)
            if not math.isfinite(result.cost):
                result.stopped = "diverged"
                break

            if (iteration + 1) % validation_frequency == 0:
                this_validation_error = validation_error()
                for observer in observers:
                    observer.validated(epoch, minibatch_index + 1, this_validation_error)

                if better(this_validation_error, result.best_validation_error):
                    # A clear improvement buys patience: if the best parameters came after 4000
                    # minibatches, it is worth training on 8000 to see better ones.
                    if (this_validation_error
                            < result.best_validation_error * improvement_threshold):
                        result.patience = max(result.patience, iteration * patience_increase)
                    result.best_validation_error = this_validation_error
                    result.best_iteration = iteration
                    result.test_error = test_error()
                    for observer in observers:
                        observer.improved(epoch, minibatch_index + 1, result.test_error)

            for observer in observers:
                observer.iteration_ends(result)
            if any([observer.wants_to_stop() for observer in observers]):  # each is asked
                result.stopped = "interrupted"
                break

    result.stopped = result.stopped or "n_epochs"
    for observer in observers:
        observer.training_ends(result)
    return result
