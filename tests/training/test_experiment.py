"""lenet.training.experiment: what stands around the loop."""

import math

import numpy
import pytest
import theano
import theano.tensor as T

from lenet.data import shared_dataset
from lenet.errors import TrainingError, UsageError
from lenet.training.experiment import train
from lenet.training.report import TutorialReport


class Ball:
    """One parameter w, whose cost is w: each step takes the learning rate from it."""

    def __init__(self, x):
        self.x = x
        self.w = theano.shared(numpy.asarray(0, dtype="float64"))
        self.params = [self.w]

    def negative_log_likelihood(self, y):
        return self.w + 0 * (self.x.sum() + y.sum())  # Theano wants the examples used

    def errors(self, y):
        return T.mean(T.neq(y, 0))


def trained(learning_rate, n_epochs, **options):
    data = shared_dataset((numpy.zeros((6, 2)), numpy.zeros(6)))
    x, y = T.matrix(), T.ivector()
    ball = Ball(x)
    train(ball, x, y, [data] * 3, learning_rate, n_epochs, 2, "ball.py", **options)
    return ball.w.get_value()


def test_one_rate_for_all_epochs():
    assert trained(0.5, 2) == -0.5 * 3 * 2  # 3 minibatches in each of 2 epochs


def test_a_rate_for_each_epoch_and_the_last_one_from_there_on():
    assert trained([1.0, 0.5, 0.25], 5) == -3 * (1 + 0.5 + 0.25 + 0.25 + 0.25)


@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf, [0.1, 0], [0.1, math.nan]])
def test_rates_that_cannot_work(rate):
    with pytest.raises(UsageError, match="learning rate"):
        trained(rate, 1)


def test_a_report_of_ones_own(capsys):
    class Report(TutorialReport):
        opening = "ready"

        def training_ended(self, result):
            self.line("%d minibatches done" % (result.iteration + 1))

    trained(0.5, 2, report=Report)
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "ready"
    assert out.splitlines()[-1] == "6 minibatches done"
    assert err.startswith("The code for file ball.py ran for ")


def test_a_cost_that_is_not_finite_names_the_rate(capsys):
    data = shared_dataset((numpy.zeros((6, 2)), numpy.zeros(6)))
    x, y = T.matrix(), T.ivector()
    ball = Ball(x)
    with pytest.raises(TrainingError, match="cost is nan at iteration 0 with learning rate 0.5"):
        train(ball, x, y, [data] * 3, 0.5, 1, 2, "ball.py",
              cost=T.log(ball.negative_log_likelihood(y) - 1))
