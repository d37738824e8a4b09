"""Build mnist.pkl.gz, the tutorial's dataset, from the four original files of MNIST."""

from lenet import commands
from lenet.data import mnist


def main():
    parser = commands.Parser(
        __doc__, example="python scripts/make_mnist_pkl.py FOLDER data/mnist.pkl.gz")
    parser.add_argument("folder", help="holds train-images-idx3-ubyte.gz and the other three")
    parser.add_argument("output", help="the file to write")
    arguments = parser.parse_args()
    mnist.build(arguments.folder, arguments.output)


if __name__ == "__main__":
    commands.run(main)
