"""A trial of a sweep: a process that trains, which the worker that started it looks after."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time

from lenet.errors import DataError
from lenet.installed import option_name
from lenet.runs.log import read_log
from lenet.runs.run import read_state
from lenet.sweep.study import find_script

ATTEMPTS = 3
POLL_SECONDS = 0.2

# Has the kernel send SIGTERM when the worker dies (PR_SET_PDEATHSIG is 1), then becomes the
# training: a worker has threads, after whose fork no more than this is safe.
LAUNCH = """import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])"""


def experiment(state, channel):
    """Train a script in a process of its own: the tutorial's hook for a job scheduler.

    What was trained already is not trained again, and what was begun goes on, whoever began it.

    Parameters
    ----------
    state : object
        Its attributes are ``script``, its name; ``arguments``, its options as they are typed;
        ``folder``, that of the run; ``cwd``, the folder to start in; ``epochs_name``, the
        argument for the number of epochs, and ``n_epochs``, that number; ``threads``, how many to
        compute with; ``device`` of Theano, or None. Gets ``epochs_done`` and
        ``validation_error``, a fraction, while the training goes on.
    channel : object
        ``save()`` is called after each validation; when ``switch()`` returns "stop", the training
        is saved and stopped.

    Returns
    -------
    dict or None
        The trial's part of a row of the table, see ``lenet.sweep.table``; None if it was stopped.
    """
    # The training inherits this file and, with it, the lock: as long as one that another worker
    # left behind is saving its state, this one waits.
    with open(state.folder + ".txt", "a+", errors="replace") as printed:
        while not try_lock(printed):
            if channel.switch() == "stop":
                return None
            time.sleep(POLL_SECONDS)
        row, status, attempts = read_result(state), None, 0
        # After status 1 and 2 the script has said why, and would again.
        while row is None and status not in (1, 2) and attempts < ATTEMPTS:
            status, reason = train(state, channel, printed)
            if status is None:
                return None
            row, attempts = read_result(state), attempts + 1
        if row is not None:
            return row
        done = [row["epoch"] for row in read_rows(state)]
        diverged = "try a smaller learning rate" in reason
        return {"epochs": max(done, default=0), "validation": None, "test": None,
                "stopped": "diverged" if diverged else "failed", "reason": reason}


def try_lock(file):
    """Whether a file could be locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def read_rows(state):
    """The rows of the run's log until the last epoch that was asked for."""
    try:
        rows = read_log(os.path.join(state.folder, "log.csv"))
    except DataError:
        return []
    return [row for row in rows if row["epoch"] <= state.n_epochs]


def read_result(state):
    """The row of a trial if it is trained for as many epochs, or has lost patience; else None."""
    try:
        saved = read_state(state.folder)
    except DataError:
        return None
    trained_for = saved.settings.get(state.epochs_name, 0)
    ended = saved.stopped in ("n_epochs", "patience")
    # A run gets more epochs only after it has ended with fewer.
    if not (trained_for > state.n_epochs or trained_for == state.n_epochs and ended):
        return None
    rows = read_rows(state)
    out_of_patience = saved.stopped == "patience" and trained_for == state.n_epochs
    return {"epochs": rows[-1]["epoch"], "validation": min(row["validation"] for row in rows),
            "test": [row["test"] for row in rows if row["test"] is not None][-1],
            "stopped": "patience" if out_of_patience else "n_epochs", "reason": None}


def train(state, channel, printed):
    """Train until the process ends: its exit status, None if the channel stopped it; and the last
    line that was printed."""
    begun = os.path.exists(os.path.join(state.folder, "last.safetensors"))
    if not begun:  # killed before its first state was whole
        shutil.rmtree(state.folder, ignore_errors=True)
    # A worker that mpiexec started is a rank, but its trial is not.
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("PMI", "OMPI_"))}
    # Dask sets both in its workers.
    environment.update(OMP_NUM_THREADS=str(state.threads),
                       OPENBLAS_NUM_THREADS=str(state.threads))
    if state.device:
        flags = [os.environ.get("THEANO_FLAGS"), f"device={state.device}"]
        environment["THEANO_FLAGS"] = ",".join(filter(None, flags))
    begins_at = os.fstat(printed.fileno()).st_size
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(os.getpid()), sys.executable,
         find_script(state.script), *state.arguments,
         option_name(state.epochs_name), str(state.n_epochs),
         "--resume" if begun else "--output", state.folder],
        cwd=state.cwd, env=environment, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed,
        start_new_session=True,  # Ctrl-C is for the sweep
    )
    stopped, n_rows = False, 0
    while process.poll() is None:
        if not stopped and channel.switch() == "stop":
            stopped = True
            process.send_signal(signal.SIGTERM)  # saves
        rows = read_rows(state)
        if len(rows) > n_rows:
            n_rows = len(rows)
            state.epochs_done = rows[-1]["epoch"]
            state.validation_error = rows[-1]["validation"]
            channel.save()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_SECONDS)
    printed.seek(begins_at)
    lines = printed.read().splitlines()
    said = lines[-1] if lines else ""
    said = said[len(state.script) + 5:] if said.startswith(state.script + ".py: ") else said
    if process.returncode < 0:
        said = f"killed by signal {-process.returncode}"
    return None if stopped else process.returncode, said
