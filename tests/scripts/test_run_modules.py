"""The modules of the syllabus, run as the tutorial's people run them: by name in the package's
folder, by path, and by ``-m``. They train with the defaults."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import REPOSITORY, environment

LENET = os.path.join(REPOSITORY, "lenet")


FIRST = ["... loading data\n", "... building the model\n", "... training\n"]


def start_training(*arguments, cwd=REPOSITORY, n_lines=3):
    """The first lines that are printed; then the process is killed."""
    lines = []
    with subprocess.Popen([sys.executable, "-u", *arguments], cwd=cwd, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True,
                          env=environment(PYTHONPATH=None)) as process:
        for line in process.stdout:
            lines.append(line)
            if len(lines) == n_lines:
                process.kill()
                return lines
        raise AssertionError(process.stderr.read()[-2000:])


# In the package's folder, its modules could be taken for others until the training begins.
@pytest.mark.parametrize("cwd, arguments, n_lines", [
    (REPOSITORY, ["lenet/convolutional_mlp.py"], 1),
    (LENET, ["convolutional_mlp.py"], 3),
    (LENET, ["-m", "convolutional_mlp"], 3),
    ("/", [os.path.join(LENET, "convolutional_mlp.py")], 1),
    (REPOSITORY, ["-m", "lenet.convolutional_mlp"], 1),
])
def test_lenet5(cwd, arguments, n_lines):
    assert start_training(*arguments, cwd=cwd, n_lines=n_lines) == FIRST[:n_lines]


def test_ctrl_c_ends_it_in_one_line():
    with subprocess.Popen([sys.executable, "-u", "lenet/logistic_sgd.py"], cwd=REPOSITORY,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=environment(PYTHONPATH=None)) as process:
        for line in process.stdout:
            if line.startswith("epoch 1"):
                process.send_signal(signal.SIGINT)
                break
        process.stdout.read()
        assert process.stderr.read().splitlines()[-1] == "lenet: interrupted"
    assert process.returncode == 130


@pytest.mark.parametrize("name", ["logistic_sgd", "mlp", "lenet5_1998"])
def test_the_other_modules(name):
    assert start_training(os.path.join(LENET, name + ".py")) == FIRST
