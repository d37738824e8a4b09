"""Steps of LeNet-5 in shards, alone or on ranks: python -m benchmarking.ranked BATCH/SHARDS ...

Rank 0 prints a line of JSON: for each argument the milliseconds of the steps, and of their
messages; and for some numbers of floats those of the message alone.
"""
import json
import statistics
import sys
import time

import lenet  # noqa: F401  (first: Theano starts with its settings)

# isort: split
import numpy

from benchmarking.lenet_peer import Peer
from lenet.data import load_data
from lenet.parallel import ranks
from lenet.parallel.shards import ShardedDataset, split_minibatches

ROUNDS, STEPS = 7, 5  # each case has its turn in each round


def main():
    ranks.join()
    cases = {case: Steps(*map(int, case.split("/"))) for case in sys.argv[1:]}
    for _ in range(ROUNDS):
        for steps in cases.values():
            steps.take(STEPS)
    sizes = (1, 2 ** 12, 2 ** 16, 431082, 2 ** 22) if ranks.get_world().size > 1 else ()
    print(json.dumps({"steps": {case: steps.medians() for case, steps in cases.items()},
                      "messages": {size: time_message(size) for size in sizes}}))


class Steps:
    """Milliseconds of steps, and of what they spend in the sum over the ranks."""

    def __init__(self, batch_size, number):
        world = ranks.get_world()
        dataset = ShardedDataset("mnist.pkl.gz", split_minibatches(number, batch_size, world),
                                 world)
        self.peer = Peer(batch_size, datasets=load_data(dataset))
        self.done, self.whole, self.sums = 0, [], []

    def take(self, n):
        """Take some steps; the first of a turn is not counted."""
        sums = []
        world = ranks.get_world()
        if world.size > 1:
            add = type(world).sum_of_branches
            world.sum_of_branches = lambda own: time_call(sums, add, world, own)
        whole = []
        for _ in range(n + 1):
            time_call(whole, self.peer.train, self.done)
            self.done += 1
        self.whole += whole[1:]
        self.sums += sums[1:] or [0.0]

    def medians(self):
        return [statistics.median(self.whole), statistics.median(self.sums)]


def time_message(size):
    """The median of milliseconds to add up a message of some floats of each rank."""
    times = []
    own = numpy.ones((1, size), "float32")
    for _ in range(ROUNDS * STEPS):
        ranks.get_world().sum_counts(0)  # all ranks are here
        time_call(times, ranks.get_world().sum_of_branches, own)
    return statistics.median(times)


def time_call(times, function, *arguments):
    begin = time.perf_counter()
    value = function(*arguments)
    times.append(1e3 * (time.perf_counter() - begin))
    return value


if __name__ == "__main__":
    main()
