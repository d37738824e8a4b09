"""Draw the test digits that a saved network3 gets wrong: truth above, prediction below."""

from lenet import command, plots
from lenet.data import image_shape_of, load_data
from lenet.network3 import conv_network, get_error_locations


def main():
    parser = command.Parser(
        description=__doc__,
        example="python scripts/plot_errors.py network.safetensors --output errors.png",
    )
    parser.add_argument("file", metavar="FILE", help="what network3.py --save wrote")
    parser.add_argument("--conv-layers", type=int, choices=[1, 2], default=1,
                        help="as in the training")
    parser.add_argument("--dropout", type=float, default=0.0, metavar="P",
                        help="as in the training")
    parser.add_argument("--dataset", default="mnist.pkl.gz", metavar="FILE",
                        help="path of a dataset, or a name looked up here and in data/")
    parser.add_argument("--output", metavar="FILE", help="write the picture to this file")
    arguments = parser.parse_args()

    datasets = load_data(arguments.dataset)
    image_shape = image_shape_of(datasets)
    net = conv_network(image_shape, arguments.conv_layers, arguments.dropout)
    net.load(arguments.file)
    test_data = datasets[2]
    error_locations, erroneous_predictions = get_error_locations(net, test_data)
    print("%d of %d test digits are misclassified"
          % (len(error_locations), test_data[0].get_value(borrow=True).shape[0]))
    plots.finish(
        plots.plot_errors(error_locations, erroneous_predictions, test_data, image_shape),
        arguments.output,
    )


if __name__ == "__main__":
    command.run(main)
