"""What the user sees of the training: the tutorial's lines, and a progress bar."""

import timeit

from lenet.training.history import History
from lenet.training.screens import open_screen


class TutorialReport(History):
    """Prints the tutorial's lines, with a progress bar where there is a terminal or a notebook; the
    last line names the file."""

    opening = "... training"

    def __init__(self, file_name):
        self.file_name = file_name
        self.screen = None

    def training_begins(self, functions, n_epochs, result):
        super().training_begins(functions, n_epochs, result)
        self.n_train_batches = functions.n_train_batches
        self.screen = open_screen(n_epochs * self.n_train_batches, result.iteration + 1)
        self.print_line(self.opening)
        self.start_time = timeit.default_timer()

    def minibatch_begins(self, iteration):
        if iteration % 100 == 0:
            self.print_line(f"training @ iter =  {iteration}")

    def minibatch_ends(self, result):
        super().minibatch_ends(result)
        self.screen.count_minibatch(result.cost)

    def validated(self, epoch, minibatch, error):
        super().validated(epoch, minibatch, error)
        self.print_line(f"epoch {epoch}, minibatch {minibatch}/{self.n_train_batches}, "
                        f"validation error {error * 100.0:f} %")

    def improved(self, epoch, minibatch, error):
        super().improved(epoch, minibatch, error)
        self.print_line(f"     epoch {epoch}, minibatch {minibatch}/{self.n_train_batches}, "
                        f"test error of best model {error * 100.0:f} %")

    def training_ends(self, result):
        super().training_ends(result)
        minutes = (timeit.default_timer() - self.start_time) / 60.0
        self.close()
        self.conclude(result)
        self.screen.print_time(f"The code for file {self.file_name} ran for {minutes:.2f}m")

    def conclude(self, result):
        self.print_line("Optimization complete.")
        if result.has_best:
            self.print_line(f"Best validation score of {result.best_validation_error * 100.0:f} % "
                            f"obtained at iteration {result.best_iteration + 1}, "
                            f"with test performance {result.test_error * 100.0:f} %")

    def print_line(self, text):
        self.screen.print_line(text)

    def close(self):
        """Remove the bar."""
        if self.screen is not None:
            self.screen.close()


class NetworkReport(TutorialReport):
    """Prints the lines of ``network3``, which speaks of accuracy and counts epochs from 0."""

    opening = "begin training..."

    def minibatch_begins(self, iteration):
        if iteration % 1000 == 0:
            self.print_line(f"Training mini-batch number {iteration}")

    def validated(self, epoch, minibatch, error):
        History.validated(self, epoch, minibatch, error)
        self.print_line(f"Epoch {epoch - 1}: validation accuracy {100 * (1 - error):.2f}%")

    def improved(self, epoch, minibatch, error):
        History.improved(self, epoch, minibatch, error)
        self.print_line("This is the best validation accuracy to date.")
        self.print_line(f"The corresponding test accuracy is {100 * (1 - error):.2f}%")

    def conclude(self, result):
        self.print_line("Finished training network.")
        if result.has_best:
            accuracy = 100 * (1 - result.best_validation_error)
            self.print_line(f"Best validation accuracy of {accuracy:.2f}% obtained at iteration "
                            f"{result.best_iteration}")
            self.print_line(f"Corresponding test accuracy of {100 * (1 - result.test_error):.2f}%")
