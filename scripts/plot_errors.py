"""Draw the test images that a saved network gets wrong: truth above, prediction below."""

from lenet import commands
from lenet.data import load_data
from lenet.network3 import get_error_locations
from lenet.pictures import plots
from lenet.saved.networks import check_images, load_model
from lenet.saved.run import dataset_of

ROWS, COLUMNS = 12, 10  # of images that are drawn


def main():
    parser = commands.Parser(
        description=__doc__,
        example="python scripts/plot_errors.py run --output errors.png",
    )
    parser.add_argument("model", metavar="MODEL",
                        help="a .safetensors file, or the folder of a run")
    parser.add_dataset(of_run=True)
    parser.add_argument("--output", metavar="FILE", help="write the picture to this file")
    arguments = parser.parse_args()

    saved = load_model(arguments.model)
    datasets = load_data(arguments.dataset or dataset_of(arguments.model))
    check_images(saved, datasets)
    test_data = datasets[2]
    error_locations, erroneous_predictions = get_error_locations(saved.model, test_data)
    print("%d of %d test images are misclassified"
          % (len(error_locations), test_data[0].get_value(borrow=True).shape[0]))
    print("drawn: the first %d, the truth in green at the top, the prediction in red at the bottom"
          % min(ROWS * COLUMNS, len(error_locations)))
    plots.finish(
        plots.plot_errors(error_locations, erroneous_predictions, test_data, saved.image_shape,
                          ROWS, COLUMNS, saved.class_names),
        arguments.output,
    )


if __name__ == "__main__":
    commands.run(main)
