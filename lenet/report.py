"""What a person sees of the training: the tutorial's lines, a progress bar, Ctrl-C."""

import contextlib
import signal
import sys
import threading

from tqdm import tqdm

from lenet.training import Observer


class TutorialReport(Observer):
    """Prints the tutorial's lines on standard output, and a progress bar on a terminal.

    Parameters
    ----------
    n_train_batches, n_epochs : int
        Minibatches in an epoch, and epochs at the most.
    """

    opening = "... training"

    def __init__(self, n_train_batches, n_epochs):
        self.n_train_batches = n_train_batches
        self.stop_requested = False
        self.bar = tqdm(
            total=n_epochs * n_train_batches,
            unit="minibatch",
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
            leave=False,
        )

    def training_begins(self):
        self.line(self.opening)

    def training_ended(self, result):
        self.line("Optimization complete.")
        self.line("Best validation score of %f %% obtained at iteration %i, "
                  "with test performance %f %%"
                  % (result.best_validation_error * 100.0, result.best_iteration + 1,
                     result.test_error * 100.0))

    def minibatch_begins(self, iteration):
        if iteration % 100 == 0:
            self.line("training @ iter =  %d" % iteration)

    def minibatch_ends(self, result):
        self.bar.set_postfix_str("cost %.4f" % result.cost, refresh=False)
        self.bar.update()

    def validated(self, epoch, minibatch, error):
        self.line("epoch %i, minibatch %i/%i, validation error %f %%"
                  % (epoch, minibatch, self.n_train_batches, error * 100.0))

    def improved(self, epoch, minibatch, error):
        self.line(" epoch %i, minibatch %i/%i, test error of best model %f %%"
                  % (epoch, minibatch, self.n_train_batches, error * 100.0))

    def wants_to_stop(self):
        return self.stop_requested

    def line(self, text):
        """Print one line, above the bar if both are on one terminal."""
        with tqdm.external_write_mode(file=sys.stdout):
            print(text, flush=True)

    @contextlib.contextmanager
    def stopping_on_interrupt(self):
        """Inside the ``with`` block, Ctrl-C asks the loop to stop; a second one stops at once."""

        def interrupt(number, frame):
            if self.stop_requested:
                raise KeyboardInterrupt
            self.stop_requested = True

        receives_signals = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGINT, interrupt) if receives_signals else None
        try:
            yield
        finally:
            if receives_signals:
                signal.signal(signal.SIGINT, before)
            self.bar.close()


class NetworkReport(TutorialReport):
    """Prints the lines of ``network3``, which speaks of accuracy and counts epochs from 0.

    Parameters
    ----------
    n_train_batches, n_epochs : int
        Minibatches in an epoch, and epochs.
    when_best : function without arguments, optional
        Called whenever the validation accuracy is the best to date.
    """

    opening = "begin training..."

    def __init__(self, n_train_batches, n_epochs, when_best=None):
        super().__init__(n_train_batches, n_epochs)
        self.when_best = when_best

    def minibatch_begins(self, iteration):
        if iteration % 1000 == 0:
            self.line("Training mini-batch number %d" % iteration)

    def validated(self, epoch, minibatch, error):
        self.line("Epoch %d: validation accuracy %.2f%%" % (epoch - 1, 100 * (1 - error)))

    def improved(self, epoch, minibatch, error):
        self.line("This is the best validation accuracy to date.")
        self.line("The corresponding test accuracy is %.2f%%" % (100 * (1 - error)))
        if self.when_best is not None:
            self.when_best()

    def training_ended(self, result):
        self.line("Finished training network.")
        if result.best_validation_error <= 1:
            self.line("Best validation accuracy of %.2f%% obtained at iteration %d"
                      % (100 * (1 - result.best_validation_error), result.best_iteration))
            self.line("Corresponding test accuracy of %.2f%%" % (100 * (1 - result.test_error)))
