"""Measure how soon LeNet-5 starts to train, how fast it trains, and how much memory it needs."""

import contextlib
import json

from lenet import benchmark, command
from lenet.files import write_beside

ROWS = (
    ("cold start to the first minibatch", "cold_start_s", "s"),
    ("warm start to the first minibatch", "warm_start_s", "s"),
    ("training, a minibatch", "train_ms", "ms"),
    ("evaluation, a minibatch", "evaluate_ms", "ms"),
    ("peak memory of the training", "peak_mb", "MiB"),
)


def main():
    parser = command.Parser(
        description=__doc__, example="python scripts/benchmark.py --json benchmark.json"
    )
    parser.add_argument("--batch-size", type=int, default=500, metavar="N",
                        help="examples a minibatch")
    parser.add_argument("--nkerns", type=int, nargs=2, default=[20, 50], metavar=("A", "B"),
                        help="number of filters of each convolution")
    parser.add_argument("--no-cold", dest="cold", action="store_false",
                        help="leave the cold start out, which takes about a minute")
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file, too")
    arguments = parser.parse_args()

    with contextlib.ExitStack() as stack:
        # Before the measuring: a file that cannot be written is better known at once.
        file = arguments.json and stack.enter_context(write_beside(arguments.json))
        result = benchmark.run(arguments.batch_size, arguments.nkerns, arguments.cold)
        if file:
            file.write((json.dumps(result, indent=1) + "\n").encode())
    print("%s, minibatches of %d, nkerns %d %d"
          % (result["machine"], result["batch_size"], *result["nkerns"]))
    for name, key, unit in ROWS:
        if key in result:
            print("%-36s %8.1f %s" % (name, result[key], unit))


if __name__ == "__main__":
    command.run(main)
