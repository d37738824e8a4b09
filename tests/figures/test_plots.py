"""lenet.figures.plots: where things stand in a picture; how it looks is for a person to judge."""

import base64
import io
import math

import matplotlib
import numpy
import pytest
from matplotlib import pyplot
from matplotlib.transforms import Bbox
from PIL import Image

from lenet.data import shared_dataset
from lenet.errors import DataError, UsageError
from lenet.figures import plots


def test_mosaic(rng):
    images = rng.randn(5, 3, 2)
    images[4] = 7  # an image without contrast
    picture = plots.make_mosaic(images, columns=3)
    assert picture.shape == (2 * 4 - 1, 3 * 3 - 1)
    for i in range(4):
        row, column = i // 3 * 4, i % 3 * 3
        tile = picture[row:row + 3, column:column + 2]
        expected = (images[i] - images[i].min()) / (images[i].max() - images[i].min())
        numpy.testing.assert_allclose(tile, expected)
    assert (picture[4:7, 3:5] == 0).all()
    assert numpy.isnan(picture[3]).all() and numpy.isnan(picture[:, 2]).all()
    assert numpy.isnan(picture[4:, 6:]).all()  # there is no sixth image


def test_network(rng, tmp_path):
    layers = [("layer0", rng.randn(20, 12, 12)), ("layer1", rng.randn(50, 4, 4)),
              ("layer2", rng.randn(500))]
    figure = plots.draw_network(rng.rand(28, 28), layers, numpy.eye(10)[7], list("0123456789"))
    titles = {axes.get_title() + axes.get_title(loc="left") for axes in figure.axes}
    assert titles == {
        "image, 28 x 28", "probability of each class", "layer0: 20 feature maps, 12 x 12",
        "layer1: 50 feature maps, 4 x 4", "layer2: 500 units",
    }
    assert [bar.get_width() for bar in figure.axes[1].patches] == [0] * 7 + [1] + [0] * 2
    plots.finish(figure, str(tmp_path / "network.png"))
    assert (tmp_path / "network.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_maps_of_one_element_are_compared_with_each_other(rng):
    maps = rng.randn(120, 1, 1)
    figure = plots.draw_network(rng.rand(28, 28), [("C5", maps)], numpy.eye(10)[7],
                                list("0123456789"))
    axes = figure.axes[-1]
    assert axes.get_title(loc="left") == "C5: 120 feature maps, 1 x 1"
    picture = axes.images[0].get_array()
    assert picture.shape == (2, 100)
    numpy.testing.assert_array_equal(picture.ravel()[:120], maps.ravel())


def test_a_network_without_hidden_layers_and_with_many_classes(rng):
    probabilities = rng.permutation(30) / 435
    figure = plots.draw_network(rng.rand(4, 5, 3), [], probabilities,
                                [f"class {i}" for i in range(30)])
    _, bars = figure.axes
    assert bars.get_title() == "the 10 most probable classes"
    numpy.testing.assert_allclose([bar.get_width() for bar in bars.patches],
                                  numpy.arange(29, 19, -1) / 435)
    assert bars.get_yticklabels()[0].get_text() == f"class {probabilities.argmax()}"


def test_filters(rng):
    grey = rng.randn(12, 1, 5, 4)
    images = plots.draw_filters(grey).axes[0].images
    assert len(images) == 12
    low, high = grey[11].min(), grey[11].max()
    numpy.testing.assert_allclose(images[11].norm(images[11].get_array()),
                                  (grey[11, 0] - low) / (high - low))

    colour = rng.randn(3, 3, 5, 5)
    images = plots.draw_filters(colour).axes[0].images
    assert len(images) == 3
    low, high = colour[1].min(), colour[1].max()  # of all colours together
    numpy.testing.assert_allclose(images[1].get_array(), (colour[1].transpose(1, 2, 0) - low)
                                  / (high - low))

    deep = rng.randn(7, 6, 3, 3)
    axes = plots.draw_filters(deep).axes[0]
    picture = axes.images[0].get_array()
    assert picture.shape == (6 * 4 - 1, 7 * 4 - 1)
    tile = picture[4:7, 8:11]  # of filter 2 and map 1
    numpy.testing.assert_allclose(tile, (deep[2, 1] - deep[2, 1].min())
                                  / (deep[2, 1].max() - deep[2, 1].min()))
    assert axes.get_xlabel() == "filter"
    assert axes.get_xticks().tolist() == [1, 5, 9, 13, 17, 21, 25]
    axes = plots.draw_filters(deep, range(10, 17), range(20, 26)).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [str(n) for n in range(20, 26)]
    assert axes.get_xticklabels()[2].get_text() == "12"


def test_weights(rng):
    weights = rng.randn(4, 3, 5)
    weights[1] = 0
    axes, = plots.draw_weights(weights, ["a", "b", "c", "d"], columns=3).axes
    pictures = [image.get_array() for image in axes.images]
    assert len(pictures) == 4 and (pictures[1] == 0.5).all()
    numpy.testing.assert_allclose(pictures[2], 0.5 + weights[2] / abs(weights).max() / 2)
    assert {image.get_clim() for image in axes.images} == {(0, 1)}  # one scale for all
    assert [text.get_text() for text in axes.texts] == ["a", "b", "c", "d"]


def test_confusion():
    axes = plots.draw_confusion(numpy.array([[5, 1], [0, 8]]), ["cat", "dog"]).axes[0]
    assert [(text.get_position(), text.get_text()) for text in axes.texts] == [
        ((0, 0), "5"), ((1, 0), "1"), ((1, 1), "8")]  # column, row
    assert axes.get_xlabel() == "prediction" and axes.get_ylabel() == "truth"
    numpy.testing.assert_allclose(axes.images[0].get_array() ** 2, [[5 / 6, 1 / 6], [0, 1]])
    many = plots.draw_confusion(numpy.eye(50, dtype=int), [f"class {i}" for i in range(50)])
    assert not many.axes[0].texts


def test_a_picture_that_cannot_be_written(tmp_path):
    with pytest.raises(UsageError, match="picture.txt; expected a name that ends in .png"):
        plots.finish(plots.new_figure(1, 1), str(tmp_path / "picture.txt"))
    with pytest.raises(DataError, match="cannot be written"):
        plots.finish(plots.new_figure(1, 1), str(tmp_path / "none" / "picture.png"))
    assert not list(tmp_path.iterdir())


def test_misclassified_digits(rng):
    images, labels = rng.rand(9, 12), numpy.arange(9)
    test_data = shared_dataset((images, labels))
    axes, = plots.plot_errors([2, 5, 7], [1, 1, 4], test_data, (1, 3, 4), rows=2, columns=2).axes
    assert [text.get_text() for text in axes.texts] == ["2", "1", "5", "1", "7", "4"]
    numpy.testing.assert_allclose(axes.images[1].get_array(), images[5].reshape(3, 4), rtol=1e-6)
    for image, truth, prediction in zip(axes.images, axes.texts[::2], axes.texts[1::2]):
        left, right, bottom, top = image.get_extent()  # rows go down: the top is the smaller number
        for x, _ in (truth.get_position(), prediction.get_position()):
            assert 0.9 < (x - left) / (right - left) < 1
        assert 0 < (truth.get_position()[1] - top) / (bottom - top) < 0.1
        assert 0.9 < (prediction.get_position()[1] - top) / (bottom - top) < 1


def test_misclassified_images_have_the_names_of_their_classes(rng):
    test_data = shared_dataset((rng.rand(3, 4), [0, 1, 1]))
    figure = plots.plot_errors([0, 2], [1, 0], test_data, (1, 2, 2), class_names=["cat", "dog"])
    found = {colour: [text.get_text().strip() for text in figure.axes[0].texts
                      if text.get_color() == colour] for colour in ("tab:green", "tab:red")}
    assert found == {"tab:green": ["cat", "dog"], "tab:red": ["dog", "cat"]}


@pytest.mark.parametrize("class_names", [
    ["golden retriever", "station wagon", "MW" * 10, "i"], ["cat", "dog", "owl", "fox"]])
def test_long_names_do_not_touch_each_other_or_the_images(rng, class_names):
    test_data = shared_dataset((rng.rand(24, 4), numpy.arange(24) % 4))
    figure = plots.plot_errors(range(24), (numpy.arange(24) + 1) % 4, test_data, (1, 2, 2), rows=3,
                               columns=8, class_names=class_names)
    axes, = figure.axes
    assert len(axes.images) == 24
    figure.canvas.draw()
    # Of the truths, which are over a line left for the predictions, only the upper half counts.
    boxes = [image.get_window_extent() for image in axes.images]
    for text in axes.texts:
        left, bottom, right, top = text.get_window_extent().extents
        middle = (bottom + top) / 2 if text.get_color() == "tab:green" else bottom
        boxes.append(Bbox([[left, middle], [right, top]]))
    width, height = figure.get_size_inches() * figure.dpi
    for number, box in enumerate(boxes):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
        assert not [other for other in boxes[:number]
                    if min(box.x1, other.x1) - max(box.x0, other.x0) > 1
                    and min(box.y1, other.y1) - max(box.y0, other.y0) > 1]  # pixel


@pytest.mark.parametrize("n_errors, n_drawn", [(9, 6), (0, 0)])
def test_as_many_errors_as_there_is_room_for(rng, n_errors, n_drawn):
    test_data = shared_dataset((rng.rand(9, 4), numpy.zeros(9)))
    figure = plots.plot_errors(range(n_errors), [1] * n_errors, test_data, (1, 2, 2), rows=2,
                               columns=3)
    assert len(figure.axes[0].images) == n_drawn


def test_images_in_rows(rng):
    images = [rng.rand(40, 60, 3), rng.rand(30, 50), rng.rand(30, 45)]
    figure = plots.draw_images(images, ["a", "b", "c\nd"], columns=2, cell=1.5)
    axes, = figure.axes
    assert [text.get_text() for text in axes.texts] == ["a", "b", "c\nd"]
    for shown, image in zip(axes.images, images):
        numpy.testing.assert_array_equal(shown.get_array(), image)
    assert axes.images[1].get_cmap().name == "gray"
    extents = numpy.array([shown.get_extent() for shown in axes.images])
    left, right, bottom, top = extents.T
    # Each keeps its proportions, is as large as there is room for, and stands below its caption.
    numpy.testing.assert_allclose((bottom - top) / (right - left), [4 / 6, 3 / 5, 3 / 4.5])
    numpy.testing.assert_allclose(right - left, 1.5 - plots.GAP_INCHES)
    numpy.testing.assert_allclose((left + right) / 2, [0.75, 2.25, 0.75])
    assert top[0] == top[1] and top[2] > bottom[0]
    for text, (x, y) in zip(axes.texts, zip((left + right) / 2, top)):
        assert text.get_position()[0] == pytest.approx(x) and text.get_va() == "bottom"
        assert 0 < y - text.get_position()[1] < plots.GAP_INCHES
    width, height = figure.get_size_inches()
    assert width == 3 and axes.get_xlim() == (0, 3)
    numpy.testing.assert_allclose(axes.get_ylim(), (height, 0))  # inches, downwards


def test_bars():
    axes = plots.new_figure(2, 1).subplots()
    plots.draw_bars(axes, ["one", "two"], [1.5, 0.25], digits=2)
    assert [bar.get_width() for bar in axes.patches] == [1.5, 0.25]
    assert [text.get_text() for text in axes.texts] == ["1.50", "0.25"]
    assert axes.yaxis_inverted()  # the first bar at the top


def make_rows(epochs, costs, validation, test):
    return [dict(iteration=100 * i, epoch=epoch, cost=cost, validation=v, test=t, seconds=i)
            for i, (epoch, cost, v, t) in enumerate(zip(epochs, costs, validation, test))]


def test_curves_of_a_training():
    figure = plots.draw_curves(make_rows([1, 2, 3, 4], [2.0, 0.5, 0.25, 0.125],
                                         [0.1, 0.02, 0.03, 0.01], [0.12, 0.025, None, 0.011]))
    left, right = figure.axes
    numpy.testing.assert_allclose(left.lines[0].get_xydata(),
                                  [[1, 2], [2, 0.5], [3, 0.25], [4, 0.125]])
    validation, test = right.lines
    numpy.testing.assert_allclose(validation.get_xydata(), [[1, 10], [2, 2], [3, 3], [4, 1]])
    numpy.testing.assert_allclose(test.get_xydata(), [[1, 12], [2, 2.5], [4, 1.1]])
    assert [text.get_text() for text in right.get_legend().get_texts()] == [
        "validation set", "test set, where validation was best so far"]
    assert right.get_yscale() == "log" and right.get_xlabel() == "epoch"
    low, high = right.get_ylim()
    assert 0 < low < 1 and high > 12


def test_curves_with_several_validations_an_epoch():
    rows = make_rows([1, 1, 2, 2, 3], [1, 1, 1, 1, 1], [0.5, 0.4, 0.4, 0.4, 0.4], [None] * 5)
    assert plots.draw_curves(rows).axes[0].lines[0].get_xdata().tolist() == [0.5, 1, 1.5, 2, 2.5]


@pytest.mark.parametrize("rows", [
    [], make_rows([1], [2.3], [0.0], [0.0]),
    make_rows([1, 2], [1, math.nan], [0.5, 0.9], [0.5, None]),
])
def test_curves_that_have_hardly_begun(rows, tmp_path):
    figure = plots.draw_curves(rows)
    assert figure.axes[1].get_yscale() == "linear" and figure.axes[1].get_ylim()[0] == 0
    plots.finish(figure, str(tmp_path / "curves.png"))
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_without_a_display_a_line_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(plots, "has_display", lambda: False)
    plots.finish(plots.new_figure(1, 1), None)
    assert capsys.readouterr().err == (
        "no display to show the picture on; --output FILE.png writes it to a file\n")


def test_in_a_notebook_a_picture_appears_once_and_the_backend_stays(notebook, monkeypatch, capsys):
    monkeypatch.setattr(plots, "has_display", lambda: False)
    open_before, chosen = pyplot.get_fignums(), []
    monkeypatch.setattr(matplotlib, "use", chosen.append)
    figure = plots.new_figure(2, 1)
    # Matplotlib itself would show what is open when the cell ends.
    assert pyplot.get_fignums() == open_before
    plots.finish(figure, None)
    output, = notebook.display_pub.outputs
    image = Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"])))
    assert image.size == (2 * plots.DPI, plots.DPI)
    assert capsys.readouterr() == ("", "") and chosen == []


def test_what_stands_above_a_digit(small_sets, tmp_path):
    x, y = small_sets[2]
    wrong, right = numpy.zeros((120, 10)), numpy.zeros((120, 10))
    wrong[7, (y[7] + 1) % 10], right[7, y[7]] = 0.9, 0.6
    figure = plots.draw_mistakes([7], x, y, wrong, right, (1, 28, 28), list("0123456789"))
    axes, = figure.axes
    assert [text.get_text() for text in axes.texts] == [
        f"{(y[7] + 1) % 10}: 90 %\nis {y[7]}: 60 %"]
    numpy.testing.assert_array_equal(axes.images[0].get_array(), x[7].reshape(28, 28))
    plots.finish(figure, str(tmp_path / "digit.png"))
