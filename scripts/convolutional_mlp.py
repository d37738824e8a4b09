"""Train LeNet-5 on MNIST, as in the deeplearning.net tutorial."""

from lenet import commands
from lenet.convolutional_mlp import LeNet5, evaluate_lenet5, experiment  # noqa: F401  (for jobman)
from lenet.pooling import POOLINGS


def options():
    """The parser of this command's options."""
    parser = commands.Parser(__doc__, example="python scripts/convolutional_mlp.py --n-epochs 1",
                             trains=[LeNet5, evaluate_lenet5])
    parser.add_sgd()
    parser.add_argument("--nkerns", type=int, nargs=2, metavar=("A", "B"),
                        help="number of filters of each convolution")
    parser.add_sizes("--filter-size", "filters")
    parser.add_sizes("--poolsize", "windows of the pooling")
    parser.add_argument("--pooling", choices=POOLINGS, default="max",
                        help="kind of pooling; stochastic needs --activation relu, sigmoid or "
                             "softplus")
    parser.add_hidden()
    parser.add_transfer("nkerns", "filter_size", "poolsize", "pooling", "n_hidden", "activation",
                        "standardize")
    parser.add_standardize()
    parser.add_own_images()
    parser.add_run()
    return parser


def main():
    evaluate_lenet5(**commands.parse_training(options()))


if __name__ == "__main__":
    commands.run_training(main)
