"""Train LeNet-5 on MNIST, as in the deeplearning.net tutorial."""

from lenet import commands
from lenet.convolutional_mlp import evaluate_lenet5, experiment  # noqa: F401  (a scheduler's hook)


def main():
    parser = commands.Parser(__doc__, example="python scripts/convolutional_mlp.py --n-epochs 1",
                             trains=evaluate_lenet5)
    parser.add_sgd()
    parser.add_argument("--nkerns", type=int, nargs=2, metavar=("A", "B"),
                        help="number of filters of each convolution")
    parser.add_run()
    evaluate_lenet5(**parser.parse_training())


if __name__ == "__main__":
    commands.run(main)
