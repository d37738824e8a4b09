"""Train LeNet-5 on MNIST, as in the deeplearning.net tutorial."""

from lenet import commands
from lenet.convolutional_mlp import evaluate_lenet5, experiment  # noqa: F401  (a scheduler's hook)
from lenet.mlp import ACTIVATIONS
from lenet.pooling import POOLINGS


def options():
    """The parser of this command's options."""
    parser = commands.Parser(__doc__, example="python scripts/convolutional_mlp.py --n-epochs 1",
                             trains=evaluate_lenet5)
    parser.add_sgd()
    parser.add_argument("--nkerns", type=int, nargs=2, metavar=("A", "B"),
                        help="number of filters of each convolution")
    parser.add_sizes("--filter-size", "filters")
    parser.add_sizes("--poolsize", "windows of the pooling")
    parser.add_argument("--pooling", choices=POOLINGS,
                        help="kind of pooling; stochastic needs --activation relu, sigmoid or "
                             "softplus")
    parser.add_hidden(ACTIVATIONS)
    parser.add_transfer("nkerns", "filter_size", "poolsize", "pooling", "n_hidden", "activation")
    parser.add_run()
    return parser


def main():
    evaluate_lenet5(**options().parse_training())


if __name__ == "__main__":
    commands.run_training(main)
