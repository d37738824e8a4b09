"""Train the convolutional networks of Nielsen's network3 on MNIST, or evaluate a saved one."""

import os

# Ten images are computed before a second thread has woken up, and on a busy machine each step
# would wait for it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# isort: split
from lenet import commands
from lenet.data import image_shape_of, load_data
from lenet.network3 import conv_network
from lenet.networks import load_datasets, load_model


def options():
    """The parser of this command's options."""
    parser = commands.Parser(
        __doc__, example="python scripts/network3.py --dropout 0.3 --output run",
        epochs="epochs",
    )
    parser.add_argument("--conv-layers", type=int, choices=[1, 2], default=1,
                        help="convolution and pooling layers: 20 maps, or 20 and 40")
    parser.add_argument("--dropout", type=float, default=0.0, metavar="P",
                        help="fraction of the fully connected layer's inputs left out in training")
    parser.add_argument("--epochs", type=int, default=60, metavar="N",
                        help="passes over the training set")
    parser.add_argument("--mini-batch-size", type=int, default=10, metavar="N",
                        help="examples per minibatch")
    parser.add_argument("--eta", type=float, default=0.1, metavar="RATE", help="learning rate")
    parser.add_argument("--lmbda", type=float, default=0.0, metavar="FACTOR",
                        help="factor of the L2 regularization")
    parser.add_argument("--seed", type=commands.parse_seed, default=0, metavar="N",
                        help="seed of the initial parameters and of the dropout")
    parser.add_transfer("conv_layers", "standardize")
    parser.add_standardize()
    parser.add_run().add_argument(
        "--load", metavar="MODEL",
        help="evaluate the network in this file or run, without training")
    return parser


def main():
    arguments = commands.parse_training(options())

    if arguments["load"] is not None:
        saved = load_model(arguments["load"], kind="Network")
        _, validation_data, test_data = load_datasets(saved, arguments["dataset"])
        net = saved.model
        print(f"Validation accuracy {100 * net.accuracy(validation_data):.2f}%")
        print(f"The corresponding test accuracy is {100 * net.accuracy(test_data):.2f}%")
        return
    datasets = load_data(arguments["dataset"])
    training_data, validation_data, test_data = datasets
    image_shape = image_shape_of(datasets, least=16 if arguments["conv_layers"] == 2 else 6)
    net = conv_network(
        image_shape, arguments["conv_layers"], arguments["dropout"], arguments["mini_batch_size"],
        arguments["seed"], n_out=len(datasets.class_names),
    )
    net.SGD(training_data, arguments["epochs"], arguments["mini_batch_size"], arguments["eta"],
            validation_data, test_data, arguments["lmbda"], observers=arguments["observers"],
            datasets=datasets)


if __name__ == "__main__":
    commands.run_training(main)
