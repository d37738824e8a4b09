"""Train a multilayer perceptron on MNIST, as in the deeplearning.net tutorial."""

import os

# Twenty images are computed before a second thread has woken up, and on a busy machine each step
# would wait for it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# isort: split
from lenet import commands
from lenet.mlp import test_mlp


def main():
    parser = commands.Parser(description=__doc__, example="python scripts/mlp.py --n-epochs 1")
    parser.add_argument("--learning-rate", type=float, default=0.01, metavar="RATE",
                        help="factor of the gradient in each step")
    parser.add_argument("--L1-reg", type=float, default=0.0, metavar="FACTOR",
                        help="factor of the sum of the weights' absolute values in the cost")
    parser.add_argument("--L2-reg", type=float, default=0.0001, metavar="FACTOR",
                        help="factor of the sum of the weights' squares in the cost")
    parser.add_argument("--n-epochs", type=int, default=1000, metavar="N",
                        help="passes over the training set at the most")
    parser.add_argument("--batch-size", type=int, default=20, metavar="N",
                        help="examples a minibatch")
    parser.add_argument("--n-hidden", type=int, default=500, metavar="N",
                        help="units of the hidden layer")
    parser.add_argument("--seed", type=int, default=1234, metavar="N",
                        help="seed of the initial weights")
    parser.add_training()
    test_mlp(**parser.parse_training())


if __name__ == "__main__":
    commands.run(main)
