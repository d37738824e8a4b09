"""Measure LeNet-5: how soon it starts to train, how fast it is, how much memory it needs.

With --peers: how fast it is beside plain Theano and PyTorch, measured in turn. With --network3:
the time per example in small minibatches. With --scaling: steps in shards on one and two processes
of mpiexec, and what that lets expect of more.
"""

import argparse
import contextlib
import json
import os
import sys

from lenet import commands

# isort: split
from benchmarking import minibatches, peers, picture, scaling, start

from lenet.convolutional_mlp import check_nkerns
from lenet.data.files import write_beside
from lenet.errors import UsageError
from lenet.figures import plots


def main():
    parser = commands.Parser(
        __doc__, example="python scripts/benchmark.py --peers --json benchmark.json")
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file, too")
    parser.add_argument("--nkerns", type=int, nargs=2, metavar=("A", "B"),
                        help="number of filters of each convolution; 20 50, with --peers 6 16, too")
    parser.add_argument("--batch-size", type=parse_count, default=500, metavar="N",
                        help="examples per minibatch")
    parser.add_argument("--no-cold", dest="cold", action="store_false",
                        help="skip the cold start, which takes about half a minute")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--peers", action="store_true",
                       help="measure this package, plain Theano and PyTorch in turn")
    kinds.add_argument("--network3", action="store_true",
                       help="measure the network of scripts/network3.py in minibatches of "
                       "1, 10, 100 and 500")
    kinds.add_argument("--scaling", action="store_true",
                       help="measure data-parallel training on one and two processes, and predict "
                       "it for up to 1,024")
    options = parser.add_argument_group("of --peers")
    options.add_argument("--peer", action="append", metavar="NAME", choices=peers.PEERS,
                         help="measure this one only, or several: " + ", ".join(peers.PEERS))
    options.add_argument("--network", choices=peers.NETWORKS, default="lenet5",
                         help="measure another network than the tutorial's LeNet-5")
    options.add_argument("--minibatches", type=parse_count, nargs="+", metavar="N",
                         help="examples per minibatch; by default 10, 100, 500 and 2000, and "
                         "those of its script for another network")
    options.add_argument("--threads", type=parse_count, nargs="+", metavar="N",
                         help="numbers of threads; one and all by default")
    options.add_argument("--isa", choices=peers.ISAS,
                         help="hold all of them to this instruction set, on a processor that has "
                         "a later one")
    options.add_argument("--rounds", type=parse_count, default=7, metavar="N",
                         help="turns of each, in --network3, too")
    options.add_argument("--torch-python", metavar="PYTHON",
                         default=os.environ.get("TORCH_PYTHON", sys.executable),
                         help="the Python that has PyTorch; TORCH_PYTHON in the environment, or "
                         "this one")
    options.add_argument("--output", metavar="FILE", help="draw the bars, in PNG, PDF or SVG")
    arguments = parser.parse_args()
    if arguments.output and not (arguments.peers or arguments.scaling):
        raise UsageError("--output draws what --peers or --scaling measures; give one of them")
    plots.check_output(arguments.output)
    nkerns = [arguments.nkerns] if arguments.nkerns else [[20, 50], [6, 16]]
    check_nkerns(nkerns[0])

    with contextlib.ExitStack() as stack:
        # Opened before the measuring, so that a file that cannot be written is refused at once.
        file = arguments.json and stack.enter_context(write_beside(arguments.json))
        if arguments.peers:
            result = peers.run(arguments.peer, arguments.minibatches, nkerns, arguments.threads,
                               arguments.rounds, arguments.torch_python, arguments.isa,
                               arguments.network)
            machine = result["machine"]
            lines = ["{name}, instruction set: {isa}".format(**machine),
                     *(f"sgemm with {threads} threads: {speed:.0f} GFLOP/s"
                       for threads, speed in machine["sgemm_gflops"].items()),
                     *peers.format_table(result["rows"])]
        elif arguments.network3:
            result = {"rows": minibatches.run(arguments.rounds)}
            lines = minibatches.format_table(result["rows"])
        elif arguments.scaling:
            result = scaling.run()
            lines = scaling.format_table(result)
        else:
            result = start.run(arguments.batch_size, nkerns[0], arguments.cold)
            lines = [text.format(**result) for name, text in start.LINES.items() if name in result]
        print("\n".join(lines))
        if file:
            file.write((json.dumps(result, indent=1) + "\n").encode())
    if arguments.output and arguments.scaling:
        plots.finish(scaling.draw(result), arguments.output)
    elif arguments.output:
        sizes = [row["minibatch"] for row in result["rows"]]
        plots.finish(picture.draw(result["rows"], 500 if 500 in sizes else sizes[-1],
                                  result["rows"][0]["nkerns"]), arguments.output)


def parse_count(text):
    """The type of an option: a number from 1 to that of the examples in MNIST's validation set."""
    if not 1 <= int(text) <= 10000:
        raise argparse.ArgumentTypeError(f"{text}; expected a whole number from 1 to 10000")
    return int(text)


if __name__ == "__main__":
    commands.run(main)
