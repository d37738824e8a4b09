"""Where a job scheduler that calls ``experiment(state, channel)`` joins a training: jobman, say."""

import contextvars
import inspect

from lenet.errors import Interrupted
from lenet.training.loop import Observer

# The ChannelReport of the experiment under way, which ``lenet.training.watch`` lets watch.
under_way = contextvars.ContextVar("under_way", default=None)


class ChannelReport(Observer):
    """Tells the channel of each validation, and asks it after each minibatch whether to stop.

    Parameters
    ----------
    state, channel
        See ``run_experiment``.
    """

    def __init__(self, state, channel):
        self.state, self.channel = state, channel
        self.result, self.has_news = None, False

    def training_begins(self, n_train_batches, n_epochs, result):
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
        return self.channel.switch() == "stop"


def run_experiment(train, state, channel):
    """Train as a job scheduler asks.

    Parameters
    ----------
    train : function
        Returns a model and a ``lenet.training.loop.Result``, such as
        ``lenet.convolutional_mlp.evaluate_lenet5``.
    state : object
        Those of its attributes that are arguments of ``train`` are passed to it. Gets, after each
        validation, ``epochs_done`` and ``validation_error`` and, if that was the best so far,
        ``test_error``; errors are fractions.
    channel : object or None
        ``save()`` is called when ``state`` has changed; the training stops when ``switch()``
        returns "stop".

    Returns
    -------
    lenet.training.loop.Result, or what the channel expects
        If it has them, as jobman's has, ``channel.COMPLETE``, or ``channel.INCOMPLETE`` if the
        training was stopped.
    """
    arguments = {name: getattr(state, name) for name in inspect.signature(train).parameters
                 if hasattr(state, name)}
    if channel is None:
        return train(**arguments)[1]
    report = ChannelReport(state, channel)
    token = under_way.set(report)
    try:
        train(**arguments)
    except Interrupted:
        return getattr(channel, "INCOMPLETE", report.result)
    finally:
        under_way.reset(token)
    return getattr(channel, "COMPLETE", report.result)
