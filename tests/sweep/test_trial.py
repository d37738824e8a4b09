"""lenet.sweep.trial: a training in a process of its own, and what becomes of it."""

import os
import subprocess
import sys
import textwrap
import time
import types

import pytest
from conftest import environment, is_running

from lenet.logistic_sgd import sgd_optimization_mnist
from lenet.runs.log import read_log
from lenet.runs.run import Run
from lenet.sweep import trial


class Channel:
    """Asks to stop from the n-th call of ``switch`` on, or once something was saved."""

    def __init__(self, calls=None, once_saved=False):
        self.calls, self.once_saved, self.saved, self.asked = calls, once_saved, 0, 0

    def save(self):
        self.saved += 1

    def switch(self):
        self.asked += 1
        if self.calls == self.asked or self.once_saved and self.saved:
            return "stop"


def make_state(folder, dataset="none", n_epochs=3, rate="0.5"):
    return types.SimpleNamespace(
        script="logistic_sgd", folder=str(folder / "trial"), cwd=str(folder), threads=1,
        device=None, epochs_name="n_epochs", n_epochs=n_epochs,
        arguments=["--dataset", dataset, "--batch-size", "50", "--learning-rate", rate])


@pytest.fixture
def pretend(tmp_path, monkeypatch):
    """Sets what is run instead of the script."""
    def set_script(text):
        path = tmp_path / "logistic_sgd.py"
        path.write_text("import os, signal, sys, time\n" + textwrap.dedent(text))
        monkeypatch.setattr(trial, "find_script", lambda name: str(path))
    return set_script


def wait_for(condition):
    end = time.time() + 300
    while not condition():
        assert time.time() < end, "nothing happened"
        time.sleep(0.05)


def test_a_stopped_trial_goes_on_and_a_finished_one_is_not_trained_again(
        small_dataset, tmp_path, monkeypatch):
    n_epochs = 300
    run = Run.create(str(tmp_path / "alone"), {})
    _, expected = sgd_optimization_mnist(0.5, n_epochs, small_dataset, 50, observers=[run])
    state = make_state(tmp_path, small_dataset, n_epochs)
    channel = Channel(once_saved=True)
    assert trial.experiment(state, channel) is None
    assert channel.saved >= 1 and 1 <= state.epochs_done <= n_epochs
    row = trial.experiment(state, Channel())
    assert row == {
        "epochs": expected.iteration // 5 + 1, "validation": expected.best_validation_error,
        "test": expected.test_error, "stopped": expected.stopped, "reason": None}
    logs = [read_log(str(tmp_path / name / "log.csv")) for name in ("alone", "trial")]
    assert [r["validation"] for r in logs[0]] == [r["validation"] for r in logs[1]]
    # Also what it had reached after fewer epochs is known.
    monkeypatch.setattr(trial, "train", None)
    assert trial.experiment(state, Channel()) == row
    state.n_epochs = 2
    early = trial.experiment(state, Channel())
    assert (early["epochs"], early["stopped"]) == (2, "n_epochs")
    assert early["validation"] == min(r["validation"] for r in logs[0][:2])


def test_what_a_script_says_ends_the_trial(small_dataset, tmp_path):
    row = trial.experiment(make_state(tmp_path, small_dataset, rate="0"), Channel())
    assert (row["stopped"], row["validation"]) == ("failed", None)
    assert row["reason"].startswith("learning rate 0.0; expected")


def test_what_diverges(pretend, tmp_path):
    pretend("sys.exit('logistic_sgd.py: the cost is inf at iteration 7; "
            "try a smaller learning rate')")
    row = trial.experiment(make_state(tmp_path), Channel())
    assert row == {"epochs": 0, "validation": None, "test": None, "stopped": "diverged",
                   "reason": "the cost is inf at iteration 7; try a smaller learning rate"}


@pytest.mark.parametrize("deed, reason", [
    ("os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9"),
    ("sys.stderr.write('interrupted\\n'); sys.exit(130)", "interrupted")])
def test_a_trial_that_dies_three_times_has_failed(deed, reason, pretend, tmp_path):
    pretend("print('begun', flush=True)\n" + deed)
    row = trial.experiment(make_state(tmp_path), Channel())
    assert (row["stopped"], row["reason"]) == ("failed", reason)
    assert (tmp_path / "trial.txt").read_text().count("begun") == 3


def test_a_trial_that_dies_twice_has_not_failed(pretend, tmp_path, monkeypatch):
    pretend("print('begun', flush=True)\n"
            "if open('trial.txt').read().count('begun') < 3: os.kill(os.getpid(), signal.SIGKILL)\n"
            "open('done', 'w')")
    monkeypatch.setattr(trial, "read_result", lambda state: {"epochs": 3} if os.path.exists(
        str(tmp_path / "done")) else None)
    assert trial.experiment(make_state(tmp_path), Channel()) == {"epochs": 3}


def test_a_run_that_was_killed_before_its_first_state_is_begun_again(pretend, tmp_path):
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "log.csv").write_text("iteration,")
    pretend("print(sys.argv[-2], os.listdir('.')); sys.exit(1)")
    row = trial.experiment(make_state(tmp_path), Channel())
    assert row["reason"].startswith("--output ['")
    assert "'trial'" not in row["reason"]


def test_threads_and_device(pretend, tmp_path, monkeypatch):
    pretend("print(os.environ['OMP_NUM_THREADS'], os.environ.get('THEANO_FLAGS')); sys.exit(1)")
    state = make_state(tmp_path)
    monkeypatch.delenv("THEANO_FLAGS", raising=False)
    assert trial.experiment(state, Channel())["reason"] == "1 None"
    state.threads, state.device = 3, "gpu1"
    assert trial.experiment(state, Channel())["reason"] == "3 device=gpu1"
    monkeypatch.setenv("THEANO_FLAGS", "floatX=float64,device=cpu")
    assert trial.experiment(state, Channel())["reason"] == "3 floatX=float64,device=cpu,device=gpu1"


WORKER = """
import sys, types
sys.path.insert(0, sys.argv[1])
from test_trial import Channel, make_state
from lenet.sweep import trial
import pathlib
trial.find_script = lambda name: sys.argv[2] + "/logistic_sgd.py"
trial.experiment(make_state(pathlib.Path(sys.argv[2])), Channel())
"""


def kill_worker(tmp_path):
    """Kill a worker whose training has written its number to a file; return that number."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, os.path.dirname(__file__), str(tmp_path)],
        env=environment(PYTHONPATH=os.pathsep.join(sys.path)))
    wait_for((tmp_path / "pid").exists)
    worker.kill()
    worker.wait()
    return int((tmp_path / "pid").read_text())


WRITE_PID = "open('new', 'w').write(str(os.getpid())); os.rename('new', 'pid')\n"


def test_a_training_ends_with_its_worker(pretend, tmp_path):
    pretend(WRITE_PID + "time.sleep(1000)")
    pid = kill_worker(tmp_path)
    wait_for(lambda: not is_running(pid))


def test_an_orphan_is_waited_for(pretend, tmp_path):
    pretend("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WRITE_PID
            + "while not os.path.exists('go'): time.sleep(0.05)")
    orphan = kill_worker(tmp_path)
    assert trial.experiment(make_state(tmp_path), Channel(calls=2)) is None  # the lock is not free
    pretend("sys.exit('next')")

    class ReleasingChannel(Channel):
        def switch(self):
            assert is_running(orphan) or self.asked
            (tmp_path / "go").write_text("")
            return super().switch()

    channel = ReleasingChannel()
    assert trial.experiment(make_state(tmp_path), channel)["reason"] == "next"
    assert channel.asked and not is_running(orphan)


def test_a_trial_is_no_rank_of_the_worker(pretend, tmp_path, monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    pretend("print([n for n in os.environ if n.startswith(('PMI', 'OMPI'))]); sys.exit(1)")
    assert trial.experiment(make_state(tmp_path), Channel())["reason"] == "[]"
