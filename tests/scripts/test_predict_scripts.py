"""predict.py, evaluate.py and look.py as commands, with one small network."""

import csv
import io
import json
import os

import numpy
import pytest
import theano.tensor as T
from conftest import assert_refused, write_arrays
from PIL import Image

from lenet import networks
from lenet.logistic_sgd import LogisticRegression
from lenet.predict import Predictor

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.fixture(scope="module")
def model(tmp_path_factory, mnist_arrays):
    """A network whose weights for a class are the mean of its digits, made brighter or darker."""
    x, y = mnist_arrays[0]
    network = LogisticRegression(T.matrix("x"), 784, 10)
    means = numpy.array([x[:5000][y[:5000] == k].mean(axis=0) for k in range(10)])
    network.W.set_value(means.T.astype("float32"))
    network.b.set_value(-(means ** 2).sum(axis=1).astype("float32") / 2)  # the nearest mean wins
    path = tmp_path_factory.mktemp("model") / "means.safetensors"
    networks.save_model(str(path), network, NAMES, (1, 28, 28), "digit")
    return path


@pytest.fixture
def digits(tmp_path, mnist_arrays):
    """A folder with a 7, a 2 and a 1, dark on light."""
    folder = tmp_path / "digits"
    folder.mkdir()
    for i in range(3):
        pixels = 255 - (mnist_arrays[2][0][i] * 256).astype("uint8").reshape(28, 28)
        Image.fromarray(pixels).resize((112, 112)).save(folder / f"{i}.png")
    return folder


def test_a_line_for_each_image(script, model, digits):
    process = script("predict.py", model, digits / "1.png", digits)
    assert process.returncode == 0 and process.stderr == ""
    lines = process.stdout.splitlines()
    paths = [str(digits / name) for name in ("1.png", "0.png", "1.png", "2.png")]
    for line, path, name in zip(lines, paths, ("two", "seven", "two", "one")):
        assert line.startswith(f"{path}: {name} (") and line.endswith(" %)")
    assert len(lines) == 4


def test_json(script, model, digits):
    (digits / "text.png").write_text("no image")
    process = script("predict.py", model, digits, "--json", "--top", 10)
    assert process.returncode == 1
    assert process.stderr.startswith(f"predict.py: {digits}/text.png: no image")
    found = json.loads(process.stdout)
    assert [os.path.basename(image["file"]) for image in found] == [
        "0.png", "1.png", "2.png", "text.png"]
    assert found[3]["classes"] is None
    classes = found[0]["classes"]
    assert classes[0]["class"] == "seven" and {c["class"] for c in classes} == set(NAMES)
    probabilities = [c["probability"] for c in classes]
    assert probabilities == sorted(probabilities, reverse=True)
    assert abs(sum(probabilities) - 1) < 1e-5


def test_csv(script, model, digits):
    process = script("predict.py", model, digits / "0.png", digits / "none.png", "--csv",
                     "--top", 2)
    assert_refused(process, 1, "none.png: not found")
    header, row, empty = csv.reader(io.StringIO(process.stdout))
    assert header == ["file", "class", "probability", "class_2", "probability_2"]
    assert row[:2] == [str(digits / "0.png"), "seven"] and float(row[2]) > float(row[4]) > 0
    assert empty == [str(digits / "none.png"), "", "", "", ""]


def test_a_list_on_standard_input(script, model, digits, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{digits}/2.png\n"))
    assert script("predict.py", model, "-").stdout.startswith(f"{digits}/2.png: one (")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert json.loads(script("predict.py", model, "-", "--json").stdout) == []


def test_wrong_use_of_predict(script, model, digits, tmp_path):
    for k in (0, 11):
        assert_refused(script("predict.py", model, digits, "--top", k), 2, f"top {k}", "1 to 10")
    (tmp_path / "empty").mkdir()
    assert_refused(script("predict.py", model, tmp_path / "empty"), 1, "a folder without images")
    assert_refused(script("predict.py", tmp_path / "none", digits), 1, "none")
    assert_refused(script("predict.py", digits / "0.png", digits), 1, "0.png")
    assert_refused(script("predict.py", model), 2, "IMAGE")
    assert_refused(script("predict.py", model, digits, "--csv", "--json"), 2, "not allowed with")
    assert_refused(script("predict.py", model, digits / "0.png", "--no-center"), 1,
                   "112 x 112 pixels; expected 28 x 28")


@pytest.fixture
def labelled(digits):
    """The folder's pictures in folders of their classes, but the 1 among the sevens."""
    for name, number in (("seven", 0), ("two", 1), ("seven", 2)):
        (digits / name).mkdir(exist_ok=True)
        os.rename(digits / f"{number}.png", digits / name / f"{number}.png")
    return digits


def test_evaluate_a_folder(script, model, labelled, tmp_path):
    process = script("evaluate.py", model, labelled, "--csv", tmp_path / "table.csv")
    assert (process.returncode, process.stderr) == (0, "")
    lines = process.stdout.splitlines()
    assert lines[0] == "error: 33.33 % (6.1 to 79.2 %), 1 of 3 images"
    assert lines[-2] == "the most confident mistakes"
    assert lines[-1].startswith(f"{labelled}/seven/2.png: one (")
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        rows = {row["class"]: row for row in csv.DictReader(file)}
    assert rows["seven"]["images"] == "2" and rows["seven"]["recall"] == "0.500000"
    assert rows["seven"]["taken_for_one"] == "1" and rows["one"]["precision"] == "0.000000"

    (labelled / "two" / "text.png").write_text("no image")
    process = script("evaluate.py", model, labelled, "--mistakes", 0)
    assert process.stdout.splitlines()[0] == lines[0] and "confident" not in process.stdout
    assert_refused(process, 1, "two/text.png: no image")


def test_evaluate_the_test_set(script, model, small_sets, tmp_path):
    x, y = small_sets[2]
    images = (256 * x).astype("uint8").reshape(-1, 1, 28, 28)
    dataset = write_arrays(tmp_path / "digits", [(images, y)] * 3, NAMES)
    process = script("evaluate.py", model, "--dataset", dataset)
    assert (process.returncode, process.stderr) == (0, "")
    n_wrong = int((Predictor(str(model)).probabilities(x).argmax(axis=1) != y).sum())
    lines = process.stdout.splitlines()
    assert lines[0].endswith(f", {n_wrong} of 120 images") and 5 < n_wrong < 60
    assert " of the test set: " in lines[-1] and lines[-11] == "the most confident mistakes"


def test_wrong_use_of_evaluate(script, model, labelled, tmp_path, small_dataset):
    for options, status, words in (
            ([labelled, "--dataset", small_dataset], 2, ["name one of them"]),
            ([labelled, "--mistakes", -1], 2, ["mistakes -1", "0 or more"]),
            ([tmp_path / "none"], 1, ["none: cannot be read"]),
            ([labelled / "two"], 1, ["no subfolders"]),
            ([labelled, "--csv", tmp_path / "none" / "table.csv"], 1, ["table.csv", "written"]),
            (["--dataset", small_dataset], 1, ["the classes", "zero"])):
        process = script("evaluate.py", model, *options)
        assert_refused(process, status, *words)
        assert process.stdout == ""
    os.rename(labelled / "two", labelled / "twelve")
    assert_refused(script("evaluate.py", model, labelled), 1, "twelve is no class", "zero, one")


def test_look_by_command(script, model, tmp_path, small_dataset):
    process = script("look.py", model, "--output", tmp_path / "look", "--dataset", small_dataset)
    # The dataset's classes are 0 to 9, not zero to nine.
    assert_refused(process, 1, "the classes", "zero", "--dataset")
    assert_refused(script("look.py", model), 2, "--output")
