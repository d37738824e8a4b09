"""Lets a job scheduler such as jobman, which calls ``experiment(state, channel)``, follow it."""

import contextlib
import inspect

from lenet.errors import Interrupted
from lenet.training.loop import Observer


class ChannelReport(Observer):
    """Tells the channel of each validation, and asks it after each minibatch whether to stop; state
    and channel are as in ``run_experiment``."""

    def __init__(self, state, channel):
        self.state, self.channel = state, channel
        self.result, self.has_news, self.asked_to_stop = None, False, False

    def training_begins(self, functions, n_epochs, result):
        self.result = result

    def validated(self, epoch, minibatch, error):
        self.state.epochs_done, self.state.validation_error = epoch, error
        self.has_news = True

    def improved(self, epoch, minibatch, error):
        self.state.test_error = error

    def iteration_ends(self, result):
        if self.has_news:
            self.channel.save()
            self.has_news = False

    def wants_to_stop(self):
        self.asked_to_stop = self.channel.switch() == "stop"
        return self.asked_to_stop


def run_experiment(train, state, channel, options=()):
    """Train as a job scheduler asks.

    Parameters
    ----------
    train : function
        Returns a model and a ``lenet.training.loop.Result``, such as
        ``lenet.convolutional_mlp.evaluate_lenet5``; takes ``observers``.
    state : object
        Those of its attributes that are arguments of ``train``, or among ``options``, are passed to
        it. Gets, after each validation, ``epochs_done`` and ``validation_error`` and, if that was
        the best so far, ``test_error``; errors are fractions.
    channel : object or None
        ``save()`` is called when ``state`` has changed; the training stops when ``switch()``
        returns "stop".
    options : sequence of str
        Further arguments of ``train`` by name.

    Returns
    -------
    lenet.training.loop.Result, or what the channel expects
        If it has them, as jobman's has, ``channel.COMPLETE``, or ``channel.INCOMPLETE`` if the
        training was stopped.
    """
    arguments = {}
    for name in [*inspect.signature(train).parameters, *options]:
        # The states of jobman raise a KeyError for what they do not have.
        with contextlib.suppress(AttributeError, KeyError):
            arguments[name] = getattr(state, name)
    if channel is None:
        return train(**arguments)[1]
    report = ChannelReport(state, channel)
    arguments["observers"] = [*arguments.get("observers", ()), report]
    try:
        train(**arguments)
    except Interrupted:
        if not report.asked_to_stop:
            raise
        return getattr(channel, "INCOMPLETE", report.result)
    return getattr(channel, "COMPLETE", report.result)
