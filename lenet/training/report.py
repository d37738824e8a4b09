"""What a person sees of the training: the tutorial's lines, a progress bar, an end on Ctrl-C."""

import contextlib
import signal
import sys
import threading

from tqdm import tqdm

from lenet.errors import Interrupted
from lenet.training.loop import Observer


class TutorialReport(Observer):
    """Prints the tutorial's lines on standard output, and a progress bar on a terminal.

    Parameters
    ----------
    n_train_batches, n_epochs : int
        Minibatches in an epoch, and epochs at the most.
    n_done : int
        Minibatches that an earlier process has done.

    Attributes
    ----------
    stop_signal : int or None
        The signal that asked to stop.
    """

    opening = "... training"

    def __init__(self, n_train_batches, n_epochs, n_done=0):
        self.n_train_batches = n_train_batches
        self.stop_signal = None
        self.bar = tqdm(
            total=n_epochs * n_train_batches,
            initial=n_done,
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
        if result.has_best:
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
        return self.stop_signal is not None

    def line(self, text):
        """Print one line, above the bar if both are on one terminal."""
        with tqdm.external_write_mode(file=sys.stdout):
            print(text, flush=True)

    @contextlib.contextmanager
    def stopping_on_signals(self):
        """Inside the ``with`` block, Ctrl-C or SIGTERM asks the loop to stop; a second one stops
        at once."""

        def stop(number, frame):
            if self.stop_signal is not None:
                raise Interrupted("interrupted", number)
            self.stop_signal = number

        # Only the main thread may say what happens on a signal.
        main = threading.current_thread() is threading.main_thread()
        signals = (signal.SIGINT, signal.SIGTERM) if main else ()
        before = {number: signal.signal(number, stop) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self.bar.close()


class NetworkReport(TutorialReport):
    """Prints the lines of ``network3``, which speaks of accuracy and counts epochs from 0."""

    opening = "begin training..."

    def minibatch_begins(self, iteration):
        if iteration % 1000 == 0:
            self.line("Training mini-batch number %d" % iteration)

    def validated(self, epoch, minibatch, error):
        self.line("Epoch %d: validation accuracy %.2f%%" % (epoch - 1, 100 * (1 - error)))

    def improved(self, epoch, minibatch, error):
        self.line("This is the best validation accuracy to date.")
        self.line("The corresponding test accuracy is %.2f%%" % (100 * (1 - error)))

    def training_ended(self, result):
        self.line("Finished training network.")
        if result.has_best:
            self.line("Best validation accuracy of %.2f%% obtained at iteration %d"
                      % (100 * (1 - result.best_validation_error), result.best_iteration))
            self.line("Corresponding test accuracy of %.2f%%" % (100 * (1 - result.test_error)))
