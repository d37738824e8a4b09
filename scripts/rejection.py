"""See how many errors a network avoids by rejecting the images that it is least sure of."""

from lenet import commands
from lenet.data import open_arrays
from lenet.figures import plots
from lenet.predict import Predictor
from lenet.predict.rejection import rejection_curves
from lenet.runs.run import dataset_of

FRACTIONS = (0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


def main():
    parser = commands.Parser(
        __doc__, example="python scripts/rejection.py RUN --output rejection.png")
    parser.add_argument("model", metavar="MODEL", help="a model file, or the folder of a run")
    parser.add_argument("--unknown", metavar="SET",
                        help="see how many of these are rejected: pictures of no class in a "
                             "folder, or the test images of a dataset of other classes; or noise, "
                             "or negatives of the test images")
    parser.add_argument("--output", metavar="FILE", help="draw the curves, in PNG, PDF or SVG")
    parser.add_dataset(of_run=True)
    arguments = parser.parse_args()
    plots.check_output(arguments.output)

    predictor = Predictor(arguments.model)
    datasets = open_arrays(dataset_of(arguments.model, arguments.dataset))
    panels = rejection_curves(predictor, datasets, arguments.unknown, commands.warn)
    for title, curves in panels.items():
        print(title + ", by")
        print("rejected" + "".join(f"{name:>17}" for name in curves))
        for fraction in FRACTIONS:
            print(f"{100 * fraction:6.1f} %" + "".join(
                f"{100 * curve[int(fraction * len(curve))]:17.2f}" for curve in curves.values()))
    if arguments.output:
        plots.finish(plots.draw_rejection(panels), arguments.output)


if __name__ == "__main__":
    commands.run(main)
