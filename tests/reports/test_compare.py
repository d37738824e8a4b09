"""lenet.reports.compare: what tells runs apart, found once more with NumPy alone."""

import os
import re
import shutil

import numpy
import pytest
from conftest import assert_refused, write_arrays, write_dataset
from PIL import Image

from lenet.data import load_data
from lenet.errors import DataError, UsageError
from lenet.figures import plots
from lenet.network3 import FullyConnectedLayer, Network, SoftmaxLayer
from lenet.predict.predictor import Predictor
from lenet.reports.compare import compare, shorten_paths
from lenet.runs.log import read_log
from lenet.runs.run import Run


def train_run(folder, dataset, epochs=1, eta=0.5, layers=None, n_pixels=784, n_out=10):
    """Train a logistic regression, by default, and keep it in a folder."""
    datasets = load_data(str(dataset))
    network = Network(layers or [SoftmaxLayer(n_pixels, n_out)], 10, seed=3)
    run = Run.create(str(folder), {"dataset": str(dataset)})
    train, validation, test = datasets
    network.SGD(train, epochs, 10, eta, validation, test, observers=[run], datasets=datasets)
    return str(folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, mnist_arrays):
    """Three runs: two logistic regressions, one of them hardly trained, and a perceptron."""
    folder = tmp_path_factory.mktemp("trained")
    dataset = write_dataset(folder / "small.pkl.gz", [
        (x[:n], y[:n]) for (x, y), n in zip(mnist_arrays, (250, 130, 120))])
    return [train_run(folder / "long", dataset, 3),
            train_run(folder / "short", dataset, 1, 0.001),
            train_run(folder / "hidden", dataset, 1,
                      layers=[FullyConnectedLayer(784, 12), SoftmaxLayer(12, 10)])]


@pytest.fixture
def runs(trained, tmp_path):
    """A test's own copies of these runs."""
    return [shutil.copytree(run, str(tmp_path / os.path.basename(run))) for run in trained]


def test_what_tells_runs_apart(runs, small_sets, tmp_path):
    lines, differences = compare(runs, str(tmp_path / "new" / "folder"))
    assert [line.name for line in lines] == ["long", "short", "hidden"]
    assert [line.epochs for line in lines] == [3, 1, 1]
    assert [line.n_parameters for line in lines] == [7850, 7850, 784 * 12 + 12 + 12 * 10 + 10]

    x, y = small_sets[2]
    scores = []
    for folder in runs[:2]:
        layer, = Predictor(folder).model.layers
        scores.append(x.dot(layer.w.get_value()) + layer.b.get_value())
    wrong = [score.argmax(axis=1) != y for score in scores]
    for line, folder, is_wrong in zip(lines, runs, wrong):
        rows = read_log(os.path.join(folder, "log.csv"))
        assert line.best_validation_error == min(row["validation"] for row in rows)
        assert line.test_error == pytest.approx(is_wrong.mean())
        # What the training itself found when it was best: of equal ones the last.
        tested = [row["test"] for row in rows if row["test"] is not None]
        assert line.test_error == pytest.approx(tested[-1])

    assert [(d.wrong, d.right) for d in differences] == [
        ("long", "short"), ("long", "hidden"), ("short", "long"), ("short", "hidden"),
        ("hidden", "long"), ("hidden", "short")]
    by_names = {(d.wrong, d.right): d for d in differences}
    for a, b, names in ((0, 1, ("long", "short")), (1, 0, ("short", "long"))):
        found = by_names[names].indices
        assert sorted(found) == [i for i in range(120) if wrong[a][i] and not wrong[b][i]]
        # The run that is wrong is less and less sure.
        odds = numpy.exp(scores[a] - scores[a].max(axis=1, keepdims=True)).sum(axis=1)
        assert (numpy.diff(odds[found]) >= -1e-5).all()
    assert len(by_names["short", "long"].indices) > 10  # or the test would show little

    files = ["curves.png"] + [os.path.basename(d.file) for d in differences if d.file]
    assert sorted(files) == sorted(os.listdir(tmp_path / "new" / "folder"))
    assert "short_wrong_long_right.png" in files
    with Image.open(by_names["short", "long"].file) as picture:
        n = min(60, len(by_names["short", "long"].indices))
        assert picture.size[0] == 105 * min(10, n)


def test_the_curves_of_all_runs(runs, tmp_path):
    logs = [read_log(os.path.join(folder, "log.csv")) for folder in runs]
    figure = plots.draw_runs(["long", "short", "hidden"], logs)
    cost, validation = figure.axes
    for axes, key, factor in ((cost, "cost", 1), (validation, "validation", 100)):
        assert [line.get_label() for line in axes.lines] == ["long", "short", "hidden"]
        for line, rows in zip(axes.lines, logs):
            assert list(line.get_xdata()) == [row["epoch"] for row in rows]
            assert list(line.get_ydata()) == [factor * row[key] for row in rows]
    plots.finish(figure, str(tmp_path / "curves.png"))


def test_names_tell_runs_apart(tmp_path):
    assert shorten_paths(["a/relu", "a/tanh/"]) == ["relu", "tanh"]
    assert shorten_paths(["a/run", "b/run", "b/c"]) == ["a/run", "b/run", "b/c"]


def test_the_command(runs, script, tmp_path):
    process = script("compare.py", *runs[:2], "--output", tmp_path / "new")
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert lines[0].split("  ")[0] == "run" and lines[0].endswith("parameters")
    assert re.fullmatch(r"long +3 +\d+\.\d\d % +\d+\.\d\d % +7,850", lines[1])
    assert re.fullmatch(r"short wrong, long right: \d+ images; .*short_wrong_long_right\.png",
                        lines[-1])


def test_runs_that_agree(runs, tmp_path, small_dataset):
    twin = train_run(tmp_path / "twin", small_dataset, 3)
    _, differences = compare([runs[0], twin], str(tmp_path / "new"))
    assert [(len(d.indices), d.file) for d in differences] == [(0, None)] * 2
    assert os.listdir(tmp_path / "new") == ["curves.png"]


def test_runs_that_cannot_be_compared(runs, small_sets, tmp_path, script, rng):
    small_sets[0][0][::3] = 0
    changed = write_dataset(tmp_path / "changed.pkl.gz", small_sets)
    fewer = write_dataset(tmp_path / "fewer.pkl.gz",
                          [(x[:100], y[:100]) for x, y in small_sets])
    shoes = [(rng.randint(0, 256, (20, 1, 28, 28)).astype("uint8"), numpy.arange(20) % 2)] * 3
    shoes = write_arrays(str(tmp_path / "shoes"), shoes, ["shoe", "bag"])
    large = [(rng.randint(0, 256, (20, 1, 30, 30)).astype("uint8"), numpy.arange(20) % 10)] * 3
    large = write_arrays(str(tmp_path / "large"), large, [str(n) for n in range(10)])
    others = [(train_run(tmp_path / "a", changed), "trained on other examples"),
              (train_run(tmp_path / "b", fewer), "sets of sizes [100, 100, 100]"),
              (train_run(tmp_path / "c", shoes, n_out=2), "classes ['shoe', 'bag']"),
              (train_run(tmp_path / "d", large, n_pixels=900), "images of shape (1, 30, 30)"),
              (tmp_path / "a" / "model.safetensors", "holds no run"),
              (tmp_path / "none", "holds no run")]
    for other, words in others:
        process = script("compare.py", runs[0], other, "--output", tmp_path / "new")
        assert_refused(process, 1, str(other), words)
    process = script("compare.py", *runs, "--output", tmp_path / "new", "--dataset", changed)
    assert_refused(process, 1, "other examples than this dataset")
    assert not (tmp_path / "new").exists()


def test_wrong_use(runs, tmp_path):
    for paths in (runs[:1], [runs[0], runs[0] + "/"]):
        with pytest.raises(UsageError, match="at least two runs, each named once"):
            compare(paths, str(tmp_path / "new"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file: cannot be made"):
        compare(runs, str(tmp_path / "file"))
    with open(os.path.join(runs[1], "log.csv")) as log:
        heading = log.readline()
    with open(os.path.join(runs[1], "log.csv"), "w") as log:
        log.write(heading)
    with pytest.raises(DataError, match="nothing is validated yet"):
        compare(runs, str(tmp_path / "new"))
