"""What an example costs in minibatches of several sizes: the network of ``scripts/network3.py``.

Small minibatches learn more an epoch and pay more an example: calls, threads and short loops cost
the same for one example as for a thousand.
"""
import statistics

from benchmarking.worker import time_step
from lenet.data import load_data
from lenet.errors import UsageError
from lenet.network3 import conv_network
from lenet.training.functions import compile_functions


def run(sizes=(1, 10, 100, 500), rounds=7, seconds=0.3, say=lambda line: None):
    """Time training steps of ``conv_network`` in turn, size after size.

    Parameters
    ----------
    sizes : sequence of ints
        Examples a minibatch; the last one is what the others are compared with.
    rounds, seconds, say
        See ``benchmarking.peers.run``.

    Returns
    -------
    list of dicts
        ``minibatch``, ``ms`` (median), ``us_an_example`` and ``ratio``: the time of an example
        over that of the last size, as (median, least, greatest) of the rounds.

    Raises
    ------
    UsageError
        ``rounds`` is not positive.
    """
    if rounds < 1:
        raise UsageError("rounds %s; expected a positive number" % rounds)
    datasets = load_data()
    steps = {}
    for size in sizes:
        say("minibatches of %d: compiling" % size)
        net = conv_network((1, 28, 28), mini_batch_size=size)
        functions = compile_functions(net, net.x, net.y, datasets, 0.1, size,
                                      cost=net.layers[-1].cost(net))
        steps[size] = functions.train_minibatch, functions.n_train_batches
    times = {size: [] for size in sizes}
    for _ in range(rounds):
        for size, (train, n_batches) in steps.items():
            times[size].append(time_step(lambda i, f=train, n=n_batches: f(i % n), seconds))
    rows = []
    for size in sizes:
        ratios = [statistics.median(turn) / size / (statistics.median(last) / sizes[-1])
                  for turn, last in zip(times[size], times[sizes[-1]])]
        ms = statistics.median(t for turn in times[size] for t in turn)
        rows.append({"minibatch": size, "ms": ms, "us_an_example": 1e3 * ms / size,
                     "ratio": [statistics.median(ratios), min(ratios), max(ratios)]})
    return rows


def table(rows):
    """Lines of text."""
    lines = ["minibatch  ms a minibatch  us an example  times that of %d" % rows[-1]["minibatch"]]
    for row in rows:
        lines.append("%9d %15.3f %14.1f  %.2f (%.2f to %.2f)" % (
            row["minibatch"], row["ms"], row["us_an_example"], *row["ratio"]))
    return lines
