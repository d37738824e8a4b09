"""The time per example in minibatches of several sizes: the network of ``scripts/network3.py``.

Small minibatches learn more per epoch and pay more per example: calls, threads and short loops
cost the same for one example as for a thousand.
"""
import statistics
from functools import partial

from benchmarking.lenet_peer import Peer
from benchmarking.worker import ratio, say, take_turns, time_step
from lenet.data import load_data


def run(rounds, sizes=(1, 10, 100, 500), seconds=0.3):
    """A dict for each size; its ratio compares the time per example with that of the last size."""
    datasets = load_data()
    turns = {}
    for size in sizes:
        say(f"minibatches of {size}: compiling")
        peer = Peer(size, datasets=datasets, network="network3")
        turns[size] = partial(time_step, peer.train, seconds)
    times = take_turns(turns, rounds)
    rows = []
    for size in sizes:
        ms = statistics.median(sum(times[size], []))
        rows.append({"minibatch": size, "ms": ms, "us_an_example": 1e3 * ms / size,
                     "ratio": [value * sizes[-1] / size
                               for value in ratio(times[size], times[sizes[-1]])]})
    return rows


def format_table(rows):
    """Lines of text."""
    return [f"minibatch  ms per minibatch  us per example  times that of {rows[-1]['minibatch']}",
            *("{minibatch:9} {ms:17.3f} {us_an_example:15.1f}  {ratio[0]:.2f} "
              "({ratio[1]:.2f} to {ratio[2]:.2f})".format(**row) for row in rows)]
