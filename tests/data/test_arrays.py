"""lenet.data.arrays: arrays of any shape, labels of any kind, and what is held back."""

import numpy
import pytest

from lenet.convolutional_mlp import evaluate_lenet5
from lenet.data import Datasets, ShuffledDataset, StandardizedDataset
from lenet.data.pixels import Pixels
from lenet.errors import DataError, UsageError


@pytest.fixture
def images(rng):
    """60 images of 3 channels, 4 x 5 pixels, in 3 classes."""
    return rng.randint(0, 256, (60, 3, 4, 5)).astype("uint8"), numpy.arange(60) % 3


@pytest.mark.parametrize("arrange, shape", [
    (lambda x: x, (3, 4, 5)),
    (lambda x: x.transpose(0, 2, 3, 1), (3, 4, 5)),
    (lambda x: x[:, 0], (1, 4, 5)),
    (lambda x: x[:, :, :, :4].reshape(60, 48), (3, 4, 4)),
    (lambda x: x[:, 0, :, :4].reshape(60, 16).tolist(), (1, 4, 4)),
    (lambda x: x[:, :2].transpose(0, 2, 3, 1).astype("int64"), (2, 4, 5)),
])
def test_images_of_every_shape(images, arrange, shape):
    x, y = images
    sets = Datasets.from_arrays(arrange(x), y, (arrange(x)[:6], y[:6]), (arrange(x)[6:], y[6:]))
    assert sets.image_shape == shape and sets.pixels == Pixels()
    channels, height, width = shape
    expected = x[:, :channels, :height, :width].reshape(60, -1)
    for (found, _), rows in zip(sets, (expected, expected[:6], expected[6:])):
        assert found.dtype == "uint8"
        numpy.testing.assert_array_equal(found, rows)


def test_fractions_of_255(images):
    sets = Datasets.from_arrays(images[0] / 255, images[1])
    assert sets.pixels == Pixels(0.0, 255 / 256)


@pytest.mark.parametrize("x, expected", [
    (numpy.array([[False], [True]] * 5), [0, 255]),
    (numpy.array([[0], [1]] * 5), [0, 255]),
    (numpy.array([[0], [300]] * 5), [0, 300]),
    (numpy.array([[-1], [1]] * 5, "int8"), [-1, 1]),
])
def test_whole_numbers_are_one_kind_in_all_sets(x, expected):
    sets = Datasets.from_arrays(x, [0, 1] * 5, (x[:1], [0]), (x[:2], [0, 1]))
    assert len({found.dtype for found, _ in sets}) == 1
    assert sets[2][0][:, 0].tolist() == expected


def test_numbers_on_the_disk(tmp_path):
    numpy.save(tmp_path / "x.npy", numpy.arange(60).reshape(60, 1) / 64)
    x = numpy.load(tmp_path / "x.npy", mmap_mode="r")
    sets = Datasets.from_arrays(x, numpy.arange(60) % 2)
    assert sets[0][0].dtype.kind == "f" and sets[0][0].max() > 0.5


@pytest.mark.parametrize("label, names, expected", [
    (lambda y: numpy.eye(3)[y], None, ["0", "1", "2"]),
    (lambda y: y[:, None], ["a", "b", "c"], ["a", "b", "c"]),
    (lambda y: y + 1, ["a", "b", "c"], ["a", "b", "c"]),
    (lambda y: y + 1.0, None, ["1", "2", "3"]),
    (lambda y: 5 * y - 5, None, ["-5", "0", "5"]),
    (lambda y: [["cat", "dog", "emu"][i] for i in y], None, ["cat", "dog", "emu"]),
    (lambda y: numpy.array(["cat", "dog", "emu"], object)[y], ["emu", "dog", "cat"], None),
])
def test_labels_of_every_kind(images, label, names, expected):
    x, y = images
    sets = Datasets.from_arrays(x, label(y), (x, label(y)), (x, label(y)), names)
    assert sets.class_names == (expected or names)
    for _, found in sets:
        assert found.tolist() == (y if expected else 2 - y).tolist()


def test_held_back_in_proportion_disjoint_and_by_the_seed():
    x = numpy.arange(200).astype("uint8").reshape(200, 1, 1)
    y = (numpy.arange(200) >= 150).astype(int)

    def numbers(*fractions, seed=1):
        options = dict(zip(("validation_fraction", "test_fraction"), fractions))
        sets = Datasets.from_arrays(x, y, seed=seed, **options)
        assert all((found[:, 0] >= 150).astype(int).tolist() == labels.tolist()
                   for found, labels in sets)
        assert sorted(numpy.concatenate([found[:, 0] for found, _ in sets])) == list(range(200))
        return [set(found[:, 0].tolist()) for found, _ in sets]

    sets = numbers()
    assert [(len(a_set), sum(n >= 150 for n in a_set)) for a_set in sets] == [
        (160, 40), (20, 5), (20, 5)]
    assert sets == numbers() != numbers(seed=2)
    larger = numbers(0.3, 0.2)
    assert [len(a_set) for a_set in larger] == [100, 60, 40] and sets[2] < larger[2]
    own_test = Datasets.from_arrays(x, y, test=(x[:7], y[:7]))
    assert [len(labels) for _, labels in own_test] == [180, 20, 7]


def test_arrays_are_trained_on(images):
    x, y = images
    x = numpy.pad(x, ((0, 0), (0, 0), (6, 6), (6, 6)))
    source = ShuffledDataset(StandardizedDataset(Datasets.from_arrays(x, y)))
    model, result = evaluate_lenet5(dataset=source, n_epochs=1, nkerns=(2, 2), batch_size=10)
    assert 0 <= result.test_error <= 1


@pytest.mark.parametrize("change, words", [
    ({"x": [[1, 2], [3]]}, "the arrays: train: "),
    ({"x": numpy.zeros((60, 3, 4, 5, 1))}, "images of shape (60, 3, 4, 5, 1); expected (n, height"),
    ({"x": numpy.zeros((60, 4, 4, 4))}, "4 channels first or last; say which with image_shape"),
    ({"x": numpy.full((60, 4), numpy.nan)}, "NaN"),
    ({"x": numpy.array(["a"] * 60)}, "of shape (60,)"),
    ({"y": numpy.zeros((60, 3))}, "labels of shape (60, 3); expected one class for each image"),
    ({"y": [0.5] * 60}, "no whole numbers, such as 0.5"),
    ({"y": [7] * 60}, "one class only, 7"),
    ({"y": [3, 5] * 30, "class_names": list("abcdef")}, "may count from 0 or from 1"),
    ({"test": (numpy.zeros((1, 3, 4, 5)), [0])}, "uint8 in train and float64 in test"),
    ({"y": [None] * 60}, "labels of type object"),
    ({"y": [0] * 58 + [1]}, "60 images but 59 labels"),
    ({"y": [0] * 58 + [1] * 2}, "class 1: 2 images; expected at least 3"),
    ({"test": (numpy.zeros((1, 3, 4, 5), int), [7])}, "label 7"),
    ({"test": (numpy.zeros((1, 3, 4, 5)), ["cat"]), "y": ["dog", "emu"] * 30}, "label 'cat'"),
    ({"test": (numpy.zeros((1, 3, 4, 5)), ["cat"]), "y": [1, 2, 3] * 20}, "labels of type <U3"),
    ({"y": [["a", "b"]] * 60}, "labels of type <U1 and shape (60, 2)"),
    ({"test": (numpy.zeros((1, 4, 5)), [0])}, "images of shapes (3, 4, 5) and (1, 4, 5)"),
    ({"image_shape": (3, 5, 4)}, "images of shape (5, 3, 4); expected image_shape (3, 5, 4)"),
    ({"x": numpy.zeros((60, 7)), "image_shape": (2, 2, 2)}, "image_shape (2, 2, 2), but images of"),
])
def test_arrays_that_cannot_be_trained_on(images, change, words):
    with pytest.raises(DataError) as error:
        Datasets.from_arrays(**dict({"x": images[0], "y": images[1]}, **change))
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("fractions", [(0, 0.1), (0.1, 1), (0.5, 0.5), (-1, 0.1), (0.2, numpy.nan)])
def test_fractions_that_cannot_be(images, fractions):
    with pytest.raises(UsageError, match="positive numbers of a sum below 1"):
        Datasets.from_arrays(*images, validation_fraction=fractions[0], test_fraction=fractions[1])
