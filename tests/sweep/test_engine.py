"""lenet.sweep.engine: workers and schedulers may die, the table is that of trainings one by one."""

import csv
import functools
import itertools
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import types

import numpy
import pytest
from conftest import REPOSITORY, assert_refused, environment, run_python, run_script

from lenet.errors import DataError, TrainingError
from lenet.logistic_sgd import sgd_optimization_mnist
from lenet.runs.log import read_log
from lenet.runs.run import Run

distributed = pytest.importorskip("distributed", reason="distributed is not installed")

from lenet.sweep.engine import TaskChannel, count_threads, get_row  # noqa: E402

SWEEP = os.path.join(REPOSITORY, "scripts", "sweep.py")
RATES, SIZES = ("0.5", "0.02", "1e300", "0.1"), ("50", "25")


def make_command(dataset, rates, sizes, *options):
    """The command line of a study in which the trials with the rate 1e300 diverge."""
    return ["--script", "logistic_sgd", "--dataset", dataset, "--learning-rate", *rates,
            "--batch-size", *sizes, *options]


def train_alone(dataset, rates, sizes, n_epochs, tmp_path):
    """The logs of these trials, trained one by one in this process: {name: rows}."""
    found = {}
    for rate, size in itertools.product(rates, sizes):
        name = f"learning-rate={rate}_batch-size={size}"
        run = Run.create(str(tmp_path / "one by one" / name), {})
        try:
            sgd_optimization_mnist(float(rate), n_epochs, dataset, int(size), observers=[run])
        except TrainingError:
            assert rate == "1e300"
        found[name] = read_log(os.path.join(run.folder, "log.csv"))
    return found


def start_python(*arguments):
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=environment(PYTHONPATH=os.pathsep.join(sys.path),
                                                OMP_NUM_THREADS="2"),
        # A shell lets what runs in its background ignore Ctrl-C.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL))


def wait_for(condition, process):
    end = time.time() + 300
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.time() < end, "nothing happened"
        time.sleep(0.05)


def read_table(study):
    try:
        with open(os.path.join(study, "table.csv"), newline="") as file:
            return list(csv.DictReader(file))
    except OSError:
        return []


class Cluster:
    """A scheduler and two workers, processes of their own."""

    def __init__(self, folder):
        path = folder / "scheduler.json"
        self.scheduler = start_python("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1",
                                      "--port", 0, "--dashboard-address", "127.0.0.1:0",
                                      "--scheduler-file", path)
        wait_for(path.exists, self.scheduler)
        self.address = json.loads(path.read_text())["address"]
        path.unlink()
        self.workers = [
            start_python("-m", "distributed.cli.dask_worker", self.address, "--no-nanny",
                         "--nthreads", 1, "--dashboard-address", "127.0.0.1:0",
                         "--local-directory", folder)
            for _ in range(2)]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for process in [self.scheduler, *self.workers]:
            process.kill()
            process.communicate()


def test_a_worker_is_killed_then_the_scheduler_then_all_is_started_again(small_dataset, tmp_path):
    study = str(tmp_path / "study")
    command = [SWEEP, study, *make_command(small_dataset, RATES[:3], SIZES, "--n-epochs", "3"),
               "--scheduler"]
    with Cluster(tmp_path) as cluster:
        sweep = start_python(*command, cluster.address)
        wait_for(lambda: len(read_table(study)) >= 1, sweep)
        cluster.workers[0].kill()
        wait_for(lambda: len(read_table(study)) >= 3, sweep)
        cluster.scheduler.kill()
        _, errors = sweep.communicate(timeout=300)
        assert sweep.returncode == 1
        assert errors == ("sweep.py: the scheduler has gone, or has forgotten the trials; start "
                          "it, and this command again\n")
    before = {row["trial"]: row for row in read_table(study)}
    assert 3 <= len(before) < 6

    def times():
        """Of the validations: a trial that is trained again has others."""
        return {name: [row["seconds"] for row in read_log(os.path.join(study, name, "log.csv"))]
                for name, row in before.items() if row["stopped"] != "diverged"}

    trained_before = times()
    with Cluster(tmp_path) as cluster:
        sweep = start_python(*command, cluster.address)
        output, errors = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, errors
    assert times() == trained_before

    expected = []
    for name, rows in train_alone(small_dataset, RATES[:3], SIZES, 3, tmp_path).items():
        _, rate, size = re.split("=|_batch-size=", name)
        best = min([row["validation"] for row in rows], default=math.inf)
        test = [str(row["test"]) for row in rows if row["validation"] == best][:1]
        ended = ["3", str(best), *test, "n_epochs", ""] if rate != "1e300" else [
            "0", "", "", "diverged", "the cost is nan at iteration 1; try a smaller learning rate"]
        expected.append([name, rate, size, *ended])
    expected.sort(key=lambda row: float(row[4] or "inf"))
    found = [list(row.values()) for row in read_table(study)]
    assert found == expected
    assert [line.split()[0] for line in output.splitlines()[-6:]] == [row[0] for row in expected]
    with open(os.path.join(study, "table.png"), "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"


def test_halving_picks_the_same_trials_after_a_kill(small_dataset, tmp_path):
    study = str(tmp_path / "study")
    command = [SWEEP, study, *make_command(small_dataset, RATES, SIZES[:1], "--n-epochs", "4",
                                           "--halving", "--workers", "2")]
    sweep = start_python(*command)
    wait_for(lambda: len(read_table(study)) >= 1, sweep)
    sweep.kill()
    sweep.communicate()
    sweep = start_python(*command)
    _, printed = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, printed

    found = train_alone(small_dataset, RATES, SIZES[:1], 4, tmp_path)
    errors = numpy.array([[row["validation"] for row in rows] or 4 * [math.inf]
                          for rows in found.values()])
    # The better 2 of 4 trials go on after an epoch, the better one of these after 2; of equal ones,
    # the first.
    two = numpy.argsort(errors[:, 0], kind="stable")[:2]
    one = two[numpy.argsort(errors[two, :2].min(axis=1), kind="stable")[:1]]
    epochs = numpy.where(numpy.isfinite(errors[:, 0]), 1, 0)
    epochs[two], epochs[one] = 2, 4
    rows = {row["trial"]: row for row in read_table(study)}
    names = [name.partition("_batch-size")[0] for name in found]  # trials are named by what differs
    for name, n, row_errors in zip(names, epochs, errors):
        assert int(rows[name]["epochs"]) == n
        assert rows[name]["validation"] == (str(row_errors[:n].min()) if n else "")
        assert rows[name]["stopped"] == {4: "n_epochs", 0: "diverged"}.get(n, "halving")
    assert [row["epochs"] for row in read_table(study)] == ["4", "2", "1", "0"]


def test_ctrl_c_saves_and_stops(small_dataset, tmp_path):
    study = str(tmp_path / "study")
    sweep = start_python(SWEEP, study, "--script", "logistic_sgd", "--dataset", small_dataset,
                         "--batch-size", "1", "--n-epochs", "100000", "--workers", "1")
    state = os.path.join(study, "trial", "last.safetensors")
    wait_for(lambda: os.path.exists(state), sweep)
    sweep.send_signal(signal.SIGINT)
    _, errors = sweep.communicate(timeout=300)
    assert sweep.returncode == 130
    assert errors == "sweep.py: interrupted; the same command goes on\n"


def test_one_worker_for_each_gpu(small_dataset, tmp_path):
    process = run_script("sweep.py", tmp_path / "study", "--script", "logistic_sgd", "--dataset",
                         small_dataset, "--batch-size", 50, "--n-epochs", 1, "--gpus", 1)
    assert process.returncode == 0, process.stderr
    assert "device=gpu0 is called device=cuda0" in (tmp_path / "study" / "trial.txt").read_text()


# Runs a script with clients that wait for half a second. In a process of its own, since a client
# that could not connect, once collected as garbage, may wait for ever for a lock of distributed's.
IMPATIENT = """
import runpy, sys
import distributed
client = distributed.Client
distributed.Client = lambda address, timeout: client(address, timeout=0.5)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("scheduler, words", [
    ("tcp://127.0.0.1:1", ["cannot be reached", "start it"]),
    ("nonsense://a", ["cannot be reached"])])
def test_no_scheduler(scheduler, words, tmp_path):
    process = run_python("-c", IMPATIENT, os.path.join(REPOSITORY, "scripts", "sweep.py"),
                         tmp_path / "study", "--scheduler", scheduler)
    assert_refused(process, 1, f"--scheduler {scheduler}:", *words)
    assert not (tmp_path / "study").exists()


def test_no_distributed(script, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "lenet.sweep.engine", raising=False)
    assert_refused(script("sweep.py", tmp_path / "study"), 2, "lenet-theano[sweep]")
    assert not (tmp_path / "study").exists()


def test_wrong_use(script, tmp_path):
    study = tmp_path / "study"
    assert_refused(script("sweep.py", study, "--workers", 0), 2, "--workers: 0; expected")
    assert_refused(script("sweep.py", study, "--script", "predict"), 2, "--script", "'predict'")
    assert_refused(script("sweep.py", study, "--pooling", "max", "min"), 2,
                   "argument --pooling: invalid choice: 'min'")
    assert not study.exists()
    study.mkdir()
    (study / "letter.txt").write_text("")
    assert_refused(script("sweep.py", study), 2, "holds letter.txt, but no study")


def test_a_sweep_without_a_result_fails(script, small_dataset, tmp_path):
    process = script("sweep.py", tmp_path / "study", "--script", "logistic_sgd", "--workers", 1,
                     "--dataset", small_dataset, "--learning-rate", "-1", "0")
    assert_refused(process, 1, "no trial could be trained", "learning rate")
    assert "failed: learning rate -1.0" in process.stdout


def test_threads_of_a_trial():
    class Client:
        def run(self, function):
            return {"tcp://a:1": 8, "tcp://a:2": 8, "tcp://b:1": 7}

        def nthreads(self):
            return {"tcp://a:1": 1, "tcp://a:2": 1, "tcp://b:1": 2}

    assert count_threads(Client()) == 3  # of b; a has 4 for each


class Future:
    def __init__(self, status, error=None, row=None):
        self.status, self.error, self.row = status, error, row

    def exception(self):
        return self.error

    def result(self):
        return self.row


def test_what_becomes_of_a_task():
    assert get_row(Future("finished", row={"epochs": 3}), "a") == {"epochs": 3}
    for status in ("cancelled", "lost"):
        with pytest.raises(DataError, match="the scheduler has gone"):
            get_row(Future(status), "a")
    killed = distributed.KilledWorker("a", None, allowed_failures=3)
    row = get_row(Future("error", killed), "a")
    assert (row["stopped"], row["validation"]) == ("failed", None)
    with pytest.raises(DataError, match="a: a worker cannot train it .*No module named 'lenet'"):
        get_row(Future("error", ModuleNotFoundError("No module named 'lenet'")), "a")


@pytest.mark.parametrize("state, status, expected", [
    ("executing", "running", None), ("cancelled", "running", "stop"), (None, "running", "stop"),
    ("executing", "closing", "stop"), ("executing", "paused", None)])
def test_when_a_trial_is_stopped(state, status, expected):
    task = {} if state is None else {"key": types.SimpleNamespace(state=state)}
    worker = types.SimpleNamespace(
        get_current_task=lambda: "key", status=distributed.core.Status[status],
        state=types.SimpleNamespace(tasks=task))
    assert TaskChannel(worker, None).switch() == expected
