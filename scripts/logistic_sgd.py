"""Train a logistic regression on MNIST, as in the deeplearning.net tutorial."""

from lenet import commands
from lenet.logistic_sgd import sgd_optimization_mnist


def main():
    parser = commands.Parser(
        description=__doc__, example="python scripts/logistic_sgd.py --n-epochs 5"
    )
    parser.add_argument("--learning-rate", type=float, default=0.13, metavar="RATE",
                        help="factor of the gradient in each step")
    parser.add_argument("--n-epochs", type=int, default=1000, metavar="N",
                        help="passes over the training set at the most")
    parser.add_argument("--batch-size", type=int, default=600, metavar="N",
                        help="examples a minibatch")
    parser.add_training()
    sgd_optimization_mnist(**parser.parse_training())


if __name__ == "__main__":
    commands.run(main)
