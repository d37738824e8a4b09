"""lenet.training.advice: what to do after a training that ended too early or learned nothing."""

from types import SimpleNamespace

import numpy
import pytest

from lenet.data import Datasets
from lenet.training.advice import Advice
from lenet.training.loop import Functions, early_stopping


def train(errors, labels, capsys, n_test=100):
    """What is printed after a training with these validation errors, of 3 minibatches an epoch."""
    labelled = SimpleNamespace(labels=lambda: numpy.array(labels))
    tested = SimpleNamespace(n_examples=n_test)
    advice = Advice("--n-epochs 9", "try another --learning-rate")
    advice.model_built(None, Datasets([None, labelled, tested], (1, 28, 28), ["cat", "dog"],
                                      "resize"))
    following = iter(errors)
    functions = Functions(lambda index: 1.0, lambda: next(following), lambda: 0.5, 3)
    early_stopping(functions, len(errors), observers=[advice])
    advice.close()
    return capsys.readouterr().err


LABELS = [0, 1, 1, 1, 0]  # always answering dog is wrong for 2 of 5


@pytest.mark.parametrize("errors, words", [
    ([0.4, 0.2, 0.1], ["last epoch was the best", "--n-epochs 9"]),
    ([0.1], []),  # one epoch was asked for
    ([0.6, 0.4, 0.4], ["nothing has been learned", "dog", "40.00 %", "--learning-rate"]),
    ([0.4, 0.1, 0.2], []),
])
def test_what_is_said(errors, words, capsys):
    printed = train(errors, LABELS, capsys)
    assert len(printed.splitlines()) == bool(words)
    for word in words:
        assert word in printed


def test_few_test_images_mean_little(capsys):
    assert train([0.4, 0.1, 0.2], LABELS, capsys, n_test=20) == (
        "the test set is small: one of its 20 images is 5 %\n")


def test_nothing_is_said_of_a_training_that_did_not_end(capsys):
    Advice("", "").close()
    assert capsys.readouterr().err == ""
