"""Train a logistic regression on MNIST, as in the deeplearning.net tutorial."""

from lenet import commands
from lenet.logistic_sgd import sgd_optimization_mnist


def options():
    """The parser of this command's options."""
    parser = commands.Parser(__doc__, example="python scripts/logistic_sgd.py --n-epochs 5",
                             trains=[sgd_optimization_mnist])
    parser.add_sgd(seed=None)
    parser.add_standardize()
    parser.add_run()
    return parser


def main():
    sgd_optimization_mnist(**commands.parse_training(options()))


if __name__ == "__main__":
    commands.run_training(main)
