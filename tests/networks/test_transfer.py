"""--from: the layers of a saved network, and a new last layer for other classes."""

import os

import numpy
import pytest
from conftest import assert_refused, write_dataset
from safetensors.numpy import load_file

from lenet.predict.predictor import Predictor

LENET = ("convolutional_mlp.py", "--n-epochs", 1)
BOOK = ("network3.py", "--epochs", 1, "--mini-batch-size", 50)
SMALL = ("--nkerns", 2, 3, "--n-hidden", 5, "--batch-size", 50)


@pytest.fixture
def seven(small_sets, tmp_path):
    """A dataset of the digits 0 to 6."""
    return write_dataset(tmp_path / "seven.pkl.gz", [(x[y < 7], y[y < 7]) for x, y in small_sets])


@pytest.fixture
def lenet(script, seven, tmp_path):
    """A run of a small LeNet-5 on seven digits."""
    run = tmp_path / "seven"
    assert script(*LENET, *SMALL, "--dataset", seven, "--output", run).returncode == 0
    return run


def last_parameters(run):
    return {name: values for name, values in load_file(run / "last.safetensors").items()
            if not name.startswith("random")}


def test_only_a_new_last_layer_learns(script, lenet, small_dataset, small_sets, tmp_path):
    run = tmp_path / "ten"
    process = script(*LENET, "--from", lenet, "--batch-size", 120, "--dataset", small_dataset,
                     "--output", run)
    assert process.returncode == 0, process.stderr
    old, new = load_file(lenet / "model.safetensors"), last_parameters(run)
    for name, values in new.items():
        assert name.startswith("layer3") or values.tobytes() == old[name].tobytes()

    # Two steps of a softmax that starts at zero, on what the saved network's hidden units give.
    predictor = Predictor(str(lenet))
    x, y = small_sets[0]
    features = predictor.features("layer2")(x[:240])
    W, b = numpy.zeros((5, 10)), numpy.zeros(10)
    for start in (0, 120):
        f, truth = features[start:start + 120], numpy.eye(10)[y[start:start + 120]]
        p = numpy.exp(f.dot(W) + b)
        slope = (p / p.sum(axis=1, keepdims=True) - truth) / 120
        W, b = W - 0.1 * f.T.dot(slope), b - 0.1 * slope.sum(axis=0)
    numpy.testing.assert_allclose(new["layer3.W"], W, atol=1e-6)  # of float32, some 0.01
    numpy.testing.assert_allclose(new["layer3.b"], b, atol=1e-6)


def test_fine_tuning_changes_all_layers(script, lenet, small_dataset, tmp_path):
    run = tmp_path / "ten"
    script(*LENET, "--from", lenet, "--fine-tune", "--batch-size", 50, "--dataset",
           small_dataset, "--output", run)
    old, new = load_file(lenet / "model.safetensors"), last_parameters(run)
    for name, values in new.items():
        if name.startswith("layer3"):
            assert len(old[name].T) == 7 and len(values.T) == 10
        else:  # from where they were, by small steps
            assert 0 < abs(values - old[name]).max() < 0.01


@pytest.mark.parametrize("options", [[], ["--momentum", 0.5, "--fine-tune"]])
def test_a_run_goes_on_without_the_one_it_began_with(options, script, lenet, small_dataset,
                                                     tmp_path):
    options = ["--from", lenet, "--batch-size", 50, "--dataset", small_dataset, *options]
    for name, epochs in (("whole", 2), ("run", 1)):
        assert script(LENET[0], "--n-epochs", epochs, *options, "--output", tmp_path / name
                      ).returncode == 0
    os.rename(lenet, tmp_path / "elsewhere")
    process = script(LENET[0], "--resume", tmp_path / "run", "--n-epochs", 2)
    assert process.returncode == 0, process.stderr
    for file in ("last.safetensors", "model.safetensors"):
        whole, run = (load_file(tmp_path / name / file) for name in ("whole", "run"))
        assert all(whole[name].tobytes() == run[name].tobytes() for name in whole)


def test_network3(script, seven, small_dataset, tmp_path):
    seven_run, run = tmp_path / "seven", tmp_path / "ten"
    script(*BOOK, "--conv-layers", 2, "--dataset", seven, "--output", seven_run)
    process = script(*BOOK, "--from", seven_run, "--dropout", 0.3, "--dataset", small_dataset,
                     "--output", run)
    assert process.returncode == 0, process.stderr
    old, new = load_file(seven_run / "model.safetensors"), last_parameters(run)
    assert [name for name in new if new[name].tobytes() != old[name].tobytes()] == [
        "layer3.b", "layer3.w"]
    assert new["layer3.w"].shape == (100, 10)


def test_layers_get_the_numbers_that_they_learned_on(script, seven, small_dataset, small_sets,
                                                     tmp_path):
    standardized, run = tmp_path / "standardized", tmp_path / "ten"
    script(*LENET, *SMALL, "--standardize", "--dataset", seven, "--output", standardized)
    process = script(*LENET, "--from", standardized, "--batch-size", 50, "--dataset", small_dataset,
                     "--output", run)
    assert process.returncode == 0, process.stderr
    x, y = small_sets[0]
    pixels = Predictor(str(run)).pixels
    numpy.testing.assert_allclose([pixels.mean, pixels.deviation],
                                  [x[y < 7].mean(), x[y < 7].std()], rtol=1e-4)


def test_images_in_other_numbers_become_those_of_the_run(script, lenet, small_dataset, small_sets,
                                                         tmp_path):
    scaled = write_dataset(tmp_path / "scaled.pkl.gz", [(256 * x, y) for x, y in small_sets])
    for name, dataset in (("plain", small_dataset), ("scaled", scaled)):
        for options in (["--n-epochs", 1, "--output", tmp_path / name, "--from", lenet, "--dataset",
                         dataset, "--batch-size", 50],
                        ["--n-epochs", 2, "--resume", tmp_path / name]):
            process = script(LENET[0], *options)
            assert process.returncode == 0, process.stderr
    plain, scaled = (load_file(tmp_path / name / "last.safetensors")
                     for name in ("plain", "scaled"))
    assert all(plain[name].tobytes() == scaled[name].tobytes() for name in plain)


def test_wrong_use(script, lenet, small_dataset, small_sets, tmp_path):
    options = [*LENET, "--batch-size", 50, "--dataset", small_dataset]
    run = tmp_path / "ten"
    assert_refused(script(*options, "--fine-tune", "--output", run), 2, "--from")
    assert_refused(script(*options, "--from", tmp_path / "none", "--output", run), 1, "none",
                   "holds no run")
    assert_refused(script(*options, "--from", lenet, "--nkerns", 20, 50, "--output", run), 2,
                   "--nkerns [20, 50]", "begun with [2, 3]", "without --from")
    assert_refused(script(*options, "--from", lenet, "--standardize", "--output", run), 2,
                   "--standardize True", "begun with False")
    assert_refused(script(*BOOK, "--from", lenet), 2, "a run of convolutional_mlp.py",
                   "expected one of network3.py")
    assert not run.exists()
    smaller = write_dataset(tmp_path / "smaller.pkl.gz", [(x[:, :400], y) for x, y in small_sets])
    assert_refused(script(*LENET, "--from", lenet, "--batch-size", 50, "--dataset", smaller), 1,
                   "(1, 28, 28)", "(1, 20, 20)", "--dataset")
