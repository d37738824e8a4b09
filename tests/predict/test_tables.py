"""lenet.predict.tables: results as text, CSV and JSON."""

import csv
import io
import json

import numpy
import pytest

from lenet.predict.results import Result
from lenet.predict.tables import stack_rows, write_csv, write_json, write_text

RESULTS = [Result("a,b.png", [("seven", 0.75), ("one", 0.125)], 2.0, None),
           Result("far.png", [], 9.5, None), Result("bad.png", None, None, "unusable")]


def write(writer, results, threshold):
    file = io.StringIO()
    writer(file, results, 2, threshold)
    return file.getvalue()


def test_text():
    assert write(write_text, RESULTS, 4.0) == (
        "a,b.png: seven (75.0 %), one (12.5 %); distance 2 of 4\n"
        "far.png: rejected (distance 9.5, more than 4)\n")
    assert write(write_text, RESULTS[::2], None) == "a,b.png: seven (75.0 %), one (12.5 %)\n"


@pytest.mark.parametrize("threshold", [None, 0.0, 4.0])
def test_csv(threshold):
    columns = 5 if threshold is None else 6
    header, *rows = csv.reader(io.StringIO(write(write_csv, RESULTS, threshold)))
    assert header == ["file", "class", "probability", "class_2", "probability_2",
                      "distance"][:columns]
    assert rows == [["a,b.png", "seven", "0.750000", "one", "0.125000", "2"][:columns],
                    ["far.png", "", "", "", "", "9.5"][:columns],
                    ["bad.png", "", "", "", "", ""][:columns]]


def test_json():
    seven = [{"class": "seven", "probability": 0.75}, {"class": "one", "probability": 0.125}]
    assert json.loads(write(write_json, RESULTS, 4.0)) == [
        {"file": "a,b.png", "classes": seven, "distance": 2.0},
        {"file": "far.png", "classes": [], "distance": 9.5},
        {"file": "bad.png", "classes": None, "distance": None}]
    assert json.loads(write(write_json, RESULTS[:1], None)) == [
        {"file": "a,b.png", "classes": seven}]
    assert json.loads(write(write_json, [], None)) == []


def test_rows_of_files_that_cannot_be_used_are_nan():
    row = numpy.arange(6, dtype="float32").reshape(2, 3)
    stacked = stack_rows([row, None, row + 1])
    assert stacked.dtype == "float32" and stacked.shape == (3, 2, 3)
    numpy.testing.assert_array_equal(stacked[::2], [row, row + 1])
    assert numpy.isnan(stacked[1]).all()
    assert stack_rows([]).shape == (0,)
