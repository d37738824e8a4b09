"""Draw the test images that a saved network misclassifies, with truth and prediction."""

from lenet import commands
from lenet.data import shared_dataset
from lenet.figures import plots
from lenet.network3 import get_error_locations
from lenet.networks import load_datasets, load_model
from lenet.runs.run import dataset_of

ROWS, COLUMNS = 12, 10


def main():
    parser = commands.Parser(
        __doc__, example="python scripts/plot_errors.py run --output errors.png")
    parser.add_argument("model", metavar="MODEL",
                        help="a .safetensors file, or the folder of a run")
    parser.add_dataset(of_run=True)
    parser.add_argument("--output", metavar="FILE", help="write the picture to this file")
    arguments = parser.parse_args()

    saved = load_model(arguments.model)
    test_data = load_datasets(saved, dataset_of(arguments.model, arguments.dataset))[2]
    error_locations, erroneous_predictions = get_error_locations(saved.model, test_data)
    images = test_data.x.get_value(borrow=True)
    n_errors, n_images = len(error_locations), len(images)
    print(f"{n_errors} of {n_images} test images are misclassified")
    print(f"drawn: the first {min(ROWS * COLUMNS, n_errors)}, the truth in green above the "
          "prediction in red")
    drawn = shared_dataset((saved.pixels.to_fractions(images), test_data.labels()))
    figure = plots.plot_errors(error_locations, erroneous_predictions, drawn, saved.image_shape,
                               ROWS, COLUMNS, saved.class_names)
    plots.finish(figure, arguments.output)


if __name__ == "__main__":
    commands.run(main)
