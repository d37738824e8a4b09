"""Classify image files with a saved network: a class and its probability for each."""

import os

# One thread computes: more would take processors from the processes that read, for which it waits.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# isort: split
from lenet import commands  # first: it says in one line what is missing

# isort: split
import sys

import numpy

from lenet.data import open_arrays
from lenet.data.files import write_beside
from lenet.errors import UsageError
from lenet.predict import Predictor
from lenet.predict.finding import find_images
from lenet.predict.rejection import Distance, find_threshold, unknown_images
from lenet.predict.results import classify_or_reject
from lenet.predict.tables import stack_rows, write_csv, write_json, write_text
from lenet.runs.run import dataset_of


def parse_arguments():
    parser = commands.Parser(
        __doc__, example="python scripts/predict.py RUN seven.jpg folder/ --top 3")
    parser.add_argument("model", metavar="MODEL", help="a model file, or the folder of a run")
    parser.add_argument("images", nargs="+", metavar="IMAGE",
                        help="image files, folders of them, or - for a list on standard input")
    parser.add_argument("--top", type=int, default=1, metavar="K",
                        help="show the K most probable classes")
    parser.add_argument("--no-center", action="store_false", dest="center",
                        help="use pictures of digits as they are: 28 x 28, light on dark, "
                             "centered as in MNIST")
    rejects = parser.add_mutually_exclusive_group()
    rejects.add_argument("--reject", type=float, metavar="FRACTION",
                         help="give no class to images that are further from what the network has "
                              "learned than all but this fraction of the validation set")
    rejects.add_argument("--unknown", metavar="SET",
                         help="give no class to images that are about as far as these: pictures of "
                              "no class in a folder, or the validation set of a dataset of other "
                              "classes")
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
    return arguments


def main():
    arguments = parse_arguments()
    predictor = Predictor(arguments.model)
    n_classes = len(predictor.class_names)
    if not 1 <= arguments.top <= n_classes:
        raise UsageError(f"top {arguments.top}; expected 1 to {n_classes}, the number of classes")
    paths, failed = find_images(arguments.images), []
    if arguments.features is not None:
        found = predictor.of_files(predictor.features(arguments.features), paths, arguments.center)
        features = stack_rows(row for _, row, _ in commands.report_failures(found, failed))
        with write_beside(arguments.output) as file:
            numpy.save(file, features)
    else:
        distance = threshold = None
        if arguments.reject is not None or arguments.unknown is not None:
            dataset = dataset_of(arguments.model, arguments.dataset)
            distance = Distance(predictor, open_arrays(dataset))
            threshold = (distance.threshold(arguments.reject) if arguments.unknown is None
                         else choose_threshold(distance, arguments.unknown, arguments.center))
        results = classify_or_reject(predictor, paths, arguments.top, arguments.center,
                                     distance, threshold)
        (arguments.write or write_text)(sys.stdout, commands.report_failures(results, failed),
                                        arguments.top, threshold)
    return commands.FAILED if failed else 0


def choose_threshold(distance, name, center):
    """The distance that best parts unknown images from the validation set; say how well it does."""
    from lenet.reports.evaluation_tables import describe_share  # imports Matplotlib, which is slow

    x = distance.datasets[1][0]
    known = distance.measure(x)
    unknown = distance.measure(unknown_images(name, distance.predictor, x, part=1, center=center,
                                              report=commands.warn))
    threshold = find_threshold(known, unknown)
    shares = [describe_share((far > threshold).sum(), len(far)) for far in (known, unknown)]
    commands.warn(f"rejected beyond a distance of {threshold:.3g}: of the validation set "
                  f"{shares[0]}; of {name} {shares[1]}")
    return threshold


if __name__ == "__main__":
    commands.run(main)
