"""lenet.reports.evaluation_tables: tables that a person and a program can read."""

import csv
import io

import numpy
import pytest

from lenet.reports.evaluation import Evaluation
from lenet.reports.evaluation_tables import (
    WIDTH,
    describe_percentage,
    describe_share,
    write_csv,
    write_text,
)


def make_evaluation(labels, predictions, n_classes, confidence=0.75):
    """Of images that are predicted with one confidence, the rest going to the class after."""
    probabilities = numpy.zeros((len(labels), n_classes))
    for row, predicted in zip(probabilities, predictions):
        row[predicted], row[(predicted + 1) % n_classes] = confidence, 1 - confidence
    return Evaluation([f"{n}.png" for n in range(len(labels))], numpy.array(labels), probabilities)


def as_text(*arguments):
    file = io.StringIO()
    write_text(file, *arguments)
    return file.getvalue()


def test_shares_have_intervals():
    assert describe_share(1, 20) == "5.00 % (0.9 to 23.6 %), 1 of 20"
    assert describe_share(92, 10000) == "0.92 % (0.75 to 1.13 %), 92 of 10000"
    assert describe_share(0, 0) == "-, 0 of 0"
    # One figure is enough in a column, where all have the same.
    assert describe_percentage(9908, 10000) == "99.08 % (98.9 to 99.2 %)"


PETS = make_evaluation([0, 0, 0, 1, 1], [0, 0, 1, 1, 1], 3)


def test_a_few_classes():
    assert as_text(PETS, ["cat", "dog", "a"]) == """\
error: 20.00 % (3.6 to 62.4 %), 1 of 5 images

class  images  predicted  right                      recall                   precision
cat         3          2      2    66.67 % (20.8 to 93.9 %)  100.00 % (34.2 to 100.0 %)
dog         2          3      2  100.00 % (34.2 to 100.0 %)    66.67 % (20.8 to 93.9 %)
a           0          0      0                           -                           -

confusion matrix: rows are the right class, columns the prediction
     cat  dog  a
cat    2    1  .
dog    .    2  .
a      .    .  .

the most confident mistakes
2.png: dog (75.0 %), is cat (0.0 %)
"""


def test_long_names_are_at_the_rows_only():
    lines = as_text(PETS, ["golden retriever", "station wagon", "a"], 0).splitlines()
    assert lines[-4:] == ["                    0  1  2", "0 golden retriever  2  1  .",
                          "1 station wagon     .  2  .", "2 a                 .  .  ."]


def test_no_mistakes():
    text = as_text(make_evaluation([0, 1], [0, 1], 2), ["a", "b"])
    assert text.startswith("error: 0.00 % (0.0 to 65.8 %), 0 of 2 images\n")
    assert "mistakes" not in text


def test_the_most_confident_mistakes():
    sure = make_evaluation([0, 0, 0], [1, 1, 1], 2)
    sure.probabilities[1] = 0.01, 0.99
    assert as_text(sure, ["a", "b"], 2).splitlines()[-3:] == [
        "the most confident mistakes", "1.png: b (99.0 %), is a (1.0 %)",
        "0.png: b (75.0 %), is a (25.0 %)"]


@pytest.mark.parametrize("n_mistaken, heading, n_shown", [
    (62, "the 20 most frequent of 62 pairs", 20), (8, "all 8 pairs", 8)])
def test_many_classes_have_a_list_of_pairs(n_mistaken, heading, n_shown):
    # Of each class, two images: the second of some is taken for the next class; of 5, a third, too.
    classes = numpy.arange(62)
    labels = numpy.concatenate([classes, classes, [5]])
    predictions = numpy.concatenate([classes, (classes + (classes < n_mistaken)) % 62, [6]])
    names = [f"a rather long name of class {n}" for n in classes]
    text = as_text(make_evaluation(labels, predictions, 62), names)
    assert max(map(len, text.splitlines())) <= WIDTH
    block, = [block for block in text.split("\n\n") if block.startswith(heading)]
    counts = [line.split("  ")[-1].strip() for line in block.splitlines()[2:]]
    assert counts == ["2 of 3"] + ["1 of 2"] * (n_shown - 1)


def test_csv():
    file = io.StringIO()
    write_csv(file, PETS, ["cat", "dog, hot", "a"])
    header, *rows = csv.reader(io.StringIO(file.getvalue()))
    assert header == ["class", "images", "predicted", "right", "recall", "recall_low",
                      "recall_high", "precision", "precision_low", "precision_high",
                      "taken_for_cat", "taken_for_dog, hot", "taken_for_a"]
    assert [row[:4] for row in rows] == [["cat", "3", "2", "2"], ["dog, hot", "2", "3", "2"],
                                         ["a", "0", "0", "0"]]
    assert [row[-3:] for row in rows] == [["2", "1", "0"], ["0", "2", "0"], ["0", "0", "0"]]
    assert float(rows[0][4]) == pytest.approx(2 / 3, abs=1e-6)
    assert float(rows[0][5]) < 2 / 3 < float(rows[0][6]) and float(rows[0][7]) == 1
    assert rows[2][4:10] == [""] * 6
