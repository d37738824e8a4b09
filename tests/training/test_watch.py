"""lenet.training.watch: what accompanies a training, on a ball that rolls down a slope."""

import os
import signal

import numpy
import pytest
import theano
import theano.tensor as T

from lenet.data import shared_dataset
from lenet.errors import Interrupted, TrainingError
from lenet.training.functions import compile_functions
from lenet.training.loop import Observer, early_stopping
from lenet.training.report import TutorialReport
from lenet.training.watch import watch_training


class Ball:
    """One parameter w, whose cost is w: each step subtracts the learning rate from it."""

    def __init__(self, x):
        self.input = x
        self.w = theano.shared(numpy.asarray(0, dtype="float64"))
        self.params = [self.w]

    def errors(self, y):
        return T.mean(T.neq(y, 0)) + 0 * self.input.sum()


def roll(n_epochs, cost=lambda w: w, at_minibatch=lambda index: None, observers=()):
    """The parameter after 3 minibatches per epoch of two examples each, at rate 0.5."""
    datasets = [shared_dataset((numpy.zeros((6, 2)), numpy.zeros(6)))] * 3
    x, y = T.matrix(), T.ivector()
    ball = Ball(x)
    with watch_training("folder/ball.py", ball, datasets, 2, observers) as observers:
        # Theano wants the examples to be used, here as in the errors.
        unused = 0 * x.sum() + 0 * T.cast(y.sum(), "float64")
        functions = compile_functions(ball, x, y, cost(ball.w) + unused, datasets, 0.5, 2)

        def train_minibatch(index):
            at_minibatch(index)
            return functions.train_minibatch(index)

        early_stopping(functions._replace(train_minibatch=train_minibatch), n_epochs,
                       observers=observers)
    return ball.w.get_value()


def test_lines_of_the_tutorial(capsys):
    assert roll(2) == -0.5 * 3 * 2
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "... training", "training @ iter =  0",
        "epoch 1, minibatch 3/3, validation error 0.000000 %",
        "     epoch 1, minibatch 3/3, test error of best model 0.000000 %",
        "epoch 2, minibatch 3/3, validation error 0.000000 %",
        "Optimization complete.",
        "Best validation score of 0.000000 % obtained at iteration 3, with test performance "
        "0.000000 %",
    ]
    assert err.startswith("The code for file ball.py ran for ")


def test_a_report_of_ones_own(capsys):
    class Report(TutorialReport):
        opening = "ready"

        def conclude(self, result):
            self.print_line(f"{result.iteration + 1} minibatches done")

    roll(2, observers=[Report("report.py")])
    out, _ = capsys.readouterr()
    assert out.splitlines()[0] == "ready"
    assert out.splitlines()[-1] == "6 minibatches done"


def test_a_cost_that_is_not_finite(capsys):
    with pytest.raises(TrainingError, match="cost is nan at iteration 0; try a smaller learning"):
        roll(1, cost=lambda w: T.log(w - 1))
    assert "Optimization complete." in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_training_after_the_minibatch(number, capsys):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="interrupted") as interrupt:
        roll(9, at_minibatch=lambda index: index == 1 and os.kill(os.getpid(), number))
    assert interrupt.value.signal == number
    assert signal.getsignal(number) is before
    assert "Optimization complete." in capsys.readouterr().out


def test_a_second_signal_ends_it_at_once():
    def twice(index):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second signal was ignored")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted):
        roll(9, at_minibatch=twice)
    assert signal.getsignal(signal.SIGINT) is before


class Recorder(Observer):
    """Writes down what it is told of."""

    advice = "look at the record"

    def __init__(self):
        self.told = []

    def model_built(self, model, datasets):
        self.told.append(("model_built", type(model).__name__, len(datasets)))
        model.w.set_value(10.0)

    def training_begins(self, functions, n_epochs, result):
        self.told.append(("training_begins", functions.n_train_batches, n_epochs))

    def epoch_begins(self, epoch):
        self.told.append(("epoch_begins", epoch))

    def training_ends(self, result):
        self.told.append(("training_ends", result.stopped))

    def close(self):
        self.told.append(("close",))


def test_an_observer_is_told_from_the_model_to_the_end():
    recorder = Recorder()
    assert roll(2, observers=[recorder]) == 10 - 0.5 * 3 * 2
    assert recorder.told == [
        ("model_built", "Ball", 3), ("training_begins", 3, 2), ("epoch_begins", 1),
        ("epoch_begins", 2), ("training_ends", "n_epochs"), ("close",)]


def test_an_observer_is_closed_after_an_error_and_advises_after_an_interruption():
    recorder = Recorder()
    with pytest.raises(Interrupted, match="^interrupted; look at the record$"):
        roll(9, at_minibatch=lambda index: os.kill(os.getpid(), signal.SIGINT),
             observers=[recorder])
    assert recorder.told[-2:] == [("training_ends", "interrupted"), ("close",)]
    with pytest.raises(ZeroDivisionError):
        roll(1, at_minibatch=lambda index: 1 // 0, observers=[recorder])
    assert recorder.told[-1] == ("close",)
