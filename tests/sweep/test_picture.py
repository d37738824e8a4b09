"""lenet.sweep.picture: every trial is in it, where its options say."""

import itertools

import numpy
import pytest

from lenet.sweep import picture

OPTIONS = {"--seed": ["1", "2"], "--learning-rate": ["0.3", "0.1", "0.01"],
           "--nkerns": ["20,50", "6,16"], "--momentum": ["0", "0.9"]}


def make_rows(options, rng):
    """A row for each point of the grid, in any order; the first one has diverged."""
    rows = [dict(zip(options, values), validation=error) for values, error in zip(
        itertools.product(*options.values()), rng.uniform(0.01, 0.5, 99))]
    rows[0]["validation"] = None
    rng.shuffle(rows)
    return rows


def take_options(n):
    return dict(itertools.islice(OPTIONS.items(), n))


@pytest.mark.parametrize("n, n_maps", [(1, 1), (2, 1), (3, 2)])
def test_maps(n, n_maps, rng):
    options, rows = take_options(n), make_rows(take_options(n), rng)
    figure = picture.draw(options, rows)
    maps = [axes for axes in figure.axes if axes.images]
    assert len(maps) == n_maps
    found = {}
    for axes in maps:
        image = axes.images[0].get_array()
        columns, lines = ([label.get_text() for label in labels] for labels in
                          (axes.get_xticklabels(), axes.get_yticklabels()))
        names = [axes.get_xlabel(), axes.get_ylabel()]
        for text in axes.texts:
            column, line = text.get_position()
            point = {names[0]: columns[column], names[1]: lines[line]}
            if n == 3:
                name, _, value = axes.get_title().partition(" ")
                point[name] = value
            found[tuple(point[option[2:]] for option in options)] = text.get_text()
            assert text.get_text() == "-" or numpy.isclose(
                image[line, column], float(text.get_text()), atol=0.006)
    assert found == {
        tuple(row[option] for option in options):
        "-" if row["validation"] is None else f"{100 * row['validation']:.2f}" for row in rows}


@pytest.mark.parametrize("n, dropped", [(4, 0), (2, 1)])
def test_coordinates(n, dropped, rng):
    options, rows = take_options(n), make_rows(take_options(n), rng)[dropped:]
    axes, = picture.draw(options, rows).axes
    lines = [line.get_ydata() for line in axes.lines if len(line.get_xdata()) == n + 1]
    done = [row for row in rows if row["validation"] is not None]
    # From the worst to the best, which is at the bottom of the last axis.
    done.sort(key=lambda row: -row["validation"])
    assert len(lines) == len(done)
    for line, row in zip(lines, done):
        for height, (option, values) in zip(line, options.items()):
            assert int(height * len(values)) == values.index(row[option])
    logarithms = numpy.log([row["validation"] for row in done])
    expected = (logarithms - logarithms.min()) / (logarithms.max() - logarithms.min())
    assert numpy.allclose([line[-1] for line in lines], expected)


def test_nothing_but_failures(rng):
    for n in (2, 4):
        rows = [dict(row, validation=None) for row in make_rows(take_options(n), rng)]
        picture.draw(take_options(n), rows)


def test_no_options(tmp_path):
    picture.write(str(tmp_path), {}, [{"validation": 0.5}])
    assert not list(tmp_path.iterdir())
