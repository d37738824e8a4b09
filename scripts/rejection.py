"""See how many errors a network avoids by rejecting the images that it is least sure of."""

import numpy

from lenet import commands
from lenet.data import as_floats, open_arrays
from lenet.errors import DataError
from lenet.figures import plots
from lenet.predict.predictor import Predictor
from lenet.predict.rejection import Distance, accuracy_of_kept
from lenet.runs.run import dataset_of

FRACTIONS = (0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


def main():
    parser = commands.Parser(
        description=__doc__, example="python scripts/rejection.py RUN --output rejection.png"
    )
    parser.add_argument("model", metavar="MODEL", help="a model file, or the folder of a run")
    parser.add_argument("--unknown", metavar="SET",
                        help="see how many of these are rejected: the test images of a dataset of "
                             "other classes; or noise, or negatives of the test images")
    parser.add_argument("--output", metavar="FILE", help="draw the curves, in PNG, PDF or SVG")
    parser.add_dataset(of_run=True)
    arguments = parser.parse_args()
    plots.check_output(arguments.output)

    predictor = Predictor(arguments.model)
    datasets = open_arrays(arguments.dataset or dataset_of(arguments.model))
    distance = Distance(predictor, datasets)
    scores = {"distance": distance.of,
              "1 - probability": lambda x: 1 - predictor.probabilities(x).max(axis=1)}
    x, y = datasets[2]
    right = predictor.probabilities(x).argmax(axis=1) == y
    known = {name: score(x) for name, score in scores.items()}
    panels = {"accuracy of the images that are kept (%)": {
        name: accuracy_of_kept(values, right) for name, values in known.items()}}
    if arguments.unknown is not None:
        unknown = unknown_images(arguments.unknown, x, predictor.image_shape)
        panels["rejected images of unknown classes (%)"] = {
            name: share_above(known[name], score(unknown)) for name, score in scores.items()}

    for title, curves in panels.items():
        print(title + ", by")
        print("rejected" + "".join(f"{name:>17}" for name in curves))
        for fraction in FRACTIONS:
            print(f"{100 * fraction:6.1f} %" + "".join(
                f"{100 * curve[int(fraction * len(x))]:17.2f}" for curve in curves.values()))
    if arguments.output:
        plots.finish(plots.draw_rejection(panels), arguments.output)


def unknown_images(name, x, image_shape):
    """The images that --unknown names; ``x`` are those of the test set."""
    if name == "noise":
        return numpy.random.RandomState(0).randint(0, 256, x.shape).astype("uint8")
    if name == "negatives":
        return 255 / 256 - as_floats(x)
    unknown = open_arrays(name)
    if unknown.image_shape != image_shape:
        raise DataError(f"{name}: images of shape {unknown.image_shape}; expected those of the "
                        f"network, {image_shape}")
    return unknown[2][0]


def share_above(known, unknown):
    """The fraction of unknown images that are rejected with 0, 1, ... of the known ones."""
    thresholds = numpy.sort(known)[::-1]  # each in turn is the largest that is still accepted
    return 1 - numpy.searchsorted(numpy.sort(unknown), thresholds, side="right") / len(unknown)


if __name__ == "__main__":
    commands.run(main)
