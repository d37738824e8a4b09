"""scripts/images_to_pkl.py and scripts/pkl_to_images.py, run as a user runs them."""

import os

import numpy
import pytest
from conftest import assert_refused, run_script, write_dataset
from PIL import Image

from lenet.data import load_arrays
from lenet.errors import DataError
from lenet.images import image_export, image_folder

TO_PKL, TO_IMAGES = "images_to_pkl.py", "pkl_to_images.py"


@pytest.mark.parametrize("output", ["back.pkl.gz", "back"])
@pytest.mark.parametrize("format", ["png", "bmp"])
def test_digits_become_images_and_digits_again(tmp_path, small_sets, small_dataset, output, format):
    images = str(tmp_path / "images")
    assert image_export.export(small_dataset, images, format) == [250, 130, 120]
    output = str(tmp_path / output)
    image_folder.build(images + "/train", output, images + "/valid", images + "/test",
                       order="name")
    found = load_arrays(output)
    assert found.class_names == list("0123456789")
    assert (found.image_shape, found.preparation) == ((1, 28, 28), "digit")
    for (x, y), (expected_x, expected_y) in zip(found, small_sets):
        assert x.dtype == expected_x.dtype and y.dtype == expected_y.dtype
        numpy.testing.assert_array_equal(x, expected_x)
        numpy.testing.assert_array_equal(y, expected_y)


def test_the_round_trip_as_typed(tmp_path, small_sets, small_dataset):
    process = run_script(TO_IMAGES, small_dataset, "images", "--format", "png", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    assert process.stdout.splitlines() == [
        "250 images for training, 130 for validation, 120 for testing", "written: images"]
    label = small_sets[0][1][7]
    with Image.open(tmp_path / "images" / "train" / str(label) / "00007.png") as image:
        assert image.mode == "L"
        numpy.testing.assert_array_equal(numpy.asarray(image).ravel() / 256.0, small_sets[0][0][7])

    process = run_script(TO_PKL, "images/train", "back.pkl.gz", "--order", "name", "--validation",
                         "images/valid", "--test", "images/test", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    assert process.stdout.splitlines() == [
        "10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "images of 28 x 28 pixels, grey",
        "250 for training, 130 for validation, 120 for testing",
        "written: back.pkl.gz",
        "train on it: python scripts/convolutional_mlp.py --dataset back.pkl.gz --own-images "
        "--output RUN",
    ]
    for (x, y), (expected_x, expected_y) in zip(load_arrays(str(tmp_path / "back.pkl.gz")),
                                                small_sets):
        numpy.testing.assert_array_equal(x, expected_x)
        numpy.testing.assert_array_equal(y, expected_y)


def test_photographs(script, tmp_path, rng, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("cat", "dog"):
        os.makedirs(tmp_path / "pets" / name)
        for i in range(5):
            Image.fromarray(rng.randint(0, 256, (40, 30, 3)).astype("uint8")).save(
                tmp_path / "pets" / name / ("%d.jpg" % i))
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("no image")
    process = script(TO_PKL, "pets", "set", "--size", 20, 16, "--limit", 10)
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines() == [
        "2 classes: cat, dog",
        "images of 20 x 16 pixels, colour",
        "6 for training, 2 for validation, 2 for testing",
        "the test set is small: one of its 2 images is 50 %",
        "written: set",
        "skipped:",
        "  pets/cat/notes.txt: no image that Pillow can read",
        "train on it: python scripts/convolutional_mlp.py --dataset set --own-images --output RUN",
    ]
    sets = load_arrays(str(tmp_path / "set"))
    assert sets.image_shape == (3, 20, 16) and sets.class_names == ["cat", "dog"]
    # And back: colours and names are kept.
    process = script(TO_IMAGES, "set", "images")
    assert process.returncode == 0, process.stderr
    with Image.open(tmp_path / "images" / "train" / ["cat", "dog"][sets[0][1][3]] / "00003.png") \
            as image:
        numpy.testing.assert_array_equal(
            numpy.asarray(image).transpose(2, 0, 1).ravel() / 256.0, sets[0][0][3])

    process = script(TO_PKL, "pets", "strict", "--strict")
    assert_refused(process, 1, "images_to_pkl.py: ", "notes.txt", "--strict")
    assert sorted(os.listdir(tmp_path)) == ["images", "pets", "set"]


def test_wrong_use(script, tmp_path, small_dataset):
    assert_refused(script(TO_PKL), 2, "source, output")
    assert_refused(script(TO_PKL, tmp_path, "out", "--limit", 0), 2, "limit 0")
    assert_refused(script(TO_PKL, tmp_path / "none", tmp_path / "out"), 1, "none", "subfolder")
    assert_refused(script(TO_IMAGES, small_dataset), 2, "output")
    assert_refused(script(TO_IMAGES, tmp_path / "none.pkl.gz", tmp_path / "out"), 1,
                   "not found")
    assert os.listdir(tmp_path) == ["small.pkl.gz"]


# --- lenet.images.image_export ----------------------------------------------------------


def test_pixels_that_are_no_bytes(tmp_path, small_sets):
    for pixel in (0.3, 1.0, -1 / 256, 300.0):
        small_sets[1][0][4, 5] = pixel
        path = write_dataset(tmp_path / "other.pkl.gz", small_sets)
        with pytest.raises(DataError, match="validation set: image 4: pixel .*; expected byte / 2"):
            image_export.export(path, str(tmp_path / "images"))
    assert os.listdir(tmp_path) == ["other.pkl.gz"]


def test_classes_that_would_leave_the_folder(tmp_path):
    from lenet.data import plain_pickle

    x, y = numpy.zeros((4, 4), "float32"), numpy.arange(4) % 2
    for name in ("..", "../../outside", "/tmp/outside", ".hidden", "a\\b"):
        with open(tmp_path / "hostile.pkl", "wb") as file:
            plain_pickle.dump(((x, y),) * 3 + ({
                "image_shape": (1, 2, 2), "class_names": ["a", name], "preparation": "resize"},),
                file)
        with pytest.raises(DataError, match="cannot be the name of a folder"):
            image_export.export(str(tmp_path / "hostile.pkl"), str(tmp_path / "images"))
    assert os.listdir(tmp_path) == ["hostile.pkl"]


def test_images_are_not_mixed_with_others(tmp_path, small_dataset):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.jpg").write_text("mine")
    with pytest.raises(DataError, match="something else already"):
        image_export.export(small_dataset, str(tmp_path / "images"))
    assert (tmp_path / "images" / "mine.jpg").read_text() == "mine"
