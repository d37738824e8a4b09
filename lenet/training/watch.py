"""Where everything that surrounds the training joins it.

This is printed lines and a progress bar (``lenet.training.report``), a run saved on disk and
resumed (``lenet.runs.run``), an orderly stop on Ctrl-C, the job scheduler of an experiment
(``lenet.training.channel``), and one-line errors.
"""

import contextlib
import signal
import threading

from lenet.errors import Interrupted, TrainingError
from lenet.data import gpu_memory
from lenet.parallel import ranks
from lenet.training.channel import under_way
from lenet.training.loop import Observer
from lenet.training.report import TutorialReport


@contextlib.contextmanager
def watched(model, datasets, batch_size, run=None, report=TutorialReport):
    """Watch the compilation and the training inside a ``with`` block.

    Parameters
    ----------
    model, datasets, batch_size
        See ``lenet.training.functions.compile_functions``; ``model.input`` is the images.
    run : lenet.runs.run.Run, optional
        Saves the training on disk, and knows how far an earlier process got.
    report : class of Observer
        Prints what happens; made with the name of the model's file.

    Yields
    ------
    list of Observer
        For ``lenet.training.loop.early_stopping``.

    Raises
    ------
    DataError
        The run cannot be written, or belongs to another network or dataset; or a GPU's memory is
        full.
    TrainingError
        The cost is no longer finite.
    Interrupted
        On Ctrl-C or SIGTERM, after the current minibatch is done and the best result is printed.
    """
    def needs():  # bytes on the GPU
        return {"the data set": gpu_memory.of_datasets(datasets),
                "a minibatch": gpu_memory.of_minibatch(model, model.input, batch_size,
                                                   datasets[0].n_pixels)}

    if run is not None:
        run.attach(model, datasets)
    stop = StopOnSignals()
    start = OneStart(model, datasets[0]) if ranks.world.size > 1 else None
    report = report(type(model).__module__.rpartition(".")[2] + ".py")
    with gpu_memory.in_one_line(needs), contextlib.closing(stop), contextlib.closing(report):
        observers = [run, start, under_way.get(), stop, report]
        yield [observer for observer in observers if observer is not None]

    if stop.result.stopped == "diverged":
        raise TrainingError(f"the cost is {stop.result.cost} at iteration {stop.result.iteration}; "
                            "try a smaller learning rate")
    if stop.result.stopped == "interrupted":
        go_on = "" if run is None else f"; go on with --resume {run.folder}"
        raise Interrupted("interrupted" + go_on, stop.signal or signal.SIGINT)


class OneStart(Observer):
    """Lets all ranks start from the parameters and the result of rank 0, which may have resumed a
    run."""

    def __init__(self, model, train_set):
        ranks.world.begun = False
        ranks.world.check_same({"a dataset of checksum": train_set.fingerprint})
        self.state = [*model.params, *getattr(model, "frozen", ()),
                      *getattr(model, "velocities", ()), *getattr(model, "random_states", ())]

    def training_begins(self, n_train_batches, n_epochs, result):
        reached, values = ranks.world.share(
            (vars(result), [variable.get_value(borrow=True) for variable in self.state]))
        vars(result).update(reached)
        for variable, value in zip(self.state, values):
            variable.set_value(value)
        ranks.world.begun = True


class StopOnSignals(Observer):
    """Ctrl-C or SIGTERM asks the loop to stop; a second one stops at once."""

    def __init__(self):
        self.result = self.signal = None
        self.handlers = {}  # the previous ones, by signal

    def training_begins(self, n_train_batches, n_epochs, result):
        self.result = result
        # Only the main thread may set what happens on a signal.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.handlers[number] = signal.signal(number, self.received)

    def received(self, number, frame):
        if self.signal is not None:
            raise Interrupted("interrupted", number)
        self.signal = number

    def wants_to_stop(self):
        return ranks.world.agree_to_stop(self.signal is not None)

    def training_ends(self, result):
        self.close()

    def close(self):
        """Restore the previous handlers."""
        while self.handlers:
            signal.signal(*self.handlers.popitem())
