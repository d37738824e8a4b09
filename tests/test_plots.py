"""lenet.plots: where things stand in a picture; how it looks is for a person to judge."""

import math

import numpy
import pytest

from lenet import plots
from lenet.data import shared_dataset
from lenet.errors import DataError, UsageError


def test_mosaic(rng):
    images = rng.randn(5, 3, 2)
    images[4] = 7  # an image without contrast
    picture = plots.mosaic(images, columns=3)
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
    maps = [rng.randn(20, 12, 12), rng.randn(50, 4, 4)]
    figure = plots.draw_network(rng.rand(28, 28), rng.randn(20, 5, 5), maps, numpy.eye(10)[7])
    titles = {axes.get_title() + axes.get_title(loc="left") for axes in figure.axes}
    assert titles == {
        "image, 28 x 28", "probability of each class", "20 filters of layer 0, 5 x 5",
        "20 feature maps of layer 0, 12 x 12", "50 feature maps of layer 1, 4 x 4",
    }
    plots.finish(figure, str(tmp_path / "network.png"))
    assert (tmp_path / "network.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_picture_that_cannot_be_written(tmp_path):
    with pytest.raises(UsageError, match="picture.txt; expected a name that ends in .png"):
        plots.finish(plots.new_figure(1, 1), str(tmp_path / "picture.txt"))
    with pytest.raises(DataError, match="cannot be written"):
        plots.finish(plots.new_figure(1, 1), str(tmp_path / "none" / "picture.png"))
    assert not list(tmp_path.iterdir())


def test_misclassified_digits(rng):
    images, labels = rng.rand(9, 12), numpy.arange(9)
    test_data = shared_dataset((images, labels))
    figure = plots.plot_errors([2, 5, 7], [1, 1, 4], test_data, (1, 3, 4), rows=2, columns=2)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [[text.get_text() for text in axes.texts] for axes in shown] == [
        ["2", "1"], ["5", "1"], ["7", "4"]]
    numpy.testing.assert_allclose(shown[1].images[0].get_array(), images[5].reshape(3, 4),
                                  rtol=1e-6)
    truth, prediction = shown[0].texts
    # In parts of the image, from the bottom left: the truth at the top right.
    assert truth.get_position() > (0.9, 0.9) and truth.get_position()[1] > 0.9
    assert prediction.get_position()[0] > 0.9 and prediction.get_position()[1] < 0.1


def test_as_many_errors_as_there_is_room_for(rng):
    test_data = shared_dataset((rng.rand(9, 4), numpy.zeros(9)))
    figure = plots.plot_errors(range(9), [1] * 9, test_data, (1, 2, 2), rows=2, columns=3)
    assert len(figure.axes) == 6


def test_panels(rng):
    images = [rng.rand(4, 6, 3), rng.rand(3, 5), rng.rand(3, 5)]
    figure = plots.draw_panels(images, ["a", "b", "c"], columns=2)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", ""]
    for axes, image in zip(figure.axes, images):
        numpy.testing.assert_array_equal(axes.images[0].get_array(), image)
    assert figure.axes[1].images[0].get_cmap().name == "gray"


def test_bars():
    figure = plots.draw_bars(["one", "two"], [1.5, 0.25], "error")
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [1.5, 0.25]
    assert [text.get_text() for text in axes.texts] == ["1.50", "0.25"]
    assert axes.get_xlabel() == "error" and axes.yaxis_inverted()  # the first bar at the top


def rows_of(epochs, costs, validation, test):
    return [dict(iteration=100 * i, epoch=epoch, cost=cost, validation=v, test=t, seconds=i)
            for i, (epoch, cost, v, t) in enumerate(zip(epochs, costs, validation, test))]


def test_curves_of_a_training():
    figure = plots.draw_curves(rows_of([1, 2, 3, 4], [2.0, 0.5, 0.25, 0.125],
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
    rows = rows_of([1, 1, 2, 2, 3], [1, 1, 1, 1, 1], [0.5, 0.4, 0.4, 0.4, 0.4], [None] * 5)
    assert plots.draw_curves(rows).axes[0].lines[0].get_xdata().tolist() == [0.5, 1, 1.5, 2, 2.5]


@pytest.mark.parametrize("rows", [
    [], rows_of([1], [2.3], [0.0], [0.0]), rows_of([1, 2], [1, math.nan], [0.5, 0.9], [0.5, None]),
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
