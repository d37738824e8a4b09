"""The commands in scripts/: what only a process of its own can show is shown in one, as a user runs
it; the rest runs in this process (see ``script`` in conftest.py)."""

import fcntl
import gzip
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import types

import pytest
from conftest import (
    REPOSITORY,
    assert_refused,
    environment,
    run_python,
    run_script,
)

from lenet import commands, convolutional_mlp

LENET = "convolutional_mlp.py"
SMALL = ("--nkerns", 2, 3, "--batch-size", 50)  # a network that trains on the small dataset


# --- convolutional_mlp.py -------------------------------------------------------------------


def test_the_tutorials_lines(script, small_dataset, tmp_path):
    training = (LENET, *SMALL, "--dataset", small_dataset, "--n-epochs", 2)
    process = run_script(*training, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    number = r"\d+\.\d{6}"
    expected = [
        r"\.\.\. loading data",
        r"\.\.\. building the model",
        r"\.\.\. training",
        r"training @ iter =  0",
        r"epoch 1, minibatch 5/5, validation error %s %%" % number,
        r"     epoch 1, minibatch 5/5, test error of best model %s %%" % number,
        r"epoch 2, minibatch 5/5, validation error %s %%" % number,
        r"(     epoch 2, minibatch 5/5, test error of best model %s %%)?" % number,
        r"Optimization complete\.",
        r"Best validation score of %s %% obtained at iteration (5|10), with test performance %s %%"
        % (number, number),
    ]
    assert re.fullmatch("\n".join(expected).replace(")?\n", "\n)?") + "\n", process.stdout)
    # No progress bar and no warning: standard error has the closing line, and perhaps advice.
    assert re.fullmatch(r"The code for file convolutional_mlp\.py ran for \d+\.\d\dm\n"
                        r"(the last epoch was the best.*\n)?", process.stderr)
    assert os.listdir(tmp_path) == [os.path.basename(small_dataset)]  # nothing is written
    # Two processes agree, and the seed matters.
    assert script(*training).stdout == process.stdout
    assert script(*training, "--seed", 1).stdout != process.stdout


def test_the_progress_bar_on_a_terminal(small_dataset):
    arguments = [*SMALL, "--dataset", small_dataset, "--n-epochs", 3]
    command = [sys.executable, os.path.join(REPOSITORY, "scripts", LENET), *map(str, arguments)]
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("4H", 25, 100, 0, 0))  # rows, columns
    # Drawn after every minibatch, however fast they are.
    process = subprocess.Popen(
        command, env=environment(TQDM_MININTERVAL="0"), stdout=subprocess.PIPE, stderr=end
    )
    os.close(end)
    shown = read_all(terminal)
    lines = process.communicate()[0].decode().splitlines()
    assert process.returncode == 0
    assert re.search(r"/15 \[.*<.*minibatch.*cost \d", shown)  # done/all, time left, rate, cost
    assert lines[-1].startswith("Best validation score")
    assert all(line.startswith((".", "t", "e", "     e", "O", "B")) for line in lines)


def read_all(terminal):
    """Everything that comes from the other end of a terminal until that is closed."""
    shown = b""
    while select.select([terminal], [], [], 300)[0]:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        shown += part
    return shown.decode(errors="replace")


def test_ctrl_c_prints_the_best_result_so_far(small_dataset):
    arguments = [*SMALL, "--dataset", small_dataset, "--n-epochs", 1000000]
    command = [sys.executable, os.path.join(REPOSITORY, "scripts", LENET), *map(str, arguments)]
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if line.startswith("epoch 2,"):
            break
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(r"^Optimization complete\.$\n^Best validation score of ", stdout, re.M)
    assert "Traceback" not in stderr
    assert stderr.splitlines()[-1] == "convolutional_mlp.py: interrupted"


def test_a_reader_that_goes_away(small_dataset):
    command = [sys.executable, os.path.join(REPOSITORY, "scripts", LENET), *map(str, SMALL),
               "--dataset", small_dataset, "--n-epochs", "2"]
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.stdout.close()
    stderr = process.stderr.read()
    assert process.wait() == 1 and "Traceback" not in stderr


def test_a_cost_that_is_not_finite(script, small_dataset):
    process = script(
        LENET, *SMALL, "--dataset", small_dataset, "--n-epochs", 9, "--learning-rate", 1e30
    )
    assert process.returncode == 1
    assert process.stdout.splitlines()[-1] == "Optimization complete."
    last = process.stderr.splitlines()[-1]
    assert re.fullmatch(
        r"convolutional_mlp\.py: the cost is (nan|inf) at iteration \d+; "
        r"try a smaller learning rate", last)


def test_experiment_is_the_hook_of_a_scheduler(monkeypatch):
    called = []

    def evaluate_lenet5(learning_rate=0.1, n_epochs=200, dataset="mnist.pkl.gz"):
        called.append(((learning_rate,), {"dataset": dataset}))
        return "model", "result"

    monkeypatch.setattr(convolutional_mlp, "evaluate_lenet5", evaluate_lenet5)
    state = types.SimpleNamespace(learning_rate=0.05, dataset="some.pkl.gz")
    assert convolutional_mlp.experiment(state, channel=None) == "result"
    assert called == [((0.05,), {"dataset": "some.pkl.gz"})]


def test_help_has_the_defaults_and_an_example(script, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    process = script(LENET, "--help")
    assert process.returncode == 0
    for words in ("(default: 0.1)", "(default: 200)", "(default: 20 50)", "(default: 500)",
                  "(default: 23455)", "example: python scripts/convolutional_mlp.py"):
        assert words in process.stdout
    assert "default: None" not in process.stdout


def test_help_gives_no_default_of_a_switch(script, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    process = script("predict.py", "--help")
    assert "(default: 1)" in process.stdout and "default: True" not in process.stdout


def test_a_network_that_no_memory_holds(script, small_dataset):
    process = script("mlp.py", "--dataset", small_dataset, "--n-hidden", 2 * 10 ** 12)
    assert_refused(process, 1, "mlp.py: more memory is needed than there is", "2000000000000")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_standard_output_without_room():
    script = os.path.join(REPOSITORY, "scripts", "maxpool_demo.py")
    with open("/dev/full", "w") as full:
        process = subprocess.run([sys.executable, script], env=environment(), stdout=full,
                                 stderr=subprocess.PIPE, text=True)
    assert process.returncode == 1
    assert process.stderr == ("maxpool_demo.py: standard output cannot be written "
                              "(No space left on device)\n")


def test_characters_that_standard_output_lacks(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    with pytest.raises(SystemExit) as end:
        commands.run(lambda: print("\xfc 7 \udcff"))
    assert (end.value.code, written.getvalue()) == (0, b"\\xfc 7 \xff\n")


TERMINATED = """
import os, signal, sys
from lenet import commands
from lenet.data.files import write_beside


def main():
    with write_beside(sys.argv[1]) as file:
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()


commands.run(main)
"""


def test_a_command_that_is_terminated_takes_away_what_it_began(tmp_path):
    process = run_python("-c", TERMINATED, tmp_path / "file")
    assert_refused(process, 143, "terminated")
    assert list(tmp_path.iterdir()) == []


def test_a_closed_standard_error(small_dataset):
    script = os.path.join(REPOSITORY, "scripts", LENET)
    process = subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", sys.executable, script,
                              *map(str, SMALL), "--dataset", small_dataset, "--n-epochs", "1"],
                             env=environment(), stdout=subprocess.PIPE, text=True)
    assert process.returncode == 0
    assert "Best validation score" in process.stdout


def test_a_closed_standard_output():
    script = os.path.join(REPOSITORY, "scripts", "maxpool_demo.py")
    process = subprocess.run(["sh", "-c", '"$@" >&-', "sh", sys.executable, script],
                             env=environment(), stderr=subprocess.PIPE)
    assert (process.returncode, process.stderr) == (0, b"")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--learning-rate", "0"], ["learning rate 0"]),
        (["--learning-rate", "-0.1"], ["learning rate -0.1"]),
        (["--learning-rate", "nan"], ["learning rate nan"]),
        (["--learning-rate", "fast"], ["--learning-rate", "fast"]),
        (["--batch-size", "0"], ["batch size 0"]),
        (["--batch-size", "-5"], ["batch size -5"]),
        (["--batch-size", "60000"], ["batch size 60000", "training set"]),
        (["--nkerns", "20", "0"], ["nkerns 20 0"]),
        (["--nkerns", "-1", "50"], ["nkerns -1 50"]),
        (["--nkerns", "20"], ["--nkerns", "2"]),
        (["--nkerns", "20", "50", "80"], ["80"]),
        (["--nkerns", "20", "many"], ["--nkerns", "many"]),
        (["--n-epochs", "0", "--batch-size", "50"], ["epochs 0"]),
        (["--seed", "-1"], ["seed: -1"]),
        (["--sed", "1"], ["--sed"]),
    ],
)
def test_wrong_usage(script, small_dataset, arguments, words):
    process = script(LENET, "--dataset", small_dataset, *arguments)
    assert_refused(process, 2, "convolutional_mlp.py: ", *words)


def test_wrong_usage_as_typed(small_dataset):
    process = run_script(LENET, "--dataset", small_dataset, "--learning-rate", 0)
    assert_refused(process, 2, "convolutional_mlp.py: ", "learning rate 0")


def test_bad_data(script, tmp_path, monkeypatch):
    """What else there is to refuse in a file is told by tests/data/test_data.py."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data.pkl.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"cos\nsystem\n(S'touch hacked'\ntR.")
    process = script(LENET, "--dataset", path)
    assert_refused(process, 1, "convolutional_mlp.py: ", "system")
    assert not (tmp_path / "hacked").exists()


# --- make_mnist_pkl.py ----------------------------------------------------------------------


def test_make_mnist_pkl_without_the_files(script, tmp_path):
    process = script("make_mnist_pkl.py", tmp_path, tmp_path / "out.pkl.gz")
    assert_refused(process, 1, "train-images-idx3-ubyte", "cannot be read")
    assert not list(tmp_path.iterdir())


def test_make_mnist_pkl_without_arguments(script):
    assert_refused(script("make_mnist_pkl.py"), 2, "folder, output")
