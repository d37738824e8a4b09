"""--own-images, --shuffle, --keep-last and --class-weights: trainings on images of one's own."""

import json

import numpy
import pytest
import theano
from conftest import assert_refused, write_dataset

from lenet import mlp
from lenet.commands.recipe import choose_settings
from lenet.commands.training import make_advice
from lenet.networks import parameters
from lenet.sweep.study import load_parser

LENET = ("convolutional_mlp.py", "--nkerns", 2, 3, "--n-hidden", 5)


def read_settings(run):
    return json.loads(parameters.read(str(run / "last.safetensors"))[1]["state"])["settings"]


@pytest.mark.parametrize("n_training, n_epochs, batch_size", [
    (12, 100, 12), (90, 100, 20), (180, 89, 20), (540, 30, 20), (1000, 16, 20), (90000, 15, 20)])
def test_small_sets_are_seen_more_often(n_training, n_epochs, batch_size):
    chosen = choose_settings(n_training, n_training // 9)
    assert (chosen["n_epochs"], chosen["batch_size"]) == (n_epochs, batch_size)
    assert chosen["keep_last"] == (n_training < 1800)
    # To a fifth of it, over all epochs; three digits are typed.
    assert chosen["learning_rate_decay"] ** n_epochs == pytest.approx(0.2, rel=0.06)


def test_a_set_with_fewer_images_than_the_tutorials_minibatch(script, small_sets, tmp_path):
    dataset = write_dataset(tmp_path / "few.pkl.gz", [
        (x[:n], y[:n]) for (x, y), n in zip(small_sets, (95, 19, 19))])
    run = tmp_path / "run"
    assert_refused(script(*LENET, "--dataset", dataset), 2, "batch size 500", "95 examples",
                   "--own-images")
    refused = script("logistic_sgd.py", "--dataset", dataset)  # which does not have the option
    assert_refused(refused, 2, "batch size 600", "95 examples")
    assert "--own-images" not in refused.stderr
    process = script(*LENET, "--dataset", dataset, "--own-images", "--n-epochs", 3, "--output", run)
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[0] == (
        "... as with --batch-size 20 --learning-rate 0.02 --learning-rate-decay 0.585 --momentum "
        "0.9 --n-epochs 3 --shuffle --standardize --keep-last")
    settings = read_settings(run)
    assert (settings["momentum"], settings["own_images"], settings["n_epochs"]) == (0.9, True, 3)


def test_what_is_typed_stays(script, small_dataset, tmp_path):
    run = tmp_path / "run"
    script(*LENET, "--dataset", small_dataset, "--own-images", "--learning-rate", 0.1,
           "--batch-size", 500, "--batch-size", 50, "--n-epochs", 1, "--output", run)
    settings = read_settings(run)
    assert [settings[name] for name in ("learning_rate", "learning_rate_decay", "momentum",
                                        "batch_size", "n_epochs")] == [0.1, 1.0, 0.0, 50, 1]
    assert settings["shuffle"] and settings["standardize"] and settings["keep_last"]


def test_the_typed_commands_are_the_chosen_ones(script, small_dataset, tmp_path):
    process = script(*LENET, "--dataset", small_dataset, "--own-images", "--n-epochs", 2)
    typed = process.stdout.splitlines()[0].split()[3:]
    again = script(*LENET, "--dataset", small_dataset, *typed)
    assert again.stdout.splitlines() == process.stdout.splitlines()[1:]


def test_advice_after_a_training_on_another_set_than_mnist(script, small_dataset, tmp_path):
    options = [*LENET, "--dataset", small_dataset, "--batch-size", 50, "--n-epochs", 1]
    said = script(*options, "--learning-rate", 1e-9).stderr.splitlines()[-1]
    assert "nothing has been learned" in said and "another --learning-rate" in said
    said = script(*options, "--nkerns", 5, 10, "--batch-size", 10, "--momentum", 0.9,
                  "--n-epochs", 2, "--output", tmp_path / "run").stderr
    assert "the last epoch was the best" in said
    assert f"--resume {tmp_path / 'run'} --n-epochs 4" in said


@pytest.mark.parametrize("name, more_epochs, other_settings", [
    ("mlp", "--resume RUN goes on", "--learning-rate, or more epochs, or --own-images"),
    ("network3", "--epochs 120, and --output RUN", "try another --eta, or more epochs"),
    ("lenet5_1998", "--n-epochs 40", "try another --learning-rate, or more epochs"),
])
def test_advice_names_what_the_command_has(name, more_epochs, other_settings):
    parser = load_parser(name)
    advice = make_advice(parser, vars(parser.parse_args([])), None)
    assert more_epochs in advice.more_epochs and other_settings in advice.other_settings
    if name == "lenet5_1998":  # of which a run cannot be made longer
        assert "--resume" not in advice.more_epochs
    if name != "mlp":
        assert "--own-images" not in advice.other_settings


def test_a_shuffled_run_in_chunks_is_the_run_in_one_piece(script, small_dataset, tmp_path):
    options = [*LENET, "--dataset", small_dataset, "--batch-size", 50, "--n-epochs", 2,
               "--shuffle"]
    script(*options, "--output", tmp_path / "chunks", "--chunk-mb", 0.7)
    script(*options, "--output", tmp_path / "whole")
    script(*options[:-1], "--output", tmp_path / "ordered")
    chunks, whole, ordered = (parameters.read(str(tmp_path / name / "last.safetensors"))[0]
                              for name in ("chunks", "whole", "ordered"))
    for name, values in whole.items():
        assert values.tobytes() == chunks[name].tobytes()
    assert any(values.tobytes() != ordered[name].tobytes() for name, values in whole.items())


def test_a_shuffled_set_is_not_split_into_shards(script, small_dataset):
    options = [*LENET, "--dataset", small_dataset, "--batch-size", 50, "--shards", 2]
    assert_refused(script(*options, "--shuffle"), 2, "--shuffle", "shards")
    assert "--shuffle" not in script(*options, "--own-images", "--n-epochs", 1).stdout


def test_balanced_classes_weigh_the_same_in_the_cost(script, small_sets, tmp_path, monkeypatch):
    (x, y), *others = small_sets
    rows = numpy.concatenate([numpy.flatnonzero(y == 0)[:20], numpy.flatnonzero(y == 1)[:5]])
    dataset = write_dataset(tmp_path / "two.pkl.gz", [
        (x[rows], y[rows])] + [(x[y < 2], y[y < 2]) for x, y in others])
    seen = {}

    def compile_functions(model, x, y, cost, *others):
        seen["cost"] = theano.function([x, y], [cost, model.p_y_given_x])
        raise StopIteration

    monkeypatch.setattr(mlp, "compile_functions", compile_functions)
    with pytest.raises(StopIteration):
        script("mlp.py", "--dataset", dataset, "--L2-reg", 0, "--class-weights", "balanced")
    images, labels = x[rows].astype(theano.config.floatX), y[rows].astype("int32")
    cost, p = seen["cost"](images, labels)
    of_each_class = [-numpy.log(p[labels == label, label]).mean() for label in (0, 1)]
    assert cost == pytest.approx(numpy.mean(of_each_class), rel=1e-5)


def test_what_is_held_back_of_images_of_ones_own(script, small_sets, tmp_path):
    x, y = small_sets[0]
    source, run = tmp_path / "set.npz", tmp_path / "run"
    numpy.savez(source, images=(x * 256).astype("uint8").reshape(-1, 28, 28), labels=y)
    options = [*LENET, "--dataset", source, "--own-images", "--n-epochs", 1]
    assert_refused(script(*options, "--test-fraction", 1), 2, "fractions 0.1 and 1.0", "below 1")
    process = script(*options, "--output", run, "--test-fraction", 0.4)
    assert process.returncode == 0, process.stderr
    n_test = sum(max(1, round(0.4 * n)) for n in numpy.bincount(y))
    evaluated = script("evaluate.py", run)
    assert f" of {n_test} images" in evaluated.stdout.splitlines()[0]
    assert script("look.py", run, "--interactive", tmp_path / "page.html").returncode == 0
    assert script(*options[:-2], "--resume", run, "--test-fraction", 0.4).returncode == 0
    numpy.savez(source, images=(x[::-1] * 256).astype("uint8").reshape(-1, 28, 28), labels=y[::-1])
    assert_refused(script("evaluate.py", run), 1, "trained on other examples than its dataset has")
