"""Classify image files with a saved network: a class and its probability for each."""

import os

# One thread computes: more would take processors from the processes that read, for which it waits.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# isort: split
import csv
import json
import sys

import numpy

from lenet import commands
from lenet.data import open_arrays
from lenet.data.files import write_beside
from lenet.errors import UsageError
from lenet.predict import Predictor
from lenet.predict.finding import find_images
from lenet.predict.rejection import Distance


def main():
    parser = commands.Parser(
        description=__doc__, example="python scripts/predict.py RUN seven.jpg folder/ --top 3"
    )
    parser.add_argument("model", metavar="MODEL", help="a model file, or the folder of a run")
    parser.add_argument("images", nargs="+", metavar="IMAGE",
                        help="image files, folders of them, or - for a list on standard input")
    parser.add_argument("--top", type=int, default=1, metavar="K",
                        help="show the K most probable classes")
    parser.add_argument("--no-center", action="store_false", dest="center",
                        help="use pictures of digits as they are: 28 x 28, light on dark, "
                             "centered as in MNIST")
    parser.add_argument("--reject", type=float, metavar="FRACTION",
                        help="give no class to images that are further from what the network has "
                             "learned than all but this fraction of the validation set")
    parser.add_dataset(of_run=True)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_const", dest="write", const=write_csv,
                      help="write a table with one row per image")
    form.add_argument("--json", action="store_const", dest="write", const=write_json,
                      help="write a list with one object per image")
    form.add_argument("--features", metavar="LAYER",
                      help="write the outputs of this layer to the file of --output")
    parser.add_argument("--output", metavar="FILE.npy",
                        help="of --features: an array with a row per image, of NaN for a file that "
                             "cannot be used")
    arguments = parser.parse_args()
    if (arguments.features is None) != (arguments.output is None):
        raise UsageError("--features LAYER writes to --output FILE.npy; give both")

    predictor = Predictor(arguments.model)
    n_classes = len(predictor.class_names)
    if not 1 <= arguments.top <= n_classes:
        raise UsageError(f"top {arguments.top}; expected 1 to {n_classes}, the number of classes")
    failed = []

    def each(function):
        """Pairs of a path and what a function gives for its image; None for one that fails."""
        for path, value, error in predictor.of_files(function, find_images(arguments.images),
                                                     arguments.center):
            if error is not None:
                failed.append(path)
                commands.fail(error, commands.FAILED)
            yield path, value

    if arguments.features is not None:
        write_features(each(predictor.features(arguments.features)), arguments.output)
        return commands.FAILED if failed else 0

    if arguments.reject is None:
        function, threshold = predictor.probabilities, None
    else:
        from lenet.runs.run import dataset_of  # draws curves, which is slow to import

        distance = Distance(predictor, open_arrays(arguments.dataset
                                                   or dataset_of(arguments.model)))
        threshold = distance.threshold(arguments.reject)

        def function(images):
            return zip(predictor.probabilities(images), distance.of(images))

    def results():
        """For each image its path, the most probable classes, each with its probability, and the
        distance; no classes if that is too large, None for what there is not."""
        for path, value in each(function):
            classes = distance_of_image = None
            if value is not None:
                probabilities, distance_of_image = value if threshold else (value, None)
                best = (-probabilities).argsort(kind="stable")[:arguments.top]
                classes = [(predictor.class_names[i], float(probabilities[i])) for i in best]
                if threshold and distance_of_image > threshold:
                    classes = []
            yield path, classes, distance_of_image

    (arguments.write or write_text)(results(), arguments.top, threshold)
    return commands.FAILED if failed else 0


def write_text(results, top, threshold):
    """image.png: 7 (99.8 %), 1 (0.1 %)"""
    for path, classes, distance in results:
        if classes:
            print(path + ": " + ", ".join(f"{name} ({100 * probability:.1f} %)"
                                          for name, probability in classes)
                  + (f"; distance {distance:.3g} of {threshold:.3g}" if threshold else ""))
        elif classes is not None:
            print(f"{path}: rejected (distance {distance:.3g}, more than {threshold:.3g})")


def write_csv(results, top, threshold):
    """A row per image, with empty cells if it was rejected or could not be used."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    numbers = [""] + [f"_{rank}" for rank in range(2, top + 1)]
    writer.writerow(["file"] + [name + number for number in numbers
                                for name in ("class", "probability")]
                    + ["distance"] * bool(threshold))
    for path, classes, distance in results:
        row = [path]
        for name, probability in classes or [("", None)] * top:
            row += [name, "" if probability is None else f"{probability:.6f}"]
        if threshold:
            row.append("" if distance is None else f"{distance:.6g}")
        writer.writerow(row)


def write_json(results, top, threshold):
    """An object per image; "classes" is empty if it was rejected, null if it could not be used."""
    separator = "[\n"
    for path, classes, distance in results:
        if classes is not None:
            classes = [{"class": name, "probability": probability}
                       for name, probability in classes]
        found = {"file": path, "classes": classes}
        if threshold:
            found["distance"] = None if distance is None else float(distance)
        print(separator + json.dumps(found), end="")
        separator = ",\n"
    print("[]" if separator == "[\n" else "\n]")


def write_features(values, output):
    """The values of all images as one array."""
    rows = [row for _, row in values]
    shapes = {row.shape: row.dtype for row in rows if row is not None} or {(): "float32"}
    (shape, dtype), = shapes.items()
    features = numpy.full((len(rows),) + shape, numpy.nan, dtype)
    for number, row in enumerate(rows):
        if row is not None:
            features[number] = row
    with write_beside(output) as file:
        numpy.save(file, features)


if __name__ == "__main__":
    commands.run(main)
