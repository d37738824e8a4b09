"""Train LeNet-5 as in the paper of 1998, or with some of the tutorials' simplifications."""

import os

# Ten images are computed before a second thread has woken up, and on a busy machine each step
# would wait for it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# isort: split
from lenet import commands
from lenet.lenet5_1998 import CHOICES, evaluate_lenet5_1998


def options():
    """The parser of this command's options."""
    parser = commands.Parser(
        __doc__, example="python scripts/lenet5_1998.py --pooling max --n-epochs 5",
        trains=[evaluate_lenet5_1998],
        # The learning rate falls with the number of epochs: another number is another run.
        epochs=None,
    )
    parser.add_sgd(learning_rate="factor of the gradient in the first epoch, which falls to a "
                                 "fiftieth of this; by default 0.002 for the head rbf and 0.05 "
                                 "for softmax")
    parser.add_argument("--connections", choices=CHOICES["connections"],
                        help="C3 sees the maps of the paper's table I, or all")
    parser.add_argument("--pooling", choices=CHOICES["pooling"],
                        help="S2 and S4: a trainable mean, or the maximum")
    parser.add_argument("--head", choices=CHOICES["head"],
                        help="output: distances to pictures of the digits, or probabilities")
    parser.add_argument("--loss", choices=CHOICES["loss"],
                        help="with the head rbf: the paper's equation 9, or 8")
    parser.add_sizes("--filter-size", "filters of C1 and C3")
    parser.add_run()
    return parser


def main():
    evaluate_lenet5_1998(**commands.parse_training(options()))


if __name__ == "__main__":
    commands.run_training(main)
