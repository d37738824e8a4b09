"""lenet.training.history: a row for each validation."""

from types import SimpleNamespace

import pytest

from lenet.training.history import History


def test_the_rows_of_a_training():
    history, result = History(), SimpleNamespace(cost=None, rows=[])
    for _ in range(2):  # a second training begins anew
        history.training_begins(None, 2, result)
        for epoch, costs, error in ((1, (4.0, 2.0), 0.5), (2, (1.0, 2.0), 0.75)):
            for result.cost in costs:
                history.minibatch_ends(result)
            history.validated(epoch, 2, error)
            if epoch == 1:
                history.improved(epoch, 2, 0.25)
    history.training_ends(result)
    assert result.rows == [
        {"epoch": 1, "cost": pytest.approx(3.0), "validation": 0.5, "test": 0.25},
        {"epoch": 2, "cost": pytest.approx(1.5), "validation": 0.75, "test": None}]


def test_the_longer_history_counts():
    result, known = SimpleNamespace(rows=[{"epoch": 1}, {"epoch": 2}]), History()
    known.rows = [{"epoch": 2}]
    known.training_ends(result)
    assert [row["epoch"] for row in result.rows] == [1, 2]
