"""The early-stopping loop, which every model uses: it calls functions and knows no model.

Source: the deeplearning.net tutorial, "Early-stopping" in "Getting started".
"""

import math
import operator


class Result:
    """What a training run reached so far: all that the loop needs to go on from there.

    Attributes
    ----------
    best_validation_error, test_error : float
        Fractions of wrongly classified examples, infinite and 0 before the first validation.
    best_iteration : int
        Minibatches done when the best validation error was found, counted from 0.
    iteration : int
        The last minibatch that was done, counted from 0.
    cost : float
        The cost on that minibatch.
    patience : float or None
        Minibatches to train on in any case; None before the first one.
    stopped : str
        "n_epochs" (all epochs done), "patience" (no progress), "interrupted" (asked to stop) or
        "diverged" (the cost was not finite).
    """

    def __init__(self):
        self.best_validation_error = math.inf
        self.best_iteration = 0
        self.test_error = 0.0
        self.iteration = -1
        self.cost = math.nan
        self.patience = None
        self.stopped = "n_epochs"

    @property
    def has_best(self):
        """Whether there was a validation, so that there is a best one."""
        return self.best_validation_error < math.inf


class Observer:
    """Told what happens in the loop, and asked whether to go on. This one does nothing."""

    def minibatch_begins(self, iteration):
        """Minibatch number ``iteration`` (from 0) is about to be trained on."""

    def minibatch_ends(self, result):
        """It is done; ``result.cost`` is its cost."""

    def validated(self, epoch, minibatch, error):
        """The validation error was computed, after ``minibatch`` (from 1) of ``epoch`` (from 1)."""

    def improved(self, epoch, minibatch, error):
        """It was the best so far, and the test error was computed."""

    def iteration_ends(self, result):
        """The minibatch is done, and the validation if there was one: a moment to save."""

    def wants_to_stop(self):
        """Whether to stop after the minibatch just done."""
        return False


def early_stopping(train_minibatch, validation_error, test_error, n_train_batches, n_epochs,
                   patience=10000, patience_increase=2, improvement_threshold=0.995,
                   better=operator.lt, epoch_begins=None, observers=(), result=None):
    """Train until the epochs are done or the validation error has long not improved.

    Parameters
    ----------
    train_minibatch : function of an int
        Makes one step on the minibatch of that number, returns the cost.
    validation_error, test_error : function without arguments
        The error on the whole validation set or test set.
    n_train_batches : int
        Number of minibatches in an epoch.
    n_epochs : int
        Epochs at the most.
    patience : int, or math.inf
        Train on this many minibatches in any case.
    patience_increase : int
        Whenever the validation error improves enough, go on until this many times the
        minibatches done so far.
    improvement_threshold : float
        "Enough" means: below this many times the best error before.
    better : function of two floats
        Whether a validation error replaces the best one before; ``operator.le`` lets the later
        of two equal ones win.
    epoch_begins : function of an int, optional
        Called with the number of each epoch, from 1, before it: to change the learning rate, say.
    observers : sequence of Observer
        Told of each step.
    result : Result, optional
        What an earlier call reached, to go on from there; its patience goes before the argument.

    Returns
    -------
    Result
    """
    def tell(happened, *facts):
        for observer in observers:
            getattr(observer, happened)(*facts)

    result = result or Result()
    # Validate after every epoch, or more often if patience is shorter than two epochs.
    validation_frequency = max(1, int(min(n_train_batches, patience / 2)))

    if result.patience is None:
        result.patience = patience
    result.stopped = "n_epochs"
    done = result.iteration + 1  # minibatches; an earlier call may have stopped within an epoch

    for epoch in range(done // n_train_batches + 1, n_epochs + 1):
        if epoch_begins is not None:
            epoch_begins(epoch)
        for minibatch_index in range(n_train_batches):
            iteration = (epoch - 1) * n_train_batches + minibatch_index
            if iteration < done:
                continue
            if result.patience < iteration:
                result.stopped = "patience"
                return result

            tell("minibatch_begins", iteration)
            result.cost = float(train_minibatch(minibatch_index))
            result.iteration = iteration
            tell("minibatch_ends", result)
            if not math.isfinite(result.cost):
                result.stopped = "diverged"
                return result

            if (iteration + 1) % validation_frequency == 0:
                this_validation_error = validation_error()
                tell("validated", epoch, minibatch_index + 1, this_validation_error)

                if better(this_validation_error, result.best_validation_error):
                    if (this_validation_error
                            < result.best_validation_error * improvement_threshold):
                        result.patience = max(result.patience, iteration * patience_increase)
                    result.best_validation_error = this_validation_error
                    result.best_iteration = iteration
                    result.test_error = test_error()
                    tell("improved", epoch, minibatch_index + 1, result.test_error)

            tell("iteration_ends", result)
            if any(observer.wants_to_stop() for observer in observers):
                result.stopped = "interrupted"
                return result

    return result
