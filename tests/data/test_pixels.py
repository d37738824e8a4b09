"""lenet.data.pixels: from bytes to the numbers of a training set, and back."""

import gzip

import numpy
import pytest
import theano
from conftest import write_arrays

from lenet.data import StandardizedDataset, load_arrays, load_data, open_arrays, plain_pickle
from lenet.data.pixels import BYTES, Pixels, as_bytes, as_floats, guess_pixels, read_pixels
from lenet.errors import DataError

# What people make of bytes: (the numbers, what those of a white and of a black pixel are).
SCALES = {
    "byte / 256": lambda b: b / 256, "byte / 255": lambda b: b / 255, "byte": lambda b: b * 1.0,
    "-1 to 1": lambda b: b / 127.5 - 1,
    "standardized": lambda b: (b / 255 - 0.1307) / 0.3081,
}


def write_pickle(path, *content):
    with gzip.open(path, "wb", compresslevel=1) as file:
        plain_pickle.dump(content, file)
    return str(path)


@pytest.fixture
def images(mnist_arrays):
    """1,200 digits, bytes of shape (1200, 784); some pixel is 0 and some is 255."""
    return numpy.rint(mnist_arrays[0][0][:1200] * 256).astype("uint8")


@pytest.mark.parametrize("scale", SCALES)
def test_the_scale_of_a_training_set_is_found(scale, images):
    numbers = SCALES[scale](images.astype("float64")).astype("float32")
    pixels = guess_pixels(numbers)
    numpy.testing.assert_allclose(pixels.from_bytes(images), numbers, rtol=1e-4, atol=1e-4)
    numpy.testing.assert_array_equal(pixels.to_bytes(numbers), images)
    assert (pixels == BYTES) == (scale == "byte / 256")


def test_less_a_mean_image_nobody_knows(images):
    numbers = images / 256 - (images / 256).mean(axis=0)
    pixels = guess_pixels(numbers.astype("float32"))
    assert pixels.range == pytest.approx((numbers.min(), numbers.max()), rel=1e-5)
    with pytest.raises(DataError, match="pixels from -0.5.* is not known; train on bytes.*--stand"):
        pixels.from_bytes(images)
    # For a picture on the screen the least number is black and the greatest white.
    content = pixels.to_bytes(numbers)
    assert (content.min(), content.max()) == (0, 255)


def test_numbers_from_0_to_1_that_were_no_bytes(rng):
    assert guess_pixels(rng.uniform(size=(20, 30))) == BYTES


def test_channels_and_pixels_of_their_own(rng):
    content = rng.randint(0, 256, (5, 6)).astype("uint8")
    of_channels = Pixels([0.1, 0.2, 0.3], [1, 2, 4])  # of 2 pixels each
    expected = (content / 256 - numpy.repeat([0.1, 0.2, 0.3], 2)) / numpy.repeat([1, 2, 4], 2)
    numbers = of_channels.from_bytes(content)
    assert numbers.dtype == theano.config.floatX
    numpy.testing.assert_allclose(numbers, expected, rtol=1e-5, atol=1e-7)
    numpy.testing.assert_array_equal(of_channels.to_bytes(numbers), content)
    mean = rng.uniform(size=6)
    of_pixels = Pixels(mean.tolist())
    numpy.testing.assert_allclose(of_pixels.from_bytes(content), content / 256 - mean, atol=1e-6)


def test_bytes_of_256_are_exact(images):
    assert (as_floats(images) == images / 256).all()
    assert as_bytes(images) is images and (as_bytes(images / 256) == images).all()


@pytest.mark.parametrize("pixels", [BYTES, Pixels([1, 2, 3], [4, 5, 6]), Pixels(range=(-3, 4))])
def test_pixels_in_a_file(pixels):
    assert read_pixels(pixels.as_plain(), 12) == pixels
    assert read_pixels(None, 12) == BYTES


@pytest.mark.parametrize("plain", [
    3, {}, {"mean": 0}, {"mean": 0, "deviation": 0}, {"mean": float("nan"), "deviation": 1},
    {"mean": [0] * 5, "deviation": 1}, {"mean": "much", "deviation": 1}, {"range": [1]},
    {"range": [0, float("inf")]}])
def test_pixels_that_are_none(plain):
    with pytest.raises(ValueError):
        read_pixels(plain, 12)


def test_a_dataset_says_how_its_numbers_came_about(tmp_path, rng):
    sets = [(rng.randn(n, 4).astype("float32"), numpy.arange(n) % 2) for n in (9, 5, 4)]
    described = {"image_shape": (1, 2, 2), "class_names": ["a", "b"], "preparation": "resize",
                 "pixels": {"mean": 0.5, "deviation": 0.25}}
    path = write_pickle(tmp_path / "a.pkl.gz", *sets, described)
    assert open_arrays(path).pixels == Pixels(0.5, 0.25)
    described["pixels"] = {"mean": 0.5, "deviation": -1}
    path = write_pickle(tmp_path / "b.pkl.gz", *sets, described)
    with pytest.raises(DataError, match="b.pkl.gz: pixels .*; expected a mean and a deviation"):
        open_arrays(path)


@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_standardized_training_set(tmp_path, rng, as_bytes):
    sets = [(rng.randint(20 * n, 20 * n + 60, (n, 3, 2, 4)).astype("uint8"), numpy.arange(n) % 2)
            for n in (9, 5, 4)]
    if as_bytes:
        path = write_arrays(tmp_path / "arrays", sets, ["a", "b"])
    else:
        path = write_pickle(
            tmp_path / "a.pkl.gz",
            *[(x.reshape(len(x), -1).astype("float32") / 256, y) for x, y in sets],
            {"image_shape": (3, 2, 4), "class_names": ["a", "b"], "preparation": "resize"})
    source = StandardizedDataset(path)
    training = sets[0][0] / 256
    mean, deviation = training.mean(axis=(0, 2, 3)), training.std(axis=(0, 2, 3))
    for found in (load_arrays(source), load_data(source)):
        for (x, _), (content, _) in zip(found, sets):
            x = x.get_value() if hasattr(x, "get_value") else x
            expected = ((content / 256 - mean[:, None, None]) / deviation[:, None, None])
            numpy.testing.assert_allclose(x, expected.reshape(len(content), -1), atol=1e-4)
        new = rng.randint(0, 256, (2, 24)).astype("uint8")
        expected = (new.reshape(2, 3, 8) / 256 - mean[:, None]) / deviation[:, None]
        numpy.testing.assert_allclose(found.pixels.from_bytes(new), expected.reshape(2, 24),
                                      rtol=1e-4, atol=1e-4)


def test_a_channel_that_is_the_same_everywhere(tmp_path):
    sets = [(numpy.full((n, 1, 2, 2), 128, "uint8"), numpy.arange(n) % 2) for n in (4, 3, 2)]
    path = write_arrays(tmp_path / "arrays", sets, ["a", "b"])
    assert (load_arrays(StandardizedDataset(path))[0][0] == 0).all()


def test_numbers_of_one_scale_become_those_of_another(images):
    one, other = Pixels(0.25, 0.5), Pixels([0.125], [2.0])
    numbers = one.from_bytes(images)
    numpy.testing.assert_allclose(other.from_numbers(numbers, one), other.from_bytes(images),
                                  atol=1e-6)
    numpy.testing.assert_array_equal(one.from_numbers(BYTES.from_bytes(images), BYTES), numbers)
    assert one.from_numbers(numbers, Pixels(0.25, 0.5)) is numbers
    for pair in ((one, Pixels(range=(0, 9))), (Pixels(range=(0, 9)), one)):
        with pytest.raises(DataError, match="not known"):
            pair[0].from_numbers(numbers, pair[1])
    fractions = one.to_fractions(numbers)
    numpy.testing.assert_array_equal(fractions, images / 256)
