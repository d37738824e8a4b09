"""The options of LeNet-5 and the MLP beyond the tutorial's, as a user types them."""

import json

import numpy
import pytest
import theano.tensor as T
from conftest import assert_refused, write_dataset

from lenet import networks
from lenet.networks import parameters
from lenet.predict.predictor import Predictor
from lenet.runs.log import read_log

LENET = ("convolutional_mlp.py", "--nkerns", 2, 3, "--n-hidden", 5, "--batch-size", 50)
MLP = ("mlp.py", "--n-hidden", 5, "--batch-size", 50)
PAPER = ("lenet5_1998.py", "--batch-size", 50)


@pytest.mark.parametrize("command, options, words", [
    (LENET, ["--filter-size", 30], ["30, 30", "too small"]),
    (LENET, ["--filter-size", 7, 12], ["12, 12", "too small"]),
    (LENET, ["--poolsize", 9], ["9, 9", "too small"]),
    (LENET, ["--poolsize", 0], ["--poolsize: 0; expected a positive number such as 5"]),
    (LENET, ["--filter-size", "5x5x5"], ["--filter-size: 5x5x5; expected"]),
    (LENET, ["--filter-size", "-3"], ["--filter-size"]),
    (LENET, ["--filter-size", 7, 5, 3], ["3 sizes; expected one for both layers"]),
    (LENET, ["--pooling", "min"], ["--pooling", "min", "overlapping"]),
    (LENET, ["--pooling", "stochastic"], ["pooling stochastic", "instead of tanh"]),
    (LENET, ["--activation", "step"], ["--activation", "step", "softplus"]),
    (LENET, ["--L2-reg", -1], ["L2_reg -1"]),
    (LENET, ["--n-hidden", 0], ["n_hidden 0"]),
    (LENET, ["--momentum", 1], ["momentum 1.0; expected at least 0 and less than 1"]),
    (LENET, ["--learning-rate-decay", 0], ["learning rate decay 0.0"]),
    (MLP, ["--dropout", 1], ["dropout 1.0; expected at least 0 and less than 1"]),
    (MLP, ["--dropout", -0.5], ["dropout -0.5"]),
    (MLP, ["--momentum", "nan"], ["momentum nan"]),
    (PAPER, ["--filter-size", 30], ["filter_size [30, 30]", "32 x 32"]),
])
def test_wrong_use(command, options, words, script, small_dataset):
    assert_refused(script(*command, *options, "--dataset", small_dataset), 2, *words)


def test_small_images_take_small_filters(script, small_sets, tmp_path):
    small = write_dataset(tmp_path / "small.pkl.gz", [(x[:, :100], y) for x, y in small_sets])
    options = [*LENET, "--dataset", small, "--n-epochs", 1]
    assert_refused(script(*options), 1, "10 x 10", "at least 16 x 16")
    assert script(*options, "--filter-size", 3).returncode == 0  # (10 - 2) / 2 = 4, (4 - 2) / 2 = 1


def remove_settings(run, *names):
    """Take options out of the settings of a run, as if it had been begun before they existed."""
    path = str(run / "last.safetensors")
    arrays, metadata = parameters.read(path)
    state = json.loads(metadata["state"])
    for name in names:
        del state["settings"][name]
    parameters.write(path, arrays, dict(metadata, state=json.dumps(state)))


def test_a_run_from_before_an_option_goes_on_without_it(script, small_dataset, tmp_path):
    run = tmp_path / "run"
    script(*MLP, "--n-epochs", 1, "--dataset", small_dataset, "--output", run)
    remove_settings(run, "activation", "dropout", "momentum", "learning_rate_decay")
    resume = (MLP[0], "--resume", run, "--n-epochs", 2)
    assert_refused(script(*resume, "--momentum", 0.9), 2, "--momentum 0.9", "begun with 0.0")
    assert script(*resume).returncode == 0
    assert networks.load_model(str(run)).model.hiddenLayer.activation is T.tanh


def test_a_run_from_before_an_option_takes_its_default(script, small_dataset, tmp_path):
    run = tmp_path / "run"
    script(*LENET, "--n-epochs", 1, "--dataset", small_dataset, "--output", run)
    remove_settings(run, "filter_size", "poolsize")
    resume = (LENET[0], "--resume", run, "--n-epochs", 2)
    assert_refused(script(*resume, "--poolsize", 3), 2, "--poolsize [3, 3]", "begun with [2, 2]")
    assert script(*resume, "--filter-size", 5, "--poolsize", 2).returncode == 0


def test_a_run_keeps_its_options(script, small_dataset, tmp_path):
    run = tmp_path / "run"
    process = script(*LENET, "--filter-size", 7, 3, "--momentum", 0.5, "--n-epochs", 1, "--dataset",
                     small_dataset, "--output", run)
    assert process.returncode == 0, process.stderr
    arrays, _ = parameters.read(str(run / "last.safetensors"))
    assert {f"velocity{number}" for number in range(8)} < set(arrays)
    resume = (LENET[0], "--resume", run, "--n-epochs", 2)
    assert_refused(script(*resume, "--filter-size", 5), 2, "--filter-size [5, 5]")
    assert script(*resume, "--filter-size", "7x7", 3, "--momentum", 0.5).returncode == 0


NETWORK3 = ("network3.py", "--mini-batch-size", 10)


@pytest.mark.parametrize("command, numbers", [
    pytest.param(MLP, None, id="MLP, bytes"),
    pytest.param(LENET, lambda x: 2 * x - 1, id="LeNet-5, other numbers"),
    pytest.param(NETWORK3, None, id="network3, bytes"),
    pytest.param(NETWORK3, lambda x: 2 * x - 1, id="network3, other numbers"),
])
def test_standardized_training_sets(command, numbers, script, small_sets, tmp_path):
    change = numbers or (lambda x: x)
    dataset = write_dataset(tmp_path / "set.pkl.gz", [(change(x), y) for x, y in small_sets])
    run, epochs = tmp_path / "run", "--epochs" if "network3" in command[0] else "--n-epochs"
    options = [*command, "--dataset", dataset, "--standardize", epochs]
    process = script(*options, 2, "--output", run)
    assert process.returncode == 0, process.stderr
    predictor = Predictor(str(run))
    x, y = small_sets[0]
    assert predictor.pixels.mean == pytest.approx(x.mean(), rel=1e-4)
    assert predictor.pixels.deviation == pytest.approx(x.std(), rel=1e-4)
    # Of the bytes of pictures, whatever the set made of them, the error is that of the training.
    x, y = small_sets[2]
    probabilities = predictor.probabilities(numpy.rint(256 * x).astype("uint8"))
    test = [row["test"] for row in read_log(str(run / "log.csv")) if row["test"] is not None][-1]
    assert numpy.mean(probabilities.argmax(axis=1) != y) == pytest.approx(test, abs=1 / len(y))
    # Whatever reads the data set for the network gives it the same numbers.
    n_wrong = round(test * len(y))
    found = script("evaluate.py", run, "--dataset", dataset).stdout
    assert f"{n_wrong} of {len(y)} images" in found
    found = script("plot_errors.py", run, "--dataset", dataset, "--output", tmp_path / "e.png")
    assert f"{n_wrong} of {len(y)} test images are misclassified" in found.stdout
    script("look.py", run, "--dataset", dataset, "--output", tmp_path / "look")
    assert f": {n_wrong} of {len(y)} images" in (tmp_path / "look" / "index.html").read_text()
    # It goes on as it began.
    assert script(command[0], "--resume", run, epochs, 3).returncode == 0
    assert Predictor(str(run)).pixels == predictor.pixels


def test_runs_with_other_numbers_are_compared(script, small_dataset, tmp_path):
    runs = [tmp_path / "plain", tmp_path / "standardized"]
    for run, options in zip(runs, ([], ["--standardize"])):
        script(*MLP, *options, "--n-epochs", 2, "--dataset", small_dataset, "--output", run)
    process = script("compare.py", *runs, "--output", tmp_path / "comparison")
    assert process.returncode == 0, process.stderr
    for run in runs:
        test = [row["test"] for row in read_log(str(run / "log.csv")) if row["test"] is not None]
        line = next(line for line in process.stdout.splitlines()
                    if line.startswith(run.name + " "))
        assert f"{100 * test[-1]:.2f} %" in line


def test_a_saved_network3_is_evaluated_in_its_numbers(script, small_dataset, tmp_path):
    run = tmp_path / "run"
    options = ["network3.py", "--mini-batch-size", 10, "--dataset", small_dataset]
    script(*options, "--standardize", "--epochs", 1, "--output", run)
    test = [row["test"] for row in read_log(str(run / "log.csv")) if row["test"] is not None][-1]
    printed = script(*options, "--load", run).stdout
    assert f"The corresponding test accuracy is {100 * (1 - test):.2f}%" in printed
