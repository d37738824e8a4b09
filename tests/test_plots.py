"""lenet.plots: where things stand in a picture; how it looks is for a person to judge."""

import numpy
import pytest

from lenet import plots
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
