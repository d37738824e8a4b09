"""A training that the page starts: LeNet-5 with the tutorial's options, in a process of its own.

The process tells of its steps through a pipe, and obeys what comes through it.
"""

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque

from lenet import networks
from lenet.errors import DataError, Interrupted, TrainingError, UsageError
from lenet.processors import usable_processors
from lenet.training.history import History

COMMANDS = ("pause", "go", "step", "stop")

# name: (smallest, largest, whether it is whole)
OPTIONS = {"learning_rate": (1e-6, 10, False), "first_filters": (1, 100, True),
           "second_filters": (1, 100, True), "batch_size": (1, 5000, True),
           "n_epochs": (1, 1000, True)}
# The tutorial's, but for its 200 epochs: a class waits a minute.
DEFAULTS = {"learning_rate": 0.1, "first_filters": 20, "second_filters": 50, "batch_size": 500,
            "n_epochs": 5}

MAX_COSTS_SHOWN = 400
SECONDS_BETWEEN_REPORTS, SECONDS_BETWEEN_PARAMETERS = 0.1, 0.25


# --- in the server's process ----------------------------------------------------------------


class Training:
    """The process that trains on a dataset, see ``lenet.data.load_data``, if there is one, and what
    it has told.

    Attributes
    ----------
    state : dict
        What the page shows: "status", "iteration" (minibatches done), "n" (of all epochs), "cost",
        "costs" (pairs of an iteration and its cost) and "rows" (the log).
    """

    def __init__(self, dataset):
        self.dataset = dataset
        self.process = self.pipe = None
        self.state = {"status": "ready"}

    def start(self, options):
        """Begin to train, in place of an earlier training.

        Raises a DataError if an option is not one of ``OPTIONS``, or not in its range.
        """
        options = check_options(options)
        self.stop()
        nkerns = options.pop("first_filters"), options.pop("second_filters")
        context = multiprocessing.get_context("spawn")
        self.pipe, other_end = context.Pipe()
        self.process = context.Process(target=train, daemon=True, args=(
            other_end, dict(options, nkerns=nkerns, dataset=self.dataset)))
        # One processor is left to the page.
        threads = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = str(max(1, usable_processors() - 1))
        try:
            self.process.start()
        finally:
            if threads is None:
                del os.environ["OMP_NUM_THREADS"]
            else:
                os.environ["OMP_NUM_THREADS"] = threads
        other_end.close()
        self.state = {"status": "compiling", "costs": deque(maxlen=MAX_COSTS_SHOWN), "rows": []}

    def send_command(self, word):
        """Send "pause", "go", "step" or "stop"."""
        if word not in COMMANDS:
            raise DataError(f"command {word!s:.40}; expected one of {', '.join(COMMANDS)}")
        if self.process is not None:
            with contextlib.suppress(OSError):  # it has just ended
                self.pipe.send(word)

    def stop(self):
        """End the process."""
        if self.process is not None:
            self.pipe.close()  # for which it waits, paused
            self.process.terminate()
            self.process.join(5)
            self.process.kill()
            self.process.join()
            self.process = None

    def news(self):
        """What the process has told: a dict with "network" (what it has begun to train),
        "parameters" (arrays by name) and "state" (True if it has changed)."""
        found = {}
        try:
            while self.process is not None and self.pipe.poll():
                name, value = self.pipe.recv()
                if name in ("network", "parameters"):
                    found[name] = value
                    continue
                found["state"] = True
                if name == "row":
                    self.state["rows"].append(value)
                elif name == "test":
                    self.state["rows"][-1]["test"] = value
                else:
                    self.state.update(value)
                    self.add_cost()
        except (EOFError, OSError):
            self.stop()
            if self.state["status"] in ("compiling", "training", "paused"):
                self.state["status"] = "the process that trained has ended"
                found["state"] = True
        return found

    def add_cost(self):
        """Add the cost of the last minibatch to those that are shown."""
        costs, iteration = self.state["costs"], self.state.get("iteration")
        if iteration is not None and (not costs or costs[-1][0] != iteration):
            costs.append((iteration, self.state["cost"]))

    def describe_state(self):
        """The state in plain values."""
        return dict(self.state, costs=list(self.state.get("costs", ())))


def check_options(options):
    """Check the options of a training as they were sent; add the defaults of the others."""
    if not isinstance(options, dict):
        raise DataError("the options of a training are no object")
    for name, value in options.items():
        if name not in OPTIONS:
            raise DataError(f"option {name:.40}; expected one of {', '.join(OPTIONS)}")
        smallest, largest, is_whole = OPTIONS[name]
        if (type(value) not in ((int,) if is_whole else (int, float))
                or not smallest <= value <= largest):
            raise DataError(f"{name.replace('_', ' ')} {value!s:.40}; expected a "
                            f"{'whole ' if is_whole else ''}number from {smallest} to {largest}")
    return {**DEFAULTS, **options}


# --- in the process that trains -------------------------------------------------------------


def train(pipe, options):
    """Train LeNet-5, and tell of it."""
    from lenet.convolutional_mlp import evaluate_lenet5

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the page, which ends this, too
    status = "all epochs are done"
    try:
        _, result = evaluate_lenet5(**options, observers=[Reporter(pipe)])
        if result.stopped == "patience":
            status = "ended: the validation error has stopped improving"
    except Interrupted:
        status = "stopped"
    except (UsageError, DataError, TrainingError, MemoryError) as error:
        status = f"ended: {error}"
    except (EOFError, ConnectionError):  # the page has ended
        return
    with contextlib.suppress(OSError):
        pipe.send(("state", {"status": status}))


class Reporter(History):
    """Tells of each step through a pipe, and waits where it is told to pause.

    Nothing is saved.
    """

    def __init__(self, pipe):
        self.pipe = pipe
        self.is_paused, self.steps = False, 0
        self.reported_at = self.sent_at = 0
        self.progress = {}

    def model_built(self, model, datasets):
        self.params = networks.named_params(model)
        self.pipe.send(("network", networks.metadata_of(
            model, datasets.class_names, datasets.image_shape, datasets.preparation,
            datasets.pixels)["network"]))
        self.send_parameters()

    def send_parameters(self):
        self.sent_at = time.monotonic()
        self.pipe.send(("parameters", {name: param.get_value()
                                       for name, param in self.params.items()}))

    def training_begins(self, functions, n_epochs, result):
        super().training_begins(functions, n_epochs, result)
        self.n_train_batches = functions.n_train_batches
        self.n = self.n_train_batches * n_epochs
        self.began_at = time.monotonic()

    def minibatch_begins(self, iteration):
        while self.pipe.poll() or (self.is_paused and not self.steps):
            command = self.pipe.recv()
            if command == "stop":
                raise Interrupted("stopped", signal.SIGINT)
            self.is_paused = command in ("pause", "step")
            self.steps += command == "step"
            if command != "step":
                self.steps = 0
                self.report()
                self.send_parameters()

    def minibatch_ends(self, result):
        super().minibatch_ends(result)
        self.steps = max(0, self.steps - 1)
        self.progress = {"n": self.n, "iteration": result.iteration + 1, "cost": result.cost,
                         "epoch": result.iteration // self.n_train_batches + 1}
        now = time.monotonic()
        if self.is_paused or now - self.reported_at > SECONDS_BETWEEN_REPORTS:
            self.report()
        if self.is_paused or now - self.sent_at > SECONDS_BETWEEN_PARAMETERS:
            self.send_parameters()

    def report(self):
        self.reported_at = time.monotonic()
        self.pipe.send(("state", {"status": "paused" if self.is_paused else "training",
                                  **self.progress}))

    def validated(self, epoch, minibatch, error):
        super().validated(epoch, minibatch, error)
        self.pipe.send(("row", dict(
            self.rows[-1], iteration=(epoch - 1) * self.n_train_batches + minibatch,
            seconds=round(time.monotonic() - self.began_at, 3))))

    def improved(self, epoch, minibatch, error):
        super().improved(epoch, minibatch, error)
        self.pipe.send(("test", error))

    def training_ends(self, result):
        super().training_ends(result)
        self.send_parameters()
