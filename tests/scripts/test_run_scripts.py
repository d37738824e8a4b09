"""--output and --resume of the commands that train."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy
import pytest
import safetensors.numpy
from conftest import REPOSITORY, assert_refused, environment, write_dataset

from lenet.networks import parameters
from lenet.predict.predictor import Predictor
from lenet.runs.run import read_log

# A small network of each command, and the name of its option for epochs.
COMMANDS = [
    ("convolutional_mlp.py", "--n-epochs", ["--nkerns", 2, 3, "--batch-size", 50]),
    ("mlp.py", "--n-epochs", ["--n-hidden", 5, "--batch-size", 50]),
    ("logistic_sgd.py", "--n-epochs", ["--batch-size", 50]),
    ("network3.py", "--epochs", ["--mini-batch-size", 50, "--dropout", 0.3]),
    ("convolutional_mlp.py", "--n-epochs",
     ["--nkerns", 2, 3, "--batch-size", 50, "--filter-size", 7, "3x3", "--poolsize", 2,
      "--n-hidden", 9, "--activation", "relu", "--pooling", "stochastic", "--dropout", 0.3,
      "--L2-reg", 0.001, "--momentum", 0.9, "--learning-rate", 0.01, "--learning-rate-decay", 0.5]),
    ("convolutional_mlp.py", "--n-epochs",
     ["--nkerns", 2, 3, "--batch-size", 50, "--filter-size", 3, "--pooling", "deformation"]),
    ("mlp.py", "--n-epochs",
     ["--n-hidden", 5, "--batch-size", 50, "--activation", "softplus", "--dropout", 0.3,
      "--momentum", 0.9, "--learning-rate-decay", 0.5, "--shuffle", "--keep-last",
      "--class-weights", "balanced"]),
]
# What is written of each network beside its sizes; of network3, the test of loading it tells.
WRITTEN = [{}, {}, {}, None, {"activation": "relu", "pooling": "stochastic"},
           {"pooling": "deformation"}, {"activation": "softplus"}]


def read_run(folder):
    """All that a run keeps, but for the times: parameters, best parameters, log."""
    arrays = [safetensors.numpy.load_file(str(folder / name))
              for name in ("last.safetensors", "model.safetensors")]
    rows = [dict(row, seconds=None) for row in read_log(str(folder / "log.csv"))]
    return [{name: a.tobytes() for name, a in file.items()} for file in arrays], rows


def assert_written(run, expected, small_sets):
    """The network has these options, and is read back as the one that was trained."""
    network = json.loads(parameters.read(str(run / "model.safetensors"))[1]["network"])
    usual = {"kind", "nkerns", "n_hidden", "filter_size", "poolsize", "connections", "pooling",
             "head", "loss"}
    found = network["architecture"]
    assert {name: found[name] for name in expected} == expected and set(found) - usual <= \
        set(expected)
    x, y = small_sets[2]
    probabilities = Predictor(str(run)).probabilities(x)
    test = [row["test"] for row in read_log(str(run / "log.csv")) if row["test"] is not None][-1]
    assert numpy.mean(probabilities.argmax(axis=1) != y) == pytest.approx(test, abs=1 / len(y))
    # Evaluated is the mean of dropout and stochastic pooling: the same each time.
    assert (Predictor(str(run)).probabilities(x) == probabilities).all()


@pytest.mark.parametrize("name, epochs, options, written",
                         [(*command, written) for command, written in zip(COMMANDS, WRITTEN)])
def test_a_run_that_goes_on_is_one_run(name, epochs, options, written, script, small_dataset,
                                       small_sets, tmp_path):
    options = ["--dataset", small_dataset] + options
    for folder, n in (("whole", 3), ("run", 2)):
        process = script(name, *options, epochs, n, "--output", tmp_path / folder)
        assert process.returncode == 0, process.stderr
    process = script(name, "--resume", tmp_path / "run", epochs, 3)
    assert process.returncode == 0, process.stderr
    assert read_run(tmp_path / "run") == read_run(tmp_path / "whole")
    if written is not None:
        assert_written(tmp_path / "run", written, small_sets)


@pytest.mark.parametrize("options, written", [
    (["--filter-size", 7, 3], {"filter_size": [[7, 7], [3, 3]]}),
    (["--filter-size", "3x5", "--poolsize", 2, 1],
     {"filter_size": [3, 5], "poolsize": [[2, 2], [1, 1]]}),
])
def test_sizes_of_filters_and_windows(options, written, script, small_dataset, small_sets,
                                      tmp_path):
    name, epochs, others = COMMANDS[0]
    process = script(name, "--dataset", small_dataset, epochs, 1, *others, *options, "--output",
                     tmp_path / "run")
    assert process.returncode == 0, process.stderr
    assert_written(tmp_path / "run", written, small_sets)


def test_a_run_goes_on_with_the_options_that_were_given_last(script, small_dataset, tmp_path):
    name, epochs, options = COMMANDS[2]
    run = tmp_path / "run"
    script(name, "--dataset", small_dataset, *options, epochs, 1, "--output", run)
    script(name, "--resume", run, epochs, 3, "--chunk-mb", 0.7)
    settings = json.loads(parameters.read(str(run / "last.safetensors"))[1]["state"])["settings"]
    assert (settings["n_epochs"], settings["chunk_mb"], settings["command"]) == (3, 0.7, name)
    assert script(name, "--resume", run).returncode == 0  # with nothing left to do
    assert_refused(script(name, "--resume", run, epochs, 2), 2, "--n-epochs 2", "for 3 epochs")


def test_a_run_goes_on_with_images_of_its_shape_and_its_classes_only(
        script, small_dataset, small_sets, tmp_path):
    name, epochs, options = COMMANDS[2]
    run = tmp_path / "run"
    script(name, "--dataset", small_dataset, *options, epochs, 1, "--output", run)
    bows = write_dataset(tmp_path / "bows.pkl.gz", [(x[:, :400], y) for x, y in small_sets])
    assert_refused(script(name, "--resume", run, epochs, 2, "--dataset", bows), 1,
                   "(1, 20, 20)", "(1, 28, 28)", "--dataset")


def test_a_run_in_chunks_is_the_run_in_one_piece(script, small_dataset, tmp_path):
    name, epochs, options = COMMANDS[3]
    options = ["--dataset", small_dataset, epochs, 2] + options
    # 250 + 130 + 120 images of 784 floats take 1.6 MB; a chunk has two minibatches of 50.
    script(name, *options, "--output", tmp_path / "chunks", "--chunk-mb", 0.7)
    script(name, *options, "--output", tmp_path / "whole")
    assert read_run(tmp_path / "chunks") == read_run(tmp_path / "whole")
    assert script(name, "--resume", tmp_path / "whole", epochs, 3, "--chunk-mb", 0.7
                  ).returncode == 0


def test_the_paper_of_1998_can_be_kept_but_not_made_longer(script, small_dataset, small_sets,
                                                           tmp_path):
    run = tmp_path / "run"
    process = script("lenet5_1998.py", "--dataset", small_dataset, "--batch-size", 50,
                     "--n-epochs", 1, "--filter-size", 7, 3, "--output", run)
    assert process.returncode == 0, process.stderr
    assert_written(run, {"filter_size": [[7, 7], [3, 3]]}, small_sets)
    # Its learning rate falls with the number of epochs: two of them are not one and one more.
    assert_refused(script("lenet5_1998.py", "--resume", run, "--n-epochs", 2), 2,
                   "--n-epochs 2", "begun with 1")
    assert script("lenet5_1998.py", "--resume", run).returncode == 0
    # From before a switch became a command.
    path = str(run / "last.safetensors")
    arrays, metadata = parameters.read(path)
    state = json.loads(metadata["state"])
    state["settings"]["compare"] = False
    parameters.write(path, arrays, dict(metadata, state=json.dumps(state)))
    assert script("lenet5_1998.py", "--resume", run).returncode == 0


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_go_on(number, status, small_dataset, tmp_path):
    name, epochs, options = COMMANDS[2]
    run = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, os.path.join(REPOSITORY, "scripts", name), *map(str, options), epochs,
         "1000000", "--learning-rate", "0.001", "--dataset", small_dataset, "--output", str(run)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("epoch 3,"):
            break
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == status
    assert stderr.splitlines()[-1] == "%s: interrupted; go on with --resume %s" % (name, run)
    assert "Traceback" not in stderr
    # The best result that was printed at the end is in the log.
    best = float(re.search(r"Best validation score of (\S+) %", stdout).group(1))
    rows = read_log(str(run / "log.csv"))
    assert len(rows) >= 3
    assert min(row["validation"] for row in rows) == pytest.approx(best / 100, abs=1e-8)


def test_wrong_use(script, small_dataset, tmp_path):
    name, epochs, options = COMMANDS[2]
    options = ["--dataset", small_dataset, epochs, 1] + options
    run = tmp_path / "run"
    # An option that cannot work leaves nothing that would be in the way of the next try.
    assert_refused(script(name, *options, "--learning-rate", -1, "--output", run), 2, "rate -1")
    assert script(name, *options, "--output", run).returncode == 0
    before = read_run(run)
    assert_refused(script(name, *options, "--output", run), 2, "holds a run already", "--resume")
    assert_refused(script(name, *options, "--output", tmp_path), 2, "expected a new or an empty")
    assert_refused(script(name, "--resume", tmp_path), 1, "holds no run")
    assert_refused(script(name, "--resume", run, "--learning-rate", 1), 2,
                   "--learning-rate 1.0", "begun with 0.13")
    assert_refused(script(name, "--resume", run, "--output", run), 2, "not allowed with")
    assert_refused(script("mlp.py", "--resume", run), 2, "a run of logistic_sgd.py")
    assert read_run(run) == before


def test_a_run_of_another_dataset(script, small_dataset, tmp_path):
    name, epochs, options = COMMANDS[2]
    run = tmp_path / "run"
    script(name, "--dataset", small_dataset, epochs, 1, *options, "--output", run)
    process = script(name, "--resume", run, "--dataset", "mnist.pkl.gz")
    assert_refused(process, 1, "250, 130, 120", "50000, 10000, 10000")


def test_a_run_whose_file_is_damaged(script, tmp_path):
    """What else can be the matter with the file is told by tests/networks/test_parameters.py."""
    (tmp_path / "last.safetensors").write_bytes(b"hello, world")
    assert_refused(script(COMMANDS[2][0], "--resume", tmp_path), 1, "no intact file")


def test_a_run_with_an_option_that_the_command_lacks(script, small_dataset, tmp_path):
    command, epochs, options = COMMANDS[2]
    run = tmp_path / "run"
    script(command, "--dataset", small_dataset, epochs, 1, *options, "--output", run)
    path = str(run / "last.safetensors")
    arrays, metadata = parameters.read(path)
    state = json.loads(metadata["state"])
    state["settings"]["depth"] = 3
    parameters.write(path, arrays, dict(metadata, state=json.dumps(state)))
    assert_refused(script(command, "--resume", run), 1, "option depth", "another run")


def test_a_run_of_earlier_dropout_is_refused(script, small_dataset, tmp_path):
    run = tmp_path / "run"
    options = ["mlp.py", "--dataset", small_dataset, "--n-epochs", 1, "--batch-size", 50,
               "--n-hidden", 4, "--dropout", 0.5]
    script(*options, "--output", run)
    path = str(run / "last.safetensors")
    arrays, metadata = parameters.read(path)
    network = json.loads(metadata["network"])
    network["architecture"]["dropout"] = 0.5
    parameters.write(path, arrays, dict(metadata, network=json.dumps(network)))
    assert_refused(script("mlp.py", "--resume", run), 1, "run", "dropout was another", "--output")
