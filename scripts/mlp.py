"""Train a multilayer perceptron on MNIST, as in the deeplearning.net tutorial."""

import os

# Twenty images are computed before a second thread has woken up, and on a busy machine each step
# would wait for it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# isort: split
from lenet import commands
from lenet.mlp import test_mlp


def options():
    """The parser of this command's options."""
    parser = commands.Parser(__doc__, example="python scripts/mlp.py --n-epochs 1",
                             trains=[test_mlp])
    parser.add_sgd(seed="seed of the initial weights")
    parser.add_argument("--L1-reg", type=float, metavar="FACTOR",
                        help="factor of the sum of the weights' absolute values in the cost")
    parser.add_hidden()
    parser.add_standardize()
    parser.add_own_images()
    parser.add_run()
    return parser


def main():
    test_mlp(**commands.parse_training(options()))


if __name__ == "__main__":
    commands.run_training(main)
