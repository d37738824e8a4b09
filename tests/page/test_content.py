"""lenet.page.content: what can be asked of the page, without a server; the options of draw.py."""

import importlib.util

import numpy
import pytest
from conftest import assert_refused
from served import trained_run  # noqa: F401

from lenet import networks
from lenet.data import open_arrays
from lenet.data.pictures import read_picture
from lenet.errors import DataError, UsageError
from lenet.images import image_folder
from lenet.page.content import open_page
from lenet.page.drawings import Preparation, Prepared
from lenet.reports.summary import build_by_name


def save_network(path, kind, image_shape, class_names, preparation="resize", **arguments):
    networks.save_model(str(path), build_by_name(kind, image_shape, len(class_names), **arguments),
                        class_names, image_shape, preparation)
    return str(path)


def test_kept_drawings_make_a_dataset(trained_run, tmp_path, mnist_arrays):  # noqa: F811
    page = open_page([trained_run[0]], trained_run[1], str(tmp_path / "drawings"))
    x, y = mnist_arrays[2]
    rows = [numpy.flatnonzero(y == digit)[:3] for digit in (4, 9)]
    for row in numpy.concatenate(rows):
        image = (x[row] * 256).astype("uint8").reshape(1, 28, 28)
        page.execute({"keep": int(y[row])}, Prepared(image, None, None))
    image_folder.build(str(tmp_path / "drawings"), str(tmp_path / "set.pkl.gz"), order="name")
    made = open_arrays(str(tmp_path / "set.pkl.gz"))
    assert made.class_names == ["4", "9"] and made.preparation == "digit"
    found = {image.tobytes() for images, _ in made for image in images.astype("float32")}
    assert found == {x[row].astype("float32").tobytes() for row in numpy.concatenate(rows)}


@pytest.mark.parametrize("name", ["a/b", "..", "\\x"])
def test_a_class_that_is_no_name_of_a_folder(name, tmp_path):
    page = open_page([save_network(tmp_path / "m", "LogisticRegression", (1, 5, 5), ["0", name])],
                     keep=str(tmp_path / "kept"))
    with pytest.raises(DataError, match="cannot be the name of a folder"):
        page.execute({"keep": 1}, Prepared(numpy.zeros((1, 5, 5), "uint8"), None, None))
    assert not (tmp_path / "kept").exists()


def test_colour_and_another_shape(tmp_path, rng):
    from PIL import Image

    preparation = Preparation((3, 20, 30), "resize")
    height, width, channels = preparation.drawing_shape
    assert channels == 3 and width == pytest.approx(1.5 * height, abs=1)
    assert height * width * channels <= 60000
    drawing = rng.randint(0, 256, preparation.drawing_shape).astype("uint8")
    prepared = preparation.prepare_drawing(drawing.tobytes())
    Image.fromarray(drawing).save(tmp_path / "drawing.png")
    # As the same picture in a file.
    numpy.testing.assert_array_equal(prepared.image,
                                     read_picture(str(tmp_path / "drawing.png"), (3, 20, 30)))
    numpy.testing.assert_array_equal(
        preparation.prepare_picture((tmp_path / "drawing.png").read_bytes()).image, prepared.image)
    assert prepared.box is None


def test_networks_that_cannot_be_compared(trained_run, tmp_path):  # noqa: F811
    other = save_network(tmp_path / "other", "LogisticRegression", (1, 28, 28), ["a", "b"], "digit")
    with pytest.raises(UsageError, match="class_names"):
        open_page([trained_run[0], other])
    with pytest.raises(UsageError, match="3 networks; expected one, or two"):
        open_page([trained_run[0]] * 3)


@pytest.mark.parametrize("arguments", [[], ["RUN", "--train"]])
def test_a_network_or_a_training(script, arguments):
    assert_refused(script("draw.py", *arguments), 2, "or --train without any")


def test_without_tornado(script, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name, *more: None if name == "tornado" else found(name, *more))
    assert_refused(script("draw.py", "RUN"), 2, "pip install 'lenet-theano[page]'")
