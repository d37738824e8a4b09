"""Runs the trials of a study on the workers of a Dask cluster, of this machine or of many."""

import contextlib
import importlib.util
import logging
import math
import os
import re
import sys
import types
from collections import Counter
from urllib.parse import urlparse

from tqdm import tqdm

from lenet.errors import DataError, UsageError
from lenet.processors import usable_processors
from lenet.sweep import table
from lenet.sweep.trial import experiment, read_result

try:
    import dask
    import distributed
except ModuleNotFoundError:
    raise UsageError("a sweep needs the package distributed; type pip install "
                     "'lenet-theano[sweep]', or pip install -e '.[sweep]' in the clone") from None


class TaskChannel:
    """The ``channel`` of ``lenet.sweep.trial.experiment`` in a task of Dask's."""

    def __init__(self, worker, state):
        self.worker, self.state = worker, state
        self.key = worker.get_current_task()

    def save(self):
        """Tell the sweep what the trial has reached; the topic is the folder of the study."""
        self.worker.log_event(os.path.dirname(self.state.folder), {
            "trial": self.state.name, "epochs": self.state.epochs_done,
            "validation": self.state.validation_error})

    def switch(self):
        """"stop" when the sweep has ended, or this worker is to end; otherwise None."""
        task = self.worker.state.tasks.get(self.key)
        gone = task is None or task.state == "cancelled"
        return "stop" if gone or self.worker.status.name.startswith("clos") else None


def train_trial(state):
    """A trial, the task of a worker. A worker whose name ends in gpu1 trains on that GPU."""
    worker = distributed.get_worker()
    gpu = re.search(r"gpu\d+$", str(worker.name))
    state.device = gpu and gpu.group()
    row = experiment(state, TaskChannel(worker, state))
    if row is None:
        raise distributed.Reschedule()
    return row


def sweep(study, folder, n_workers=None, n_gpus=None, scheduler=None):
    """Train all trials of a study that are not trained yet; return the rows of the table, a list of
    dict.

    Raises the errors of ``Study.open``, and a DataError if the scheduler cannot be reached, or has
    gone.

    Parameters
    ----------
    study : lenet.sweep.study.Study
    folder : str
        That of the study.
    n_workers : int, optional
        Trials at a time on this machine; by default one for each processor.
    n_gpus : int, optional
        Instead, one for each of as many GPUs.
    scheduler : str, optional
        Instead, on the workers of the Dask scheduler at this address.
    """
    for name in ("distributed", "distributed.client"):  # what matters of it is said below
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    folder = os.path.abspath(folder)
    with connect(n_workers, n_gpus, scheduler) as client:
        lock, threads = study.open(folder)
        with lock:
            if not client.nthreads():
                print(f"waiting for a worker; start one with dask worker {scheduler}",
                      file=sys.stderr, flush=True)
                client.wait_for_workers(1)
            if threads is None:
                threads = count_threads(client)
                study.save(folder, threads)
            if client.run_on_scheduler(lambda: importlib.util.find_spec("bokeh") is not None):
                print(f"dashboard: {client.dashboard_link}", flush=True)
            return Sweep(study, folder, threads, client).run()


@contextlib.contextmanager
def connect(n_workers, n_gpus, scheduler):
    """A client of the scheduler, or of workers that are threads of this process."""
    if scheduler is None:
        names = [f"gpu{number}" for number in range(n_gpus or 0)]
        names = names or range(n_workers or usable_processors())
        # The workers only wait for the processes that train.
        options = {"nthreads": 1, "memory_limit": 0, "dashboard_address": "localhost:0"}
        link = {"distributed.dashboard.link": "http://localhost:{port}/status"}
        with dask.config.set(link), distributed.SpecCluster(
                {name: {"cls": distributed.Worker, "options": options} for name in names},
                {"cls": distributed.Scheduler,
                 "options": {"protocol": "inproc://", "dashboard_address": "localhost:0"}},
        ) as cluster, distributed.Client(cluster) as client:
            yield client
        return
    try:
        client = distributed.Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise DataError(f"--scheduler {scheduler}: cannot be reached ({error!s:.100}); start it "
                        "with dask scheduler") from None
    with client:
        yield client


def count_threads(client):
    """The processors over the trials at a time, on the host that has the fewest for each."""
    try:
        processors = client.run(usable_processors)
    except Exception as error:  # whatever keeps a worker from importing lenet
        raise DataError(f"a worker cannot train ({error!r:.200}); install lenet-theano where it "
                        "runs") from None
    slots = Counter()
    for address, n_threads in client.nthreads().items():
        slots[urlparse(address).hostname] += n_threads
    return max(1, min(n // slots[urlparse(address).hostname] for address, n in processors.items()))


class Sweep:
    """The trials of a study on their way through the workers of a ``distributed.Client``, each with
    as many threads to compute with."""

    def __init__(self, study, folder, threads, client):
        self.study, self.folder, self.threads, self.client = study, folder, threads, client
        self.rows = {}  # {name of the trial: row}
        self.diverged = table.read_diverged(folder)

    def run(self):
        """Train rung by rung; return the rows of the table."""
        trials, rungs = list(self.study.trials), self.study.rungs()
        with tqdm(total=sum(n for n, _ in rungs), unit="trial", file=sys.stderr,
                  disable=not sys.stderr.isatty(), dynamic_ncols=True, leave=False) as self.bar:
            self.client.subscribe_topic(self.folder, self.show_progress)
            for n, n_epochs in rungs:
                trials.sort(key=self.error)  # equal errors stay in order
                for dropped in trials[n:]:
                    if self.rows[dropped.name]["stopped"] == "n_epochs":
                        self.rows[dropped.name]["stopped"] = "halving"
                trials = [trial for trial in trials[:n] if self.error(trial) < math.inf]
                self.train([self.describe_trial(trial, n_epochs) for trial in trials])
            self.client.unsubscribe_topic(self.folder)
        return self.write_table()

    def error(self, trial):
        """The validation error that decides who goes on: 0 before the first rung."""
        error = self.rows[trial.name]["validation"] if trial.name in self.rows else 0
        return math.inf if error is None else error

    def describe_trial(self, trial, n_epochs):
        """What a worker needs to know of a trial: see ``lenet.sweep.trial.experiment``."""
        return types.SimpleNamespace(
            name=trial.name, script=self.study.script, arguments=trial.arguments,
            folder=os.path.join(self.folder, trial.name), cwd=os.getcwd(),
            epochs_name=self.study.epochs_name, n_epochs=n_epochs or trial.epochs,
            threads=self.threads)

    def train(self, states):
        """Train those trials that are not trained as far yet, and wait for them."""
        futures = {}
        for state in states:
            row = read_result(state) or self.diverged.get(state.name)
            if row is None:
                key = f"{state.folder}:{state.n_epochs}"
                futures[self.client.submit(train_trial, state, key=key, pure=False)] = state.name
            else:
                self.rows[state.name] = dict(row)
                self.bar.update()
        self.write_table()
        for future in distributed.as_completed(futures):
            name = futures.pop(future)
            self.rows[name] = get_row(future, name)
            self.write_table()
            with tqdm.external_write_mode(file=sys.stdout):
                print(table.describe_row(dict(self.rows[name], trial=name)), flush=True)
            self.bar.update()

    def write_table(self):
        """Write the table; return its rows."""
        rows = [dict(self.rows[trial.name], trial=trial.name, **trial.values)
                for trial in self.study.trials if trial.name in self.rows]
        table.write(self.folder, self.study.varied, rows)
        return table.sort_rows(rows)

    def show_progress(self, event):
        """Show on the bar what a trial has reached."""
        _, told = event
        self.bar.set_postfix_str(f"{told['trial']}: epoch {told['epochs']}, "
                                 f"{100 * told['validation']:.2f} %")


def get_row(future, name):
    """The row of a trial whose task has ended."""
    if future.status not in ("finished", "error"):
        raise DataError("the scheduler has gone, or has forgotten the trials; start it, and this "
                        "command again")
    error = future.exception()
    if isinstance(error, distributed.KilledWorker):
        return {"epochs": 0, "validation": None, "test": None, "stopped": "failed",
                "reason": "each worker that began it died"}
    if error is not None:
        raise DataError(f"{name}: a worker cannot train it ({error!r:.200})")
    return future.result()
