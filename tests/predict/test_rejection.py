"""lenet.predict.rejection: distances by brute force, and what rejecting brings, counted."""

import json

import numpy
import pytest
import theano.tensor as T
from conftest import assert_refused, write_dataset
from PIL import Image

from lenet import networks
from lenet.convolutional_mlp import LeNet5
from lenet.data import as_floats, load_arrays
from lenet.errors import DataError, UsageError
from lenet.lenet5_1998 import LeNet5_1998, bitmaps
from lenet.logistic_sgd import LogisticRegression
from lenet.predict import Predictor
from lenet.predict.rejection import (
    Distance,
    accuracy_of_kept,
    find_threshold,
    share_above,
    unknown_images,
)

NETWORKS = {
    "LeNet-5": lambda rng: LeNet5(rng, T.matrix("x"), nkerns=(2, 3), n_hidden=5),
    "1998": lambda rng: LeNet5_1998(rng, T.matrix("x")),
    "logistic regression": lambda rng: LogisticRegression(T.matrix("x"), 784, 10),
}


def saved(network, path):
    networks.save_model(str(path), network, list("0123456789"), (1, 28, 28), "digit")
    return str(path)


@pytest.fixture(params=NETWORKS)
def model(request, rng, tmp_path):
    """The name of a network, and its file."""
    return request.param, saved(NETWORKS[request.param](rng), tmp_path / "model.safetensors")


def test_distances(model, small_dataset, small_sets):
    name, path = model
    predictor = Predictor(path)
    distance = Distance(predictor, load_arrays(small_dataset))
    train, (x, _) = small_sets[0][0], small_sets[1]
    if name == "1998":
        hidden = predictor.features("F6")(x)
        expected = ((hidden[:, None] - bitmaps()[None]) ** 2).sum(axis=2).min(axis=1)
    else:
        features = predictor.features("layer2") if name == "LeNet-5" else numpy.asarray
        differences = features(x)[:, None].astype("float64") - features(train)[None]
        expected = numpy.sqrt((differences ** 2).sum(axis=2)).min(axis=1)
    numpy.testing.assert_allclose(distance.of(x), expected, rtol=1e-3, atol=1e-3)  # float32
    # Three of the 130 images of the validation set are further away than this.
    assert (distance.of(x) > distance.threshold(3 / 130)).sum() == 3
    numpy.testing.assert_allclose(distance.of((256 * x).astype("int64")), distance.of(x), rtol=1e-4)
    assert distance.of([]).shape == (0,)
    with pytest.raises(UsageError, match="whole numbers"):
        distance.of(256 * x)
    if name != "1998":  # the training images themselves
        assert distance.of(train).max() < 0.01 < expected.min()


def test_accuracy_of_the_images_that_are_kept():
    right = numpy.array([True, False, True, False, True])
    found = accuracy_of_kept(numpy.array([0.1, 0.9, 0.3, 0.5, 0.2]), right)
    numpy.testing.assert_allclose(found, [3 / 5, 3 / 4, 3 / 3, 2 / 2, 1 / 1])


def test_the_share_of_unknown_images_that_is_rejected():
    # Nothing known is rejected at 0.9, one image at 0.5, two at 0.2.
    found = share_above(numpy.array([0.2, 0.9, 0.5]), numpy.array([0.95, 0.5, 0.6, 0.1]))
    numpy.testing.assert_allclose(found, [1 / 4, 2 / 4, 3 / 4])


def test_unknown_images(lenet, small_dataset, small_sets, tmp_path):
    predictor, x = Predictor(lenet), small_sets[2][0]
    numpy.testing.assert_array_equal(unknown_images(small_dataset, predictor, x), x)
    numpy.testing.assert_array_equal(unknown_images(small_dataset, predictor, x, part=1),
                                     small_sets[1][0])
    # The same images in numbers from -1 to 1, of which the network's are made.
    other = write_dataset(tmp_path / "other.pkl.gz", [
        ((256 * x / 127.5 - 1).astype("float32"), y) for x, y in small_sets])
    numpy.testing.assert_allclose(unknown_images(other, predictor, x), x, atol=1e-6)
    numpy.testing.assert_array_equal(as_floats(unknown_images("negatives", predictor, x)),
                                     255 / 256 - x)
    noise = unknown_images("noise", predictor, x)
    assert noise.dtype == "uint8" and noise.shape == x.shape and noise.min() < 5 < 250 < noise.max()
    for number, inside in enumerate(("a", "b")):
        (tmp_path / "pictures" / inside).mkdir(parents=True)
        Image.fromarray((256 * x[number]).astype("uint8").reshape(28, 28)).save(
            tmp_path / "pictures" / inside / "digit.png")
    found = unknown_images(str(tmp_path / "pictures"), predictor, x)
    numpy.testing.assert_array_equal(as_floats(found), x[:2])
    (tmp_path / "pictures" / "a" / "text.png").write_text("no image")
    with pytest.raises(DataError, match="text.png: no image"):
        unknown_images(str(tmp_path / "pictures"), predictor, x)
    reported = []
    found = unknown_images(str(tmp_path / "pictures"), predictor, x, report=reported.append)
    assert len(found) == 2 and "text.png: no image" in str(*reported)
    (tmp_path / "empty").mkdir()
    for options in ({}, {"report": reported.append}):
        with pytest.raises(DataError, match="empty: a folder without images"):
            unknown_images(str(tmp_path / "empty"), predictor, x, **options)


def test_the_threshold_between_known_and_unknown(rng):
    assert find_threshold(numpy.array([1.0, 2, 3]), numpy.array([5.0, 9])) == 4
    # 3/3 - 2/4 of them are rejected; beyond 4 it would be 2/3 - 1/4.
    assert find_threshold(numpy.array([1.0, 2, 3, 8]), numpy.array([2.5, 5, 9])) == 2.25
    known, unknown = rng.rand(40).round(1), 0.3 + rng.rand(30).round(1)
    threshold = find_threshold(known, unknown)

    def gain(t):
        return (unknown > t).mean() - (known > t).mean()

    assert gain(threshold) == max(map(gain, numpy.concatenate([known, unknown])))


def test_a_fraction_of_the_images(model, small_dataset):
    distance = Distance(Predictor(model[1]), load_arrays(small_dataset))
    for fraction in (0, 1, -1, float("nan")):
        with pytest.raises(UsageError, match="between 0 and 1"):
            distance.threshold(fraction)


@pytest.fixture
def lenet(rng, tmp_path):
    return saved(NETWORKS["LeNet-5"](rng), tmp_path / "lenet.safetensors")


@pytest.fixture
def images(tmp_path, small_sets):
    """A digit of the training set, noise, and a text."""
    (tmp_path / "images").mkdir()
    noise = numpy.random.RandomState(1).randint(0, 256, (28, 28)).astype("uint8")
    digit = (256 * small_sets[0][0][0]).reshape(28, 28).astype("uint8")
    for name, pixels in (("digit.png", digit), ("noise.png", noise)):
        Image.fromarray(pixels).save(tmp_path / "images" / name)
    (tmp_path / "images" / "text.png").write_text("no image")
    return tmp_path / "images"


def test_rejected_images_get_no_class(rng, images, small_dataset, script, tmp_path):
    # A logistic regression, whose distance is that of the pixels: noise is far from any digit.
    model = saved(NETWORKS["logistic regression"](rng), tmp_path / "model.safetensors")
    options = (model, images, "--no-center", "--reject", 0.05, "--dataset", small_dataset)
    lines = script("predict.py", *options).stdout.splitlines()
    assert lines[0].startswith(f"{images}/digit.png: ") and " %); distance " in lines[0]
    assert lines[1].startswith(f"{images}/noise.png: rejected (distance ") and len(lines) == 2

    process = script("predict.py", *options, "--json", "--top", 3)
    digit, noise, text = json.loads(process.stdout)
    assert process.returncode == 1 and "text.png" in process.stderr
    assert len(digit["classes"]) == 3 and noise["classes"] == [] and text["classes"] is None
    assert digit["distance"] < 0.01 < noise["distance"] and text["distance"] is None

    header, digit, noise, text = script("predict.py", *options, "--csv").stdout.splitlines()
    assert header == "file,class,probability,distance"
    assert digit.split(",")[1] in "0123456789"
    assert noise.startswith(f"{images}/noise.png,,,") and text == f"{images}/text.png,,,"


def test_the_threshold_of_unknown_images(rng, images, small_dataset, script, tmp_path):
    model = saved(NETWORKS["logistic regression"](rng), tmp_path / "model.safetensors")
    unknown = tmp_path / "unknown"
    unknown.mkdir()
    for number in range(3):
        Image.fromarray(rng.randint(0, 256, (28, 28)).astype("uint8")).save(
            unknown / f"{number}.bmp")
    (images / "text.png").unlink()
    options = (model, images, "--no-center", "--dataset", small_dataset)
    for name in (unknown, "noise"):
        process = script("predict.py", *options, "--unknown", name)
        n_unknown = 3 if name == unknown else 130
        assert_refused(process, 0, "of the validation set 0.00 % (0.0 to 2.9 %), 0 of 130",
                       f", {n_unknown} of {n_unknown}", f"of {name} 100.00 %")
        digit, noise = process.stdout.splitlines()
        assert "digit.png: " in digit and "noise.png: rejected" in noise
    assert_refused(script("predict.py", *options, "--unknown", "noise", "--reject", 0.1), 2,
                   "not allowed with")
    assert_refused(script("predict.py", *options, "--unknown", tmp_path / "none"), 1, "none")


def test_features(lenet, images, script, tmp_path):
    file = tmp_path / "features.npy"
    process = script("predict.py", lenet, images, "--no-center", "--features", "layer1",
                     "--output", file)
    assert process.returncode == 1 and "text.png" in process.stderr
    features = numpy.load(file)
    with Image.open(images / "noise.png") as image:
        expected = Predictor(lenet).features("layer1")(numpy.asarray(image)[None])
    assert features.shape == (3, 3, 4, 4) and features.dtype == expected.dtype
    numpy.testing.assert_array_equal(features[1], expected[0])
    assert numpy.isnan(features[2]).all() and not numpy.isnan(features[:2]).any()


def test_the_curve_by_command(lenet, small_dataset, small_sets, script, tmp_path):
    sevens = write_dataset(tmp_path / "sevens.pkl.gz",
                           [(255 / 256 - x[y == 7], y[y == 7]) for x, y in small_sets])
    process = script("rejection.py", lenet, "--dataset", small_dataset, "--unknown", sevens,
                     "--output", tmp_path / "curve.png")
    assert (process.returncode, process.stderr) == (0, "")
    lines = [line.split() for line in process.stdout.splitlines()]
    x, y = small_sets[2]
    accuracy = numpy.mean(Predictor(lenet).probabilities(x).argmax(axis=1) == y)
    assert lines[2] == ["0.0", "%"] + [f"{100 * accuracy:.2f}"] * 2
    distance = Distance(Predictor(lenet), load_arrays(small_dataset))
    for name, unknown in ((sevens, 255 / 256 - x[y == 7]), ("negatives", 255 / 256 - x),
                          ("noise", numpy.random.RandomState(0).randint(0, 256, x.shape) / 256)):
        process = script("rejection.py", lenet, "--dataset", small_dataset, "--unknown", name)
        none, *_ = process.stdout.splitlines()[11:]  # none of the test set is rejected
        share = numpy.mean(distance.of(unknown.astype("float32")) > distance.of(x).max())
        assert none.split()[2] == f"{100 * share:.2f}"
    with Image.open(tmp_path / "curve.png") as image:
        assert image.size[0] > 800


def test_wrong_use(lenet, images, small_dataset, small_sets, script, tmp_path):
    file = tmp_path / "features.npy"
    for options, status, words in (
            (["--features", "layer1"], 2, ["--output", "give both"]),
            (["--output", file], 2, ["--features", "give both"]),
            (["--features", "layer3", "--output", file], 2, ["layer3", "layer0, layer1, layer2"]),
            (["--features", "layer1", "--json", "--output", file], 2, ["not allowed with"]),
            (["--reject", 1.5], 2, ["1.5", "between 0 and 1"]),
            (["--reject", 0.1, "--dataset", "none/such"], 1, ["none/such"])):
        assert_refused(script("predict.py", lenet, images, *options), status, *words)
    assert not file.exists()
    small = write_dataset(tmp_path / "small.pkl.gz", [(x[:, :400], y) for x, y in small_sets])
    assert_refused(script("rejection.py", lenet, "--unknown", small), 1, "(1, 20, 20)",
                   "(1, 28, 28)")
