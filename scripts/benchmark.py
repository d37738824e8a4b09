"""Measure LeNet-5: how soon it starts to train, how fast it is, how much memory it needs.

With --peers: how fast it is beside plain Theano and PyTorch, measured in turn. With --network3:
what an example costs in small minibatches. With --keep: what it costs to keep a training on disk
and to train in chunks, and how fast pictures are classified.
"""

import contextlib
import json
import os
import sys

from lenet import commands

# isort: split
from benchmarking import keeping, minibatches, peers, picture, start

from lenet.data.files import write_beside
from lenet.errors import UsageError
from lenet.pictures import plots

ROWS = (
    ("cold start to the first minibatch", "cold_start_s", "s"),
    ("warm start to the first minibatch", "warm_start_s", "s"),
    ("training, a minibatch", "train_ms", "ms"),
    ("evaluation, a minibatch", "evaluate_ms", "ms"),
    ("peak memory of the training", "peak_mb", "MiB"),
)

# Number of filters of each convolution that --peers measures.
PEERS_NKERNS = [[20, 50], [6, 16]]


def main():
    parser = commands.Parser(
        description=__doc__, example="python scripts/benchmark.py --peers --json benchmark.json"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file, too")
    parser.add_argument("--nkerns", type=int, nargs=2, metavar=("A", "B"),
                        help="number of filters of each convolution; 20 50, with --peers 6 16, too")
    parser.add_argument("--batch-size", type=int, default=500, metavar="N",
                        help="examples a minibatch")
    parser.add_argument("--no-cold", dest="cold", action="store_false",
                        help="leave the cold start out, which takes about half a minute")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--peers", action="store_true",
                       help="measure this package, plain Theano and PyTorch in turn")
    kinds.add_argument("--keep", action="store_true",
                       help="measure saving, resuming, chunks, and predictions")
    kinds.add_argument("--network3", action="store_true",
                       help="measure the network of scripts/network3.py in minibatches of "
                       "1, 10, 100 and 500")
    options = parser.add_argument_group("of --peers")
    options.add_argument("--peer", action="append", metavar="NAME",
                         help="measure this one only, or several: " + ", ".join(peers.PEERS))
    options.add_argument("--minibatches", type=int, nargs="+", default=[10, 100, 500, 2000],
                         metavar="N", help="examples a minibatch")
    options.add_argument("--threads", type=int, nargs="+", metavar="N",
                         help="numbers of threads; one and all, unless given")
    options.add_argument("--rounds", type=int, default=7, metavar="N",
                         help="turns of each, in --network3, too")
    options.add_argument("--torch-python", metavar="PYTHON",
                         default=os.environ.get("TORCH_PYTHON", sys.executable),
                         help="the Python that has PyTorch; TORCH_PYTHON in the environment, or "
                         "this one")
    options.add_argument("--output", metavar="FILE", help="draw the bars, in PNG, PDF or SVG")
    arguments = parser.parse_args()
    if arguments.output and not arguments.peers:
        raise UsageError("--output draws what --peers measures; give both")
    plots.check_output(arguments.output)

    with contextlib.ExitStack() as stack:
        # Before the measuring: a file that cannot be written is better known at once.
        file = arguments.json and stack.enter_context(write_beside(arguments.json))
        if arguments.peers:
            result = measure_peers(arguments)
        elif arguments.keep:
            result = keeping.run(say=lambda line: say("measuring: " + line))
            print("\n".join(keeping.table(result)))
        elif arguments.network3:
            result = {"rows": minibatches.run(rounds=arguments.rounds, say=say)}
            print("\n".join(minibatches.table(result["rows"])))
        else:
            result = measure_start(arguments)
        if file:
            file.write((json.dumps(result, indent=1) + "\n").encode())
    if arguments.output:
        size = 500 if 500 in arguments.minibatches else arguments.minibatches[-1]
        nkerns = arguments.nkerns or PEERS_NKERNS[0]
        plots.finish(picture.draw(result["rows"], size, nkerns), arguments.output)


def say(line):
    """What is going on, for a person who waits."""
    print(line, file=sys.stderr, flush=True)


def measure_peers(arguments):
    nkerns = [arguments.nkerns] if arguments.nkerns else PEERS_NKERNS
    result = peers.run(arguments.peer, arguments.minibatches, nkerns, arguments.threads,
                       arguments.rounds, torch_python=arguments.torch_python, say=say)
    machine = result["machine"]
    print(machine["name"])
    for threads, speed in machine["sgemm_gflops"].items():
        print("sgemm with %s threads: %.0f GFLOP/s" % (threads, speed))
    print("\n".join(peers.table(result["rows"])))
    return result


def measure_start(arguments):
    result = start.run(arguments.batch_size, arguments.nkerns or [20, 50], arguments.cold,
                       say=lambda line: say("measuring: " + line))
    print("%s, minibatches of %d, nkerns %d %d"
          % (result["machine"], result["batch_size"], *result["nkerns"]))
    for name, key, unit in ROWS:
        if key in result:
            print("%-36s %8.1f %s" % (name, result[key], unit))
    return result


if __name__ == "__main__":
    commands.run(main)
