"""lenet.training.channel: an experiment as a job scheduler calls it."""

import os
import signal
import types

import pytest

from lenet.convolutional_mlp import evaluate_lenet5, experiment
from lenet.errors import Interrupted, TrainingError
from lenet.runs.log import read_log
from lenet.runs.run import Run

SMALL = {"learning_rate": 0.5, "n_epochs": 3, "nkerns": (2, 3), "n_hidden": 5, "batch_size": 50}


class Channel:
    """Remembers what was saved, and asks to stop after some minibatches."""

    def __init__(self, state, stop_after=None):
        self.state, self.stop_after = state, stop_after
        self.saved, self.minibatches = [], 0

    def save(self):
        self.saved.append((self.state.epochs_done, self.state.validation_error,
                           self.state.test_error))

    def switch(self):
        self.minibatches += 1
        return "stop" if self.minibatches == self.stop_after else None


class JobmansChannel(Channel):
    COMPLETE, INCOMPLETE = None, True


class JobmansState(dict):
    """As jobman's, a dict whose items are attributes."""

    __setattr__ = dict.__setitem__

    def __getattr__(self, name):
        return self[name]  # or a KeyError


@pytest.mark.parametrize("kind", [types.SimpleNamespace, JobmansState])
def test_the_channel_is_told_of_each_validation(kind, small_dataset, tmp_path):
    run = Run.create(str(tmp_path / "run"), {})
    _, expected = evaluate_lenet5(dataset=small_dataset, observers=[run], **SMALL)
    state = kind(dataset=small_dataset, jobman="something of the scheduler's", **SMALL)
    channel = Channel(state)
    result = experiment(state, channel)
    assert vars(result) == vars(expected)
    rows, test = read_log(str(tmp_path / "run" / "log.csv")), None
    for row, saved in zip(rows, channel.saved):
        test = test if row["test"] is None else row["test"]
        assert saved == (row["epoch"], row["validation"], test)
    assert len(channel.saved) == len(rows) == 3
    assert channel.minibatches == 3 * 250 // 50


def test_it_stops_when_the_channel_says_so_and_goes_on(small_dataset, tmp_path):
    folder = str(tmp_path / "run")
    state = types.SimpleNamespace(dataset=small_dataset, observers=[Run.create(folder, {})],
                                  **SMALL)
    result = experiment(state, Channel(state, stop_after=7))
    assert (result.iteration, result.stopped) == (6, "interrupted")
    state.observers = [Run.resume(folder)]
    result = experiment(state, Channel(state))
    assert (result.iteration, result.stopped) == (14, "n_epochs")


def test_jobman_gets_the_status_that_it_expects(small_dataset):
    state = JobmansState(dataset=small_dataset, **SMALL)
    assert experiment(state, JobmansChannel(state, stop_after=2)) is JobmansChannel.INCOMPLETE
    assert experiment(state, JobmansChannel(state)) is JobmansChannel.COMPLETE
    state.learning_rate = 1e30
    with pytest.raises(TrainingError):
        experiment(state, JobmansChannel(state))


def test_the_channel_hears_nothing_of_other_trainings(small_dataset):
    state = types.SimpleNamespace(dataset=small_dataset, **SMALL)
    channel = Channel(state)
    experiment(state, channel)
    evaluate_lenet5(dataset=small_dataset, **SMALL)
    assert len(channel.saved) == 3


def test_ctrl_c_is_not_the_channels_wish(small_dataset, monkeypatch):
    state = types.SimpleNamespace(dataset=small_dataset, **SMALL)

    class Killed(Channel):
        def switch(self):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        experiment(state, Killed(state))
