"""lenet.predict.predictor: from saved networks and image files to classes."""

import io
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import Future

import numpy
import pytest
import theano.tensor as T
from conftest import environment
from PIL import Image

from lenet import networks
from lenet.errors import DataError, UsageError
from lenet.images.reading import read_picture
from lenet.logistic_sgd import LogisticRegression
from lenet.predict import predictor as predict
from lenet.predict.predictor import Predictor, Reader, find_images

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


@pytest.fixture
def digits(mnist_arrays, tmp_path):
    """300 digits as bytes, and the PNG files that hold them."""
    images = (mnist_arrays[2][0][:300] * 256).astype("uint8").reshape(-1, 28, 28)
    paths = [str(tmp_path / f"{i:03}.png") for i in range(len(images))]
    for image, path in zip(images, paths):
        Image.fromarray(image).save(path)
    return images, paths


def test_arrays(of_digits, mnist_arrays):
    predictor, W, b = of_digits
    x = mnist_arrays[2][0][:300]
    expected = softmax(x.astype("float64") @ W + b)
    for images in (x, x.reshape(-1, 28, 28), x.reshape(-1, 1, 28, 28).astype("float64"),
                   (x * 256).astype("uint8")):
        found = predictor.probabilities(images)
        assert found.shape == (300, 10)
        numpy.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)  # float32
    assert predictor.probabilities(x[:0]).shape == (0, 10)
    for images in (x[0], x[:, 1:], x[:, None, :5]):
        with pytest.raises(UsageError, match="expected"):
            predictor.probabilities(images)


@pytest.mark.parametrize("n_processes", [0, 1, 3])
@pytest.mark.parametrize("center", [True, False])
def test_files_in_order(of_digits, digits, n_processes, center):
    predictor = of_digits[0]
    images, paths = digits
    order = numpy.random.RandomState(1).permutation(300)
    found = list(predictor.classify([paths[i] for i in order], center, n_processes))
    assert [result.path for result in found] == [paths[i] for i in order]
    assert all(result.error is None for result in found)
    numpy.testing.assert_allclose([result.probabilities for result in found],
                                  predictor.probabilities(images[order]), rtol=1e-5, atol=1e-7)


def test_a_bad_file_does_not_stop_the_others(of_digits, digits, tmp_path):
    predictor = of_digits[0]
    images, paths = digits
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


def test_a_photograph_is_read_as_it_was_for_the_training(rng, tmp_path):
    path = str(tmp_path / "large.jpg")
    coarse = rng.randint(0, 256, (40, 50, 3)).astype("uint8")
    Image.fromarray(coarse).resize((500, 400), Image.BICUBIC).save(path, quality=90)
    shape = (3, 32, 32)
    numpy.testing.assert_array_equal(Reader(shape, "resize").read(path), read_picture(path, shape))


def test_batches_are_read_no_further_than_needed(of_digits, digits, monkeypatch):
    monkeypatch.setattr(predict, "BATCH", 10)
    taken = []

    def paths():
        for path in digits[1]:
            taken.append(path)
            yield path

    for n_processes in (0, 2):
        taken.clear()
        found = of_digits[0].classify(paths(), True, n_processes)
        next(found)
        assert len(taken) <= 10 * (n_processes + 2)
        found.close()


def test_no_batch_is_cancelled(of_digits, digits, monkeypatch):
    """In Python 3.8 and 3.9, a pool that has only cancelled tasks left waits forever."""
    monkeypatch.setattr(predict, "BATCH", 10)
    cancelled = []
    monkeypatch.setattr(Future, "cancel", lambda future: cancelled.append(future))
    found = of_digits[0].classify(digits[1], n_processes=2)
    next(found)
    found.close()
    assert not cancelled


def test_a_process_that_dies(of_digits, digits, monkeypatch):
    monkeypatch.setattr(predict.Reader, "read", lambda self, path: os._exit(9))
    with pytest.raises(DataError, match=r"000.png to .*(127|255|299).png has ended"):
        list(of_digits[0].classify(digits[1], n_processes=2))


def test_whoever_stops_asking_does_not_wait_for_the_batches_begun(of_digits, digits, monkeypatch):
    monkeypatch.setattr(predict, "BATCH", 10)
    n_read = multiprocessing.get_context("fork").Value("i", 0)
    read = Reader.read

    def counted(self, path):
        """Read an image; one of the second batch or a later one only when no more are wanted."""
        if path not in digits[1][:10]:
            for _ in range(20000):
                if predict.stopped.value:
                    break
                time.sleep(0.001)
            with n_read.get_lock():
                n_read.value += 1
        return read(self, path)

    monkeypatch.setattr(Reader, "read", counted)
    found = of_digits[0].classify(digits[1], n_processes=2)
    assert next(found).path == digits[1][0]
    found.close()
    assert n_read.value <= 2  # the image that each process was at
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("kill", ["os.kill(os.getpid(), 9)", "os.killpg(0, 2)"])
def test_readers_end_with_the_process_that_asks(of_digits, digits, kill):
    """Killed with SIGKILL it cannot end them; Ctrl-C is sent to all of them."""
    code = ("import os, signal, sys\n"
            "from lenet.predict.predictor import Reader\n"
            # A shell starts what runs in the background with Ctrl-C ignored.
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "found = Reader((1, 28, 28), 'digit').read_ahead(sys.argv[1:] * 3, 2)\n"
            "next(found)\n"
            "print('reading', flush=True)\n" + kill)
    process = subprocess.run([sys.executable, "-c", code, *digits[1]], text=True, timeout=300,
                             env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             start_new_session=True)
    # The pipe is at its end only when all who could write to it are gone.
    assert process.stdout == "reading\n" and process.returncode in (-9, -2)


def test_find_images(tmp_path, monkeypatch):
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "sub/c.bmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folder = [str(tmp_path / name) for name in ("a.JPG", "b.png", "sub/c.bmp")]
    assert list(find_images([str(tmp_path)])) == folder
    assert list(find_images(["x.txt", str(tmp_path / "sub")])) == ["x.txt", folder[2]]
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"one.png\n\n{tmp_path}/sub\n"))
    assert list(find_images(["zero.png", "-"])) == ["zero.png", "one.png", folder[2]]
    (tmp_path / "empty").mkdir()
    empty = str(tmp_path / "empty")
    assert list(find_images([empty, "x.txt"])) == [empty, "x.txt"]


def test_a_folder_without_images_does_not_stop_the_others(of_digits, digits, tmp_path):
    (tmp_path / "empty").mkdir()
    empty, right = of_digits[0].classify(find_images([str(tmp_path / "empty"), digits[1][0]]))
    assert "empty: a folder without images" in str(empty.error) and empty.probabilities is None
    assert right.error is None
