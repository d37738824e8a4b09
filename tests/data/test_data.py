"""lenet.data: finding, checking and placing datasets."""

import gzip
import os
import pickle
import resource

import numpy
import pytest
import theano
from conftest import REPOSITORY, run_python, write_dataset

from lenet.data import image_shape_of, loading, mnist
from lenet.errors import DataError


def test_load_data_gives_the_tutorials_shared_variables(small_dataset, small_sets):
    sets = loading.load_data(small_dataset)
    assert len(sets) == 3
    for (shared_x, y), (expected_x, expected_y) in zip(sets, small_sets):
        assert shared_x.get_value(borrow=True).dtype == theano.config.floatX
        numpy.testing.assert_array_equal(shared_x.get_value(), expected_x)
        # The labels are stored as floatX and cast to int32 in the graph.
        assert y.dtype == "int32"
        assert y.owner.inputs[0].get_value(borrow=True).dtype == theano.config.floatX
        numpy.testing.assert_array_equal(y.eval(), expected_y)


def test_shared_dataset_borrows_or_copies(small_sets):
    x, y = small_sets[0]
    borrowed, _ = loading.shared_dataset((x, y))
    copied, _ = loading.shared_dataset((x, y), borrow=False)
    x[0, 0] = 7
    assert borrowed.get_value(borrow=True)[0, 0] == 7
    assert copied.get_value(borrow=True)[0, 0] == 0


def test_the_arrays_are_in_memory_once_while_they_are_read():
    code = (
        "import resource, lenet.data as data, numpy\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "sets = data.load_arrays('mnist.pkl.gz')\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print((after - before) * 1024, sum(a.nbytes for pair in sets for a in pair))\n"
    )
    process = run_python("-c", code)
    peak, arrays = map(int, process.stdout.split())
    assert arrays > 200e6
    assert peak <= 1.25 * arrays
    assert resource.RUSAGE_SELF == 0


# --- what the sets hold ---------------------------------------------------------------------


def write_set(path, x, y, description):
    with gzip.open(path, "wb") as file:
        pickle.dump([(x, y)] * 3 + [description], file)
    return str(path)


COLOUR = {"image_shape": (3, 2, 4), "class_names": ["cat", "dog"], "preparation": "resize"}


def test_mnist_says_what_it_holds(small_dataset):
    for sets in loading.load_data(small_dataset), loading.load_arrays(small_dataset):
        assert isinstance(sets, list) and len(sets) == 3
        assert sets.image_shape == (1, 28, 28)
        assert sets.class_names == list("0123456789")
        assert sets.preparation == "digit"


def test_a_plain_pickle_of_other_images(tmp_path):
    x, y = numpy.zeros((30, 9), "float32"), numpy.arange(30) % 12
    path = write_dataset(tmp_path / "small.pkl.gz", [(x, y), (x, y), (x, y // 2)])
    sets = loading.load_arrays(path)
    assert sets.image_shape == (1, 3, 3) and sets.preparation == "resize"
    assert sets.class_names[-3:] == ["9", "10", "11"] and len(sets.class_names) == 12


def test_a_plain_pickle_of_other_images_of_the_size_of_mnist(tmp_path, small_sets):
    shirts = [(x[:, ::-1].repeat(2, axis=1)[:, :784], y) for x, y in small_sets]
    path = write_dataset(tmp_path / "shirts.pkl.gz", shirts)
    assert loading.open_arrays(path).preparation == "resize"


def test_a_plain_pickle_of_bytes(tmp_path, small_sets, small_dataset):
    as_bytes = [((x * 256).astype("uint8"), y) for x, y in small_sets]
    path = write_dataset(tmp_path / "bytes.pkl.gz", as_bytes)
    for found, expected in zip(loading.load_arrays(path), small_sets):
        assert found[0].dtype == theano.config.floatX
        numpy.testing.assert_array_equal(found[0], expected[0])
    assert loading.open_arrays(path).preparation == "digit"


def test_a_pickle_of_colour_images_with_names(tmp_path):
    x, y = numpy.zeros((5, 24), "float32"), numpy.arange(5) % 2
    path = write_set(tmp_path / "colour.pkl.gz", x, y, COLOUR)
    for sets in loading.load_data(path), loading.load_arrays(path):
        assert sets.image_shape == (3, 2, 4)
        assert sets.class_names == ["cat", "dog"]
        assert sets.preparation == "resize"
        assert image_shape_of(sets, least=2) == (3, 2, 4)
        with pytest.raises(DataError, match="2 x 4 pixels; this network needs at least 3 x 3"):
            image_shape_of(sets, least=3)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"image_shape": None}, ["image_shape None"]),
        ({"image_shape": (3, 2, 5)}, ["image_shape (3, 2, 5)", "24 pixels; expected 30"]),
        ({"image_shape": (1, 24)}, ["image_shape (1, 24)"]),
        ({"image_shape": (1, -4, -6)}, ["image_shape (1, -4, -6)"]),
        ({"image_shape": (True, 4, 6)}, ["image_shape (True, 4, 6)"]),
        ({"image_shape": (3, 2.0, 4)}, ["image_shape (3, 2.0, 4)"]),
        ({"class_names": []}, ["class_names []"]),
        ({"class_names": "cats"}, ["class_names 'cats'"]),
        ({"class_names": ["cat", 1]}, ["class_names"]),
        ({"class_names": ["cat", "cat"]}, ["different names"]),
        ({"class_names": ["cat", "dog\nmouse"]}, ["class_names"]),
        ({"class_names": list("abcdef")}, ["6 class_names; expected at most 5"]),
        ({"class_names": ["cat"]}, ["label 1", "from 0 to 0", "class_names"]),
        ({"preparation": "code"}, ["preparation 'code'", "digit, resize"]),
        ({"preparation": ["digit"]}, ["preparation ['digit']"]),
        ({"preparation": numpy.zeros(2)}, ["preparation", "digit, resize"]),
    ],
)
def test_descriptions_that_cannot_be(tmp_path, change, words):
    x, y = numpy.zeros((5, 24), "float32"), numpy.arange(5) % 2
    path = write_set(tmp_path / "colour.pkl.gz", x, y, dict(COLOUR, **change))
    check_refusal(path, *words)


@pytest.mark.parametrize("description", [5, "text", [1], numpy.zeros(3), ()])
def test_a_fourth_element_that_is_no_description(tmp_path, description):
    x, y = numpy.zeros((5, 24), "float32"), numpy.arange(5) % 2
    check_refusal(write_set(tmp_path / "other.pkl.gz", x, y, description), "where a dict of")


# --- where a dataset is looked for ----------------------------------------------------------


def test_a_bare_name_is_looked_up_here_then_in_the_repository_then_in_the_cache(
    tmp_path, monkeypatch
):
    folders = {name: tmp_path / name for name in ("here", "repository", "cache")}
    for folder in folders.values():
        folder.mkdir()
        (folder / "some.pkl.gz").write_text("")
    monkeypatch.chdir(folders["here"])
    monkeypatch.setattr(loading, "REPOSITORY_DATA", str(folders["repository"]))
    monkeypatch.setattr("pooch.os_cache", lambda project: folders["cache"])
    for name in ("here", "repository", "cache"):
        found = os.path.abspath(loading.find_dataset("some.pkl.gz"))
        assert found == str(folders[name] / "some.pkl.gz")
        os.unlink(found)
    with pytest.raises(DataError, match="not found in this folder"):
        loading.find_dataset("some.pkl.gz")


def test_the_repository_holds_mnist():
    assert loading.find_dataset("mnist.pkl.gz") == os.path.join(REPOSITORY, "data", "mnist.pkl.gz")


def test_mnist_found_nowhere_is_fetched_into_the_cache(tmp_path, monkeypatch):
    fetched = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "REPOSITORY_DATA", str(tmp_path))
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "cache")
    monkeypatch.setattr(mnist, "fetch", fetched.append)
    path = loading.find_dataset("mnist.pkl.gz")
    assert fetched == [path] == [str(tmp_path / "cache" / "mnist.pkl.gz")]


# --- what is refused ------------------------------------------------------------------------


def check_refusal(path, *words):
    with pytest.raises(DataError) as error:
        loading.load_arrays(str(path))
    line = str(error.value)
    assert "\n" not in line and os.path.basename(str(path)) in line
    for word in words:
        assert word in line
    return line


def test_missing(tmp_path):
    check_refusal(tmp_path / "none.pkl.gz", "not found")


def test_a_folder(tmp_path):
    check_refusal(tmp_path, "cannot be read")


def test_what_a_pickle_is_named_does_not_matter(tmp_path, small_sets):
    path = tmp_path / "plain.pkl.gz"
    path.write_bytes(pickle.dumps(small_sets))
    numpy.testing.assert_array_equal(loading.load_arrays(str(path))[2][0], small_sets[2][0])


@pytest.mark.parametrize("kept", [0, 5, 100, -1, -9])
def test_truncated(small_dataset, kept):
    with open(small_dataset, "rb") as file:
        content = file.read()[:kept]
    with open(small_dataset, "wb") as file:
        file.write(content)
    check_refusal(small_dataset, "truncated")


def test_damaged_inside(small_dataset):
    with open(small_dataset, "r+b") as file:
        file.seek(20000)
        byte = file.read(1)
        file.seek(20000)
        file.write(bytes([byte[0] ^ 255]))
    check_refusal(small_dataset)


def test_something_behind_the_pickle(tmp_path, small_sets):
    path = tmp_path / "long.pkl.gz"
    with gzip.open(path, "wb") as file:
        file.write(pickle.dumps(small_sets) + b"more")
    check_refusal(path, "follows the pickle")


def test_code(tmp_path):
    path = tmp_path / "code.pkl.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"cos\nsystem\n(S'touch %s/hacked'\ntR." % str(tmp_path).encode())
    check_refusal(path, "system")
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("value", [(), [1, 2, 3], "text", {"train": 1}, ((1, 2), (3, 4)),
                                   ((1, 2, 3),) * 3])
def test_no_three_pairs(tmp_path, value):
    path = tmp_path / "other.pkl.gz"
    with gzip.open(path, "wb") as file:
        pickle.dump(value, file)
    check_refusal(path, "three pairs")


def change_labels(sets):
    sets[0][1][3] = 250


def change_labels_unseen(sets):
    sets[1][1][3] = 10


def change_labels_below(sets):
    sets[1][1][3] = -1


def change_labels_between(sets):
    sets[1][1] = sets[1][1] + 0.5


def change_pixels(sets):
    sets[2][0][5, 7] = numpy.nan


def change_pixels_infinite(sets):
    sets[0][0][200, 7] = -numpy.inf


def shorten_labels(sets):
    sets[0][1] = sets[0][1][:-1]


def empty_set(sets):
    sets[2] = [sets[2][0][:0], sets[2][1][:0]]


def narrow_images(sets):
    sets[2][0] = sets[2][0][:, :-1]


def image_cubes(sets):
    sets[0][0] = sets[0][0].reshape(-1, 28, 28)


def label_matrix(sets):
    sets[0][1] = sets[0][1].reshape(-1, 1)


@pytest.mark.parametrize(
    "change, words",
    [
        (change_labels, ["training set", "label 250", "0 to 249", "250 training images"]),
        (change_labels_below, ["validation set", "label -1", "0 to 9"]),
        (change_labels_unseen, ["validation set", "label 10", "0 to 9", "the training images"]),
        (change_labels_between, ["validation set", "label", "whole numbers"]),
        (change_pixels, ["test set", "NaN"]),
        (change_pixels_infinite, ["training set", "infinite"]),
        (shorten_labels, ["training set", "250 images but 249 labels"]),
        (empty_set, ["test set", "empty"]),
        (narrow_images, ["784, 784 and 783 pixels"]),
        (image_cubes, ["training set", "(250, 28, 28)"]),
        (label_matrix, ["training set", "(250, 1)"]),
    ],
)
def test_contents_that_cannot_be_trained_on(tmp_path, small_sets, change, words):
    change(small_sets)
    path = tmp_path / "wrong.pkl.gz"
    with gzip.open(path, "wb") as file:
        pickle.dump(small_sets, file)
    check_refusal(path, *words)


def test_lists_of_rows_are_accepted(tmp_path):
    rows = [[0.0] * 4, [0.5] * 4]
    path = tmp_path / "lists.pkl.gz"
    with gzip.open(path, "wb") as file:
        pickle.dump([[rows, [0, 1]]] * 3, file)
    x, y = loading.load_arrays(str(path))[0]
    assert x.dtype == theano.config.floatX and x.tolist() == rows
    assert y.dtype == "int64" and y.tolist() == [0, 1]


def test_rows_of_different_lengths(tmp_path):
    path = tmp_path / "lists.pkl.gz"
    with gzip.open(path, "wb") as file:
        pickle.dump([[[[0.0], [0.5, 1.0]], [0, 1]]] * 3, file)
    check_refusal(path, "equally long rows")


@pytest.mark.parametrize("labels", [[[0, 1], [1, 0]], [0, "dog"], 5, None, {0: 1}])
def test_labels_that_are_no_list_of_numbers(tmp_path, labels):
    path = tmp_path / "labels.pkl.gz"
    with gzip.open(path, "wb") as file:
        pickle.dump([[[[0.0], [1.0]], labels]] * 3, file)
    check_refusal(path, "labels")


def test_the_size_of_the_images(small_dataset, tmp_path):
    sets = loading.load_data(small_dataset)
    assert image_shape_of(sets) == (1, 28, 28)
    with pytest.raises(DataError, match="28 x 28 pixels; this network needs at least 32 x 32"):
        image_shape_of(sets, least=32)
    x, y = numpy.zeros((1, 14), "float32"), numpy.zeros(1, "int64")
    oblong = loading.load_data(write_dataset(tmp_path / "oblong.pkl.gz", [(x, y)] * 3))
    with pytest.raises(DataError, match="14 pixels; expected square ones.* image_shape"):
        image_shape_of(oblong)
