"""The modules of the syllabus, run as the tutorial's people run them: by name in the package's
folder, by path, and by ``-m``. They train with the defaults."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import REPOSITORY, environment

LENET = os.path.join(REPOSITORY, "lenet")


def start_training(*arguments, cwd=REPOSITORY):
    """The first lines that are printed, up to "... training"; then the process is killed."""
    lines = []
    with subprocess.Popen([sys.executable, "-u", *arguments], cwd=cwd, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True,
                          env=environment(PYTHONPATH=None)) as process:
        for line in process.stdout:
            lines.append(line)
            if line.startswith("... training"):
                process.kill()
                return lines
        raise AssertionError(process.stderr.read()[-2000:])


FIRST = ["... loading data\n", "... building the model\n", "... training\n"]


@pytest.mark.parametrize("cwd, arguments", [
    (REPOSITORY, ["lenet/convolutional_mlp.py"]),
    (LENET, ["convolutional_mlp.py"]),
    (LENET, ["-m", "convolutional_mlp"]),
    ("/", [os.path.join(LENET, "convolutional_mlp.py")]),
    (REPOSITORY, ["-m", "lenet.convolutional_mlp"]),
])
def test_lenet5(cwd, arguments):
    assert start_training(*arguments, cwd=cwd) == FIRST


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
    assert start_training(os.path.join(LENET, name + ".py"))[-1] == FIRST[-1]
