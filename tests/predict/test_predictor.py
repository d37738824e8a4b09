"""lenet.predict.predictor: from saved networks and image files to classes."""

import io
import pathlib

import numpy
import pytest
import theano.tensor as T
from PIL import Image

from lenet import networks
from lenet.convolutional_mlp import LeNet5
from lenet.data.pixels import Pixels
from lenet.errors import DataError, UsageError
from lenet.logistic_sgd import LogisticRegression
from lenet.predict import Predictor
from lenet.predict.finding import find_images

NAMES = [str(i) for i in range(10)]


def save(path, image_shape, names, preparation, seed=0):
    """A logistic regression with random weights, in a file; the weights and the biases."""
    n_in = int(numpy.prod(image_shape))
    model = LogisticRegression(T.matrix("x"), n_in, len(names))
    rng = numpy.random.RandomState(seed)
    W, b = rng.randn(n_in, len(names)) / 5, rng.randn(len(names))
    model.W.set_value(W.astype("float32"))
    model.b.set_value(b.astype("float32"))
    networks.save_model(str(path), model, names, image_shape, preparation)
    return W, b


def softmax(z):
    e = numpy.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def of_digits(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "digits.safetensors"
    W, b = save(path, (1, 28, 28), NAMES, "digit")
    return Predictor(str(path)), W, b


@pytest.fixture(scope="module")
def of_pets(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "pets.safetensors"
    W, b = save(path, (3, 4, 6), ["cat", "dog"], "resize")
    return Predictor(str(path)), W, b


def test_arrays(of_digits, mnist_arrays):
    predictor, W, b = of_digits
    x = mnist_arrays[2][0][:300]
    expected = softmax(x.astype("float64") @ W + b)
    for images in (x, x.reshape(-1, 28, 28), x.reshape(-1, 1, 28, 28).astype("float64"),
                   (x * 256).astype("uint8"), (x * 256).astype("int64"),
                   (x * 256).astype(int).tolist()):
        found = predictor.probabilities(images)
        assert found.shape == (300, 10)
        numpy.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)  # float32
    # A dataset may have any numbers.
    numpy.testing.assert_allclose(predictor.evaluate(numpy.round(256 * x)),
                                  softmax(256 * x.astype("float64") @ W + b), rtol=1e-3, atol=1e-6)
    for images in ([], x[:0], x[:0].reshape(0, 28, 28)):
        assert predictor.probabilities(images).shape == (0, 10)
    for images in (x[0], x[:, 1:], x[:, None, :5], 256 * x, x + numpy.nan):
        with pytest.raises(UsageError, match="expected"):
            predictor.probabilities(images)


def test_features_take_the_same_arrays(tmp_path, mnist_arrays):
    network = LeNet5(numpy.random.RandomState(0), T.matrix("x"), nkerns=(2, 3), n_hidden=5)
    path = str(tmp_path / "lenet.safetensors")
    networks.save_model(path, network, NAMES, (1, 28, 28), "digit")
    predictor = Predictor(path)
    x = mnist_arrays[2][0][:3]
    for layer, shape in (("layer0", (2, 12, 12)), ("layer2", (5,))):
        features = predictor.features(layer)
        expected = features(x)
        assert expected.shape == (3,) + shape
        numpy.testing.assert_allclose(features((256 * x).astype("int64")), expected, rtol=1e-5)
        assert features([]).shape == (0,) + shape
        with pytest.raises(UsageError, match="whole numbers from 0 to 25"):
            features(256 * x)
    assert predictor.probabilities([]).shape == (0, 10)


@pytest.mark.parametrize("n_processes", [0, 1, 3])
@pytest.mark.parametrize("center", [True, False])
def test_files_in_order(of_digits, digit_files, n_processes, center):
    predictor = of_digits[0]
    images, paths = digit_files
    order = numpy.random.RandomState(1).permutation(300)
    found = list(predictor.classify([paths[i] for i in order], center, n_processes))
    assert [result.path for result in found] == [paths[i] for i in order]
    assert all(result.error is None for result in found)
    numpy.testing.assert_allclose([result.probabilities for result in found],
                                  predictor.probabilities(images[order]), rtol=1e-5, atol=1e-7)


def test_a_bad_file_does_not_stop_the_others(of_digits, digit_files, tmp_path):
    predictor = of_digits[0]
    images, paths = digit_files
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "half.png").write_bytes(open(paths[0], "rb").read()[:90])
    Image.new("L", (50, 60), "white").save(tmp_path / "blank.png")
    bad = [str(tmp_path / name) for name in ("text.png", "half.png", "blank.png", "none.png")]
    for n_processes in (0, 2):
        found = list(predictor.classify([paths[0]] + bad + paths[1:200], True, n_processes))
        assert [result.path for result in found if result.error is None] == paths[:200]
        errors = [result.error for result in found if result.error is not None]
        for path, error, words in zip(bad, errors, (
                "no image that Pillow can read", "cannot be read", "no digit found",
                "not found")):
            assert isinstance(error, DataError)
            assert str(error).startswith(path + ": ") and words in str(error)


def test_paths_of_every_kind(of_digits, digit_files, tmp_path):
    images, paths = digit_files
    bad = io.BytesIO(b"no image")
    with open(paths[0], "rb") as file, open(paths[2], "rb") as third:
        *found, (path, probabilities, error) = of_digits[0].classify(
            [file, pathlib.Path(paths[1]), io.BytesIO(third.read()), bad])
    numpy.testing.assert_allclose([result.probabilities for result in found],
                                  of_digits[0].probabilities(images[:3]), rtol=1e-5, atol=1e-7)
    assert found[1].path == pathlib.Path(paths[1])
    assert path is bad and probabilities is None and str(error).startswith("the image: no image")


def test_one_path_in_place_of_a_list(of_digits):
    for path in ("seven.jpg", b"seven.jpg", pathlib.Path("seven.jpg")):
        with pytest.raises(UsageError, match=r"^seven.jpg: one path, where a list"):
            of_digits[0].classify(path)


def test_images_in_format_have_to_be_of_their_size(of_digits, tmp_path):
    Image.new("L", (20, 28)).save(tmp_path / "narrow.png")
    [found] = of_digits[0].classify([str(tmp_path / "narrow.png")], center=False)
    assert "28 x 20 pixels; expected 28 x 28" in str(found.error)


def test_pictures_in_colour_are_brought_to_their_size(of_pets, rng, tmp_path):
    predictor, W, b = of_pets
    pixels = rng.randint(0, 256, (4, 6, 3)).astype("uint8")
    large = Image.fromarray(pixels).resize((60, 40), Image.NEAREST)
    for name, image in (("same.png", Image.fromarray(pixels)), ("grey.png", large.convert("L"))):
        image.save(tmp_path / name)
    same, grey = predictor.classify([str(tmp_path / "same.png"), str(tmp_path / "grey.png")])
    row = pixels.transpose(2, 0, 1).reshape(1, -1) / 256
    numpy.testing.assert_allclose(same.probabilities, softmax(row @ W + b)[0], rtol=1e-4)
    assert grey.error is None


def test_a_folder_without_images_does_not_stop_the_others(of_digits, digit_files, tmp_path):
    (tmp_path / "empty").mkdir()
    empty, right = of_digits[0].classify(find_images([str(tmp_path / "empty"), digit_files[1][0]]))
    assert "empty: a folder without images" in str(empty.error) and empty.probabilities is None
    assert right.error is None


@pytest.mark.parametrize("pixels", [
    Pixels(127.5 / 256, 127.5 / 256), Pixels(0.1307, 0.3081),
    Pixels(numpy.linspace(0, 1, 784).tolist())], ids=["-1 to 1", "standardized", "mean image"])
def test_pictures_become_the_numbers_of_the_training(pixels, tmp_path, mnist_arrays):
    path = str(tmp_path / "digits.safetensors")
    W, b = save(path, (1, 28, 28), NAMES, "digit")
    saved = networks.load_model(path)
    networks.save_model(path, saved.model, NAMES, (1, 28, 28), "digit", pixels)
    predictor = Predictor(path)
    content = numpy.rint(mnist_arrays[2][0][:20] * 256).astype("uint8")
    numbers = (content / 256 - pixels.mean) / pixels.deviation
    expected = softmax(numbers @ W + b)
    for images in (content, content.astype("int64"), numbers):
        numpy.testing.assert_allclose(predictor.probabilities(images), expected, rtol=1e-3,
                                      atol=1e-6)
    files = []
    for number, image in enumerate(content[:3].reshape(-1, 28, 28)):
        files.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(image).save(files[-1])
    for prediction, row in zip(predictor.classify(files, center=False), expected):
        numpy.testing.assert_allclose(prediction.probabilities, row, rtol=1e-3, atol=1e-6)


def test_pictures_of_unknown_numbers_are_refused(tmp_path):
    path = str(tmp_path / "digits.safetensors")
    save(path, (1, 28, 28), NAMES, "digit")
    networks.save_model(path, networks.load_model(path).model, NAMES, (1, 28, 28), "digit",
                        Pixels(range=(-0.4, 2.8)))
    predictor = Predictor(path)
    with pytest.raises(DataError, match="pixels from -0.4 to 2.8.* is not known"):
        predictor.probabilities(numpy.zeros((1, 784), "uint8"))
    assert predictor.probabilities(numpy.zeros((1, 784))).shape == (1, 10)
