"""Where everything that surrounds a training joins it: observers.

Every training prints the tutorial's lines (``lenet.training.report``) and stops in order on Ctrl-C;
whoever starts it adds observers of its own, such as a ``lenet.runs.run.Run``, which saves it.
"""

import contextlib
import os
import signal
import threading

from lenet import kernel
from lenet.data import gpu_memory
from lenet.errors import Interrupted, TrainingError
from lenet.training.loop import Observer
from lenet.training.report import TutorialReport


@contextlib.contextmanager
def watch_training(file, model, datasets, batch_size, observers=()):
    """Watch the compilation and the training inside a ``with`` block.

    Raises a DataError if a GPU's memory is full, a TrainingError if the cost is no longer finite,
    and Interrupted on Ctrl-C or SIGTERM, after the current minibatch is done and the best result is
    printed; but a notebook whose stop button was pressed keeps what was learned.

    Parameters
    ----------
    file : str
        The path of the model's module, for the last line that is printed.
    model, datasets, batch_size
        See ``lenet.training.functions.compile_functions``; ``model.input`` is the images.
    observers : sequence of Observer
        Those of the caller. Where none is a TutorialReport or a StopOnSignals, one is added.

    Yields
    ------
    list of Observer
        For ``lenet.training.loop.early_stopping``.
    """
    def count_needs():  # bytes on the GPU
        return {"the data set": gpu_memory.count_dataset_bytes(datasets),
                "a minibatch": gpu_memory.count_minibatch_bytes(model, model.input, batch_size,
                                                                datasets[0].n_pixels)}

    observers = list(observers)
    if not any(isinstance(observer, StopOnSignals) for observer in observers):
        observers.append(StopOnSignals())
    if not any(isinstance(observer, TutorialReport) for observer in observers):
        observers.append(TutorialReport(os.path.basename(file)))

    outcome = Outcome()
    with contextlib.ExitStack() as stack:
        for observer in observers:
            stack.callback(observer.close)
        with gpu_memory.explain_full_memory(count_needs):
            for observer in observers:
                observer.model_built(model, datasets)
            yield [*observers, outcome]

    result = outcome.result
    if result is not None and result.stopped == "diverged":
        raise TrainingError(f"the cost is {result.cost} at iteration {result.iteration}; "
                            "try a smaller learning rate")
    if result is not None and result.stopped == "interrupted":
        number = next((observer.signal for observer in observers
                       if isinstance(observer, StopOnSignals) and observer.signal), None)
        advice = [observer.advice for observer in observers if observer.advice]
        if number == signal.SIGINT and kernel.is_notebook():
            print("; ".join(["stopped: the model keeps what it has learned", *advice]))
        else:
            raise Interrupted("; ".join(["interrupted", *advice]), number or signal.SIGINT)


class Outcome(Observer):
    """Remembers how the training ended."""

    result = None

    def training_ends(self, result):
        self.result = result


class StopOnSignals(Observer):
    """Ctrl-C or SIGTERM asks the loop to stop; a second one stops at once."""

    def __init__(self):
        self.signal = None
        self.previous_handlers = {}  # {signal: handler}

    def training_begins(self, functions, n_epochs, result):
        self.signal = None
        # Only the main thread may set what happens on a signal.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.previous_handlers[number] = signal.signal(number, self.receive)

    def receive(self, number, frame):
        if self.signal is not None:
            self.close()
            raise Interrupted("interrupted", number)
        self.signal = number

    def wants_to_stop(self):
        return self.signal is not None

    def training_ends(self, result):
        self.close()

    def close(self):
        """Restore the previous handlers."""
        while self.previous_handlers:
            signal.signal(*self.previous_handlers.popitem())
