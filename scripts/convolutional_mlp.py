"""Train LeNet-5 on MNIST, as in the deeplearning.net tutorial."""

from lenet import commands
from lenet.convolutional_mlp import evaluate_lenet5, experiment  # noqa: F401  (a scheduler's hook)


def main():
    parser = commands.Parser(
        description=__doc__, example="python scripts/convolutional_mlp.py --n-epochs 1"
    )
    parser.add_argument("--learning-rate", type=float, default=0.1, metavar="RATE",
                        help="factor of the gradient in each step")
    parser.add_argument("--n-epochs", type=int, default=200, metavar="N",
                        help="passes over the training set at the most")
    parser.add_argument("--nkerns", type=int, nargs=2, default=[20, 50], metavar=("A", "B"),
                        help="number of filters of each convolution")
    parser.add_argument("--batch-size", type=int, default=500, metavar="N",
                        help="examples a minibatch")
    parser.add_argument("--seed", type=int, default=23455, metavar="N",
                        help="seed of the initial parameters")
    parser.add_training()
    evaluate_lenet5(**parser.parse_training())


if __name__ == "__main__":
    commands.run(main)
