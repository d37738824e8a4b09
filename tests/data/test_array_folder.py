"""lenet.data.array_folder: datasets as folders of arrays, and what is refused."""

import gzip
import json
import os
import pickle
import shutil

import numpy
import pytest
import theano
from conftest import mutate, write_arrays

from lenet.data import loading
from lenet.data.array_folder import FILES, ArrayWriter
from lenet.errors import DataError


@pytest.fixture
def sets(rng):
    """8, 5 and 4 images of 3 x 2 x 4 in 2 classes."""
    return [(rng.randint(0, 256, (n, 3, 2, 4)).astype("uint8"), numpy.arange(n) % 2)
            for n in (8, 5, 4)]


@pytest.fixture
def folder(tmp_path, sets):
    return write_arrays(tmp_path / "arrays", sets, ["cat", "dog"])


def test_a_folder_is_a_dataset(folder, sets):
    for found in loading.load_arrays(folder), loading.load_data(folder):
        assert found.image_shape == (3, 2, 4)
        assert found.class_names == ["cat", "dog"] and found.preparation == "resize"
    for (x, y), (shared_x, shared_y), (bytes_x, labels) in zip(
            loading.load_arrays(folder), loading.load_data(folder), sets):
        assert x.dtype == theano.config.floatX and y.dtype == "int64"
        numpy.testing.assert_array_equal(x, bytes_x.reshape(len(labels), 24) / 256.0)
        numpy.testing.assert_array_equal(y, labels)
        numpy.testing.assert_array_equal(shared_x.get_value(), x)
        numpy.testing.assert_array_equal(shared_y.eval(), y)


def test_the_images_stay_on_the_disk(folder, sets):
    for (x, _), (bytes_x, labels) in zip(loading.open_arrays(folder), sets):
        assert isinstance(x, numpy.memmap) and x.dtype == "uint8"
        numpy.testing.assert_array_equal(x, bytes_x.reshape(len(labels), 24))


def test_it_is_found_by_its_name(folder, monkeypatch):
    monkeypatch.setattr(loading, "REPOSITORY_DATA", os.path.dirname(folder))
    assert loading.find_dataset("arrays") == folder


def test_numpy_reads_what_is_written_row_by_row(tmp_path, rng):
    for dtype, row_shape, n in (("uint8", (3, 5, 4), 300), ("int64", (), 12345),
                                ("uint8", (1,), 0)):
        path = str(tmp_path / "array.npy")
        writer = ArrayWriter(path, dtype, row_shape)
        rows = rng.randint(0, 256, (n,) + row_shape)
        for row in rows:
            writer.append(row)
        writer.close()
        found = numpy.load(path)
        assert found.dtype == dtype
        numpy.testing.assert_array_equal(found, rows)


# --- what is refused ------------------------------------------------------------------------


def check_refusal(folder, *words):
    with pytest.raises(DataError) as error:
        loading.load_arrays(str(folder))
    line = str(error.value)
    assert "\n" not in line and str(folder) in line
    for word in words:
        assert word in line


@pytest.mark.parametrize("name", FILES)
def test_missing_and_truncated_files(folder, name):
    path = os.path.join(folder, name)
    size = os.path.getsize(path)
    # 129: behind the header of an array, before its end.
    for kept in (0, 5, 100, 129, size - 1):
        with open(path, "r+b") as file:
            file.truncate(min(kept, size - 3))
        check_refusal(folder, name, "make the dataset again")
    os.unlink(path)
    check_refusal(folder, name)
    os.mkdir(path)
    check_refusal(folder, name)


def test_arrays_of_objects_are_never_unpickled(folder, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "hacked"),)

    for name in FILES[1:]:
        shutil.copy(os.path.join(folder, name), tmp_path / "kept")
        numpy.save(os.path.join(folder, name), numpy.array([Evil()], dtype=object))
        check_refusal(folder, name, "no intact array")
        with open(os.path.join(folder, name), "wb") as file:
            pickle.dump(Evil(), file)
        check_refusal(folder, name, "no intact array")
        shutil.move(tmp_path / "kept", os.path.join(folder, name))
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    "name, array, words",
    [
        ("train_x", numpy.zeros((8, 3, 2, 4), "float32"), ["float32", "expected uint8"]),
        ("train_x", numpy.zeros((8, 24), "uint8"), ["(8, 24)", "expected uint8 of shape"]),
        ("train_x", numpy.zeros((8, 3, 2, 4), "uint8", order="F"), ["row by row"]),
        ("train_x", numpy.zeros((0, 3, 2, 4), "uint8"), ["train_x.npy"]),
        ("train_x", numpy.zeros((8, 3, 0, 4), "uint8"), ["train_x.npy"]),
        ("valid_x", numpy.zeros((5, 2, 3, 4), "uint8"), ["(2, 3, 4)", "dataset.json"]),
        ("test_x", numpy.zeros((4, 1, 2, 4), "uint8"), ["(1, 2, 4)", "dataset.json"]),
        ("test_x", numpy.zeros((9, 3, 2, 4), "uint8"), ["test set", "9 images but 4 labels"]),
        ("train_y", numpy.zeros((8, 1), "int64"), ["training set", "labels of shape (8, 1)"]),
        ("train_y", numpy.arange(8), ["training set", "label 2", "0 to 1"]),
        ("valid_y", numpy.full(5, 0.5), ["validation set", "label 0.5", "whole numbers"]),
        ("valid_y", numpy.full(5, -1), ["validation set", "label -1"]),
        ("test_y", numpy.array(["a"] * 4), ["where numbers were expected"]),
        ("test_y", numpy.zeros(4, "i4,f4"), ["where numbers were expected"]),
        ("test_y", numpy.zeros(4, "M8[D]"), ["where numbers were expected"]),
    ],
)
def test_arrays_that_do_not_fit(folder, name, array, words):
    numpy.save(os.path.join(folder, name + ".npy"), array)
    check_refusal(folder, *words)


@pytest.mark.parametrize(
    "text, words",
    [
        ("", ["no JSON"]), ("{", ["no JSON"]), (b"\xff\xfe", ["no JSON"]),
        ("[]", ["where a dict of"]), ("null", ["where a dict of"]), ("NaN", ["where a dict of"]),
        ({"image_shape": [3, 4, 2]}, ["dataset.json says otherwise"]),
        ({"image_shape": "3 x 2 x 4"}, ["dataset.json says otherwise"]),
        ({"image_shape": [3.0, 2, 4]}, ["image_shape [3.0, 2, 4]"]),
        ({"class_names": ["cat"]}, ["label 1", "0 to 0"]),
        ({"class_names": ["cat", None]}, ["class_names ['cat', None]"]),
        ({"class_names": {"cat": 0, "dog": 1}}, ["class_names {"]),
        ({"class_names": [str(i) for i in range(9)]}, ["9 class_names; expected at most 8"]),
        ({"preparation": 3}, ["preparation 3"]),
        ({"preparation": None}, ["preparation None"]),
    ],
)
def test_descriptions_that_do_not_fit(folder, text, words):
    path = os.path.join(folder, "dataset.json")
    if isinstance(text, dict):
        with open(path) as file:
            text = json.dumps(dict(json.load(file), **text))
    with open(path, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    check_refusal(folder, *words)


# --- mutated files --------------------------------------------------------------------------


def test_two_thousand_mutated_files_are_refused_or_read(folder, sets, tmp_path, rng,
                                                        limited_memory):
    plain = [(x.reshape(len(x), 24)[:, :16] / numpy.float32(256), y) for x, y in sets]
    described = [(x.reshape(len(x), 24) / numpy.float32(256), y) for x, y in sets] + [
        {"image_shape": (3, 2, 4), "class_names": ["cat", "dog"], "preparation": "resize"}]
    pickles = [pickle.dumps(value, protocol) for value in (plain, described, [
        [x.tolist(), y.tolist()] for x, y in plain]) for protocol in (0, 2, 5)]
    originals = {name: open(os.path.join(folder, name), "rb").read() for name in FILES}
    n_refused = 0
    for i in range(2000):
        if i % 2:
            path = str(tmp_path / "mutated.pkl.gz")
            with gzip.open(path, "wb", 1) as file:
                file.write(mutate(pickles[rng.randint(len(pickles))], rng))
            if i % 10 == 1:  # the compressed file itself
                with open(path, "rb") as file:
                    content = mutate(file.read(), rng)
                with open(path, "wb") as file:
                    file.write(content)
        else:
            path, name = folder, FILES[rng.randint(len(FILES))]
            with open(os.path.join(folder, name), "wb") as file:
                file.write(mutate(originals[name], rng))
        try:
            found = loading.load_arrays(path)
            assert len(found) == 3 and all(numpy.isfinite(x).all() for x, _ in found)
            assert max(y.max() for _, y in found) < len(found.class_names)
        except DataError as error:
            n_refused += 1
            assert "\n" not in str(error) and path in str(error)
        if path == folder:
            with open(os.path.join(folder, name), "wb") as file:
                file.write(originals[name])
    assert 800 < n_refused < 2000  # most damage shows; the rest changed a number or a name
