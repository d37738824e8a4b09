"""Classify image files with a saved network: a class and its probability for each."""

import os

# One thread computes: more would take processors from the processes that read, for which it waits.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# isort: split
import csv
import json
import sys

from lenet import commands
from lenet.errors import UsageError
from lenet.saved.predict import Predictor, find_images


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
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_const", dest="write", const=write_csv,
                      help="write a table with one row per image")
    form.add_argument("--json", action="store_const", dest="write", const=write_json,
                      help="write a list with one object per image")
    arguments = parser.parse_args()

    predictor = Predictor(arguments.model)
    n_classes = len(predictor.class_names)
    if not 1 <= arguments.top <= n_classes:
        raise UsageError(f"top {arguments.top}; expected 1 to {n_classes}, the number of classes")
    failed = []

    def results():
        """Pairs of a path and the most probable classes, each with its probability."""
        for path, probabilities, error in predictor.classify(find_images(arguments.images),
                                                             arguments.center):
            if error is not None:
                failed.append(path)
                commands.fail(error, commands.FAILED)
                yield path, None
            else:
                best = (-probabilities).argsort(kind="stable")[:arguments.top]
                yield path, [(predictor.class_names[i], float(probabilities[i])) for i in best]

    (arguments.write or write_text)(results(), arguments.top)
    return commands.FAILED if failed else 0


def write_text(results, top):
    """image.png: 7 (99.8 %), 1 (0.1 %)"""
    for path, classes in results:
        if classes is not None:
            print(path + ": " + ", ".join(f"{name} ({100 * probability:.1f} %)"
                                          for name, probability in classes))


def write_csv(results, top):
    """A row per image, with empty cells if it could not be used."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    numbers = [""] + [f"_{rank}" for rank in range(2, top + 1)]
    writer.writerow(["file"] + [name + number for number in numbers
                                for name in ("class", "probability")])
    for path, classes in results:
        row = [path]
        for name, probability in classes or [("", None)] * top:
            row += [name, "" if probability is None else f"{probability:.6f}"]
        writer.writerow(row)


def write_json(results, top):
    """An object per image; "classes" is null if it could not be used."""
    separator = "[\n"
    for path, classes in results:
        if classes is not None:
            classes = [{"class": name, "probability": probability}
                       for name, probability in classes]
        print(separator + json.dumps({"file": path, "classes": classes}), end="")
        separator = ",\n"
    print("[]" if separator == "[\n" else "\n]")


if __name__ == "__main__":
    commands.run(main)
