"""lenet.sweep.table: the results of a sweep."""

import pytest

from lenet.errors import DataError
from lenet.sweep import table

ROWS = [
    {"trial": "a=1", "--a": "1", "epochs": 2, "validation": 0.25, "test": 0.5,
     "stopped": "n_epochs", "reason": None},
    {"trial": "a=2", "--a": "2", "epochs": 1, "validation": None, "test": None,
     "stopped": "diverged", "reason": "the cost is nan, or so"},
    {"trial": "a=3", "--a": "3", "epochs": 2, "validation": 0.125, "test": 0.75,
     "stopped": "patience", "reason": None},
    {"trial": "a=4", "--a": "4", "epochs": 2, "validation": 0.125, "test": 0.25,
     "stopped": "n_epochs", "reason": None},
]


def test_the_best_validation_error_is_first_whatever_the_test_error(tmp_path):
    table.write(str(tmp_path), ["--a"], ROWS)
    assert (tmp_path / "table.csv").read_text().splitlines() == [
        "trial,a,epochs,validation,test,stopped,reason",
        "a=3,3,2,0.125,0.75,patience,",
        "a=4,4,2,0.125,0.25,n_epochs,",
        "a=1,1,2,0.25,0.5,n_epochs,",
        'a=2,2,1,,,diverged,"the cost is nan, or so"',
    ]
    assert [line.split() for line in table.format_table(ROWS).splitlines()] == [
        ["trial", "epochs", "validation", "error", "test", "error"],
        ["a=3", "2", "12.50", "%", "75.00", "%"],
        ["a=4", "2", "12.50", "%", "25.00", "%"],
        ["a=1", "2", "25.00", "%", "50.00", "%"],
        "a=2 1 diverged: the cost is nan, or so".split(),
    ]


def test_what_diverged_is_read_again(tmp_path):
    assert table.read_diverged(str(tmp_path)) == {}
    table.write(str(tmp_path), ["--a"], ROWS)
    expected = {name: ROWS[1][name] for name in table.RESULTS}
    assert table.read_diverged(str(tmp_path)) == {"a=2": expected}
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="table.csv: no table of a sweep"):
        table.read_diverged(str(tmp_path))
