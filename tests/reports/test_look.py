"""lenet.reports.look: which pictures there are for which network, and the page that shows them."""

import html.parser
import os

import numpy
import pytest
import theano.tensor as T
from conftest import assert_refused, write_dataset
from PIL import Image

from lenet import network3, networks
from lenet.convolutional_mlp import LeNet5
from lenet.errors import DataError, UsageError
from lenet.lenet5_1998 import LeNet5_1998
from lenet.logistic_sgd import LogisticRegression
from lenet.mlp import MLP
from lenet.reports import look

NAMES = [str(i) for i in range(10)]
LOG = "iteration,epoch,cost,validation,test,seconds\n5,1,2.5,0.5,0.25,1.5\n10,2,1.25,0.75,,3\n"


class Page(html.parser.HTMLParser):
    """The pictures and the links of a page."""

    def __init__(self, path):
        super().__init__()
        self.links = []
        with open(path, encoding="utf-8") as file:
            self.text = file.read()
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        self.links += [value for key, value in attributes if key in ("src", "href")]
        assert tag not in ("script", "link")


def look_at(model, tmp_path, dataset, **options):
    """The names of the files that are written, the page last; and the page."""
    folder = tmp_path / "RUN"
    folder.mkdir()
    (folder / "log.csv").write_text(LOG)
    networks.save_model(str(folder / "model.safetensors"), model, NAMES, (1, 28, 28), "digit")
    output = tmp_path / "new" / "folder"
    written = look.look(str(folder), str(output), dataset, **options)
    names = [os.path.basename(path) for path in written]
    assert sorted(names) == sorted(os.listdir(output))
    for name in names[:-1]:
        with Image.open(output / name) as image:
            assert image.format == "PNG"
    page = Page(written[-1])
    # Nothing but the folder's own pictures, and places of the page.
    assert [link for link in page.links if not link.startswith("#")] == names[:-1]
    return names, page


def test_lenet(tmp_path, small_dataset):
    model = LeNet5(numpy.random.RandomState(1), T.matrix("x"), nkerns=(2, 3), n_hidden=5)
    image = tmp_path / "four.png"
    picture = numpy.full((90, 60), 200, dtype="uint8")
    picture[20:70, 28:34] = 20
    Image.fromarray(picture).save(image)
    names, page = look_at(model, tmp_path, small_dataset, image=str(image))
    assert names == ["network.png", "curves.png", "filters_layer0.png", "filters_layer1.png",
                     "confusion.png", "errors.png", "index.html"]
    assert "four.png" in page.text and "LeNet5: " in page.text
    assert "3 filters of 5 x 5, for 2 maps below:" in page.text


def test_logistic_regression_and_its_errors(tmp_path, small_dataset, small_sets):
    model = LogisticRegression(T.matrix("x"), 784, 10)
    model.b.set_value(numpy.eye(10, dtype="float32")[3])  # it takes all for a 3
    names, page = look_at(model, tmp_path, small_dataset)
    assert names == ["network.png", "curves.png", "weights.png", "confusion.png", "errors.png",
                     "index.html"]
    wrong = int((small_sets[2][1] != 3).sum())
    assert f"{wrong} of 120 images of the test set are misclassified" in page.text
    assert f"60 of the {wrong} images" in page.text


def test_a_perceptron(tmp_path, small_dataset):
    model = MLP(numpy.random.RandomState(1), T.matrix("x"), 784, 7, 10)
    names, page = look_at(model, tmp_path, small_dataset, index=119)
    assert "weights.png" in names and "7 of the 7 hidden units" in page.text
    assert "image 119 of the test set" in page.text


def test_network3(tmp_path, small_dataset):
    names, page = look_at(network3.conv_network((1, 28, 28), 2), tmp_path, small_dataset)
    assert names[:4] == ["network.png", "curves.png", "filters_layer0.png", "filters_layer1.png"]
    assert "Network: " in page.text and "16 of 40 filters of 5 x 5, for 8 of 20 maps" in page.text


def test_the_paper_of_1998_has_too_many_filters_for_a_picture(tmp_path, small_dataset):
    model = LeNet5_1998(numpy.random.RandomState(1), T.matrix("x"), (1, 28, 28))
    names, page = look_at(model, tmp_path, small_dataset)
    assert names[2:5] == ["filters_C1.png", "filters_C3.png", "filters_C5.png"]
    assert "16 filters of 5 x 5, for 6 maps below" in page.text
    assert "16 of 120 filters of 5 x 5, for 8 of 16 maps below, those with the" in page.text


def test_the_filters_with_the_largest_weights(rng):
    filters = 0.01 * rng.randn(30, 12, 5, 5)
    strong, strong_maps = sorted(rng.permutation(30)[:16]), sorted(rng.permutation(12)[:8])
    filters[numpy.ix_(strong, strong_maps)] *= 100
    _, figure = look.draw_strongest_filters(filters)
    axes, = figure.axes
    assert [int(label.get_text()) for label in axes.get_xticklabels()] == strong
    assert [int(label.get_text()) for label in axes.get_yticklabels()] == strong_maps
    shown = axes.images[0].get_array()[6:11, 12:17]  # of the second map and the third filter
    expected = filters[strong[2], strong_maps[1]]
    numpy.testing.assert_allclose(shown, (expected - expected.min()) / numpy.ptp(expected))


def test_a_picture_needs_no_dataset(tmp_path, small_sets, script):
    model = LeNet5(numpy.random.RandomState(1), T.matrix("x"), nkerns=(2, 3), n_hidden=5,
                   n_out=2)
    networks.save_model(str(tmp_path / "model"), model, ["four", "five"], (1, 28, 28), "digit")
    image = tmp_path / "digit.png"
    Image.fromarray((256 * small_sets[0][0][0]).astype("uint8").reshape(28, 28)).save(image)
    options = (tmp_path / "model", "--output", tmp_path / "look")
    process = script("look.py", *options, "--image", image)  # the classes of MNIST are others
    assert_refused(process, 0, "no confusion matrix and no errors", "the classes", "four")
    names = ["network.png", "filters_layer0.png", "filters_layer1.png", "index.html"]
    assert process.stdout.splitlines() == [str(tmp_path / "look" / name) for name in names]
    page = Page(tmp_path / "look" / "index.html")
    assert "<h1>LeNet5</h1>" in page.text and "digit.png" in page.text
    for wrong in ([], ["--image", image, "--dataset", "mnist.pkl.gz"]):
        assert_refused(script("look.py", *options, *wrong), 1, "the classes", "--dataset")


def test_by_command(script, saved_path, small_dataset, tmp_path):
    output = tmp_path / "pictures"
    process = script("look.py", saved_path, "--output", output, "--dataset", small_dataset)
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines() == [
        str(output / name) for name in ("network.png", "weights.png", "confusion.png",
                                        "errors.png", "index.html")]


def test_weights_are_columns(rng):
    model = LogisticRegression(T.matrix("x"), 3 * 4 * 5, 2)
    W = rng.randn(60, 2).astype("float32")
    model.W.set_value(W)
    pictures = look.find_pixel_weights(model, (3, 4, 5))
    assert pictures.shape == (2, 4, 5, 3)
    assert pictures[1, 2, 3, 1] == W[1 * 20 + 2 * 5 + 3, 1]


@pytest.fixture
def saved_path(tmp_path):
    model = LogisticRegression(T.matrix("x"), 784, 10)
    networks.save_model(str(tmp_path / "model"), model, NAMES, (1, 28, 28), "digit")
    return str(tmp_path / "model")


def test_a_damaged_log_is_found_before_anything_is_drawn(saved_path, tmp_path, small_dataset):
    (tmp_path / "RUN").mkdir()
    os.rename(saved_path, str(tmp_path / "RUN" / "model.safetensors"))
    (tmp_path / "RUN" / "log.csv").write_text(LOG[:-12])
    with pytest.raises(DataError, match="no log of a run"):
        look.look(str(tmp_path / "RUN"), str(tmp_path / "out"), small_dataset)
    assert not (tmp_path / "out").exists()


def test_what_is_refused(saved_path, tmp_path, small_dataset, small_sets):
    output = str(tmp_path / "out")
    for index in (-1, 120):
        with pytest.raises(UsageError, match=f"index {index}; expected 0 to 119"):
            look.look(saved_path, output, small_dataset, index=index)
    with pytest.raises(DataError, match="none.png: not found"):
        look.look(saved_path, output, small_dataset, image=str(tmp_path / "none.png"))
    small = write_dataset(tmp_path / "other.pkl.gz", [[x[:, :256], y] for x, y in small_sets])
    with pytest.raises(DataError, match=r"shape \(1, 16, 16\), but .* \(1, 28, 28\)"):
        look.look(saved_path, output, small)
    assert not os.path.exists(output)
    with pytest.raises(DataError, match="cannot be made"):
        look.look(saved_path, saved_path, small_dataset)  # a file in the place of the folder
