"""Train LeNet-5, then draw what it makes of one test image: filters, feature maps, classes."""

from lenet import command, plots
from lenet.convolutional_mlp import evaluate_lenet5, look_inside
from lenet.data import image_shape_of, load_data
from lenet.errors import UsageError


def main():
    parser = command.Parser(
        description=__doc__,
        example="python scripts/show_network.py --n-epochs 2 --output network.png",
    )
    parser.add_argument("--n-epochs", type=int, default=2, metavar="N",
                        help="passes over the training set at the most")
    parser.add_argument("--batch-size", type=int, default=500, metavar="N",
                        help="examples a minibatch")
    parser.add_dataset()
    parser.add_argument("--index", type=int, default=0, metavar="N",
                        help="number of the image in the test set, from 0")
    parser.add_argument("--output", metavar="FILE", help="write the picture to this file")
    arguments = parser.parse_args()

    datasets = load_data(arguments.dataset)
    _, height, width = image_shape_of(datasets)
    images = datasets[2][0].get_value(borrow=True)
    if not 0 <= arguments.index < len(images):
        raise UsageError("index %d; expected 0 to %d, the images of the test set"
                         % (arguments.index, len(images) - 1))

    model, _ = evaluate_lenet5(n_epochs=arguments.n_epochs, dataset=arguments.dataset,
                               batch_size=arguments.batch_size)
    image = images[arguments.index]
    # A minibatch of one image: what comes out for it is number 0.
    maps0, maps1, probabilities = (output[0] for output in look_inside(model, image[None]))
    filters = model.layer0.W.get_value()[:, 0]  # the images have one channel
    figure = plots.draw_network(image.reshape(height, width), filters, [maps0, maps1],
                                probabilities)
    plots.finish(figure, arguments.output)


if __name__ == "__main__":
    command.run(main)
