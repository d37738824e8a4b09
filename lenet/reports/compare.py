"""Compare runs on one dataset: their curves, their errors, and the images that tell them apart."""

import itertools
import os
from collections import namedtuple

import numpy

from lenet import networks
from lenet.data import open_arrays
from lenet.data.files import make_folder
from lenet.data.loading import compute_fingerprint
from lenet.data.pixels import as_bytes
from lenet.errors import DataError, UsageError
from lenet.figures import plots
from lenet.predict.predictor import Predictor
from lenet.reports.evaluation import sort_by_confidence
from lenet.reports.summary import count_parameters
from lenet.runs.log import read_log
from lenet.runs.run import dataset_of, read_state

MAX_IMAGES_DRAWN = 60  # of each pair of runs

# name: the end of the path that tells it from the others; trained_on: the sizes of the three sets
# and a checksum of their examples; rows: its log
Compared = namedtuple("Compared", "name predictor trained_on rows")

# epochs, errors (fractions), number of parameters
Line = namedtuple("Line", "name epochs best_validation_error test_error n_parameters")

# images of the test set that only one of two runs misclassifies
Difference = namedtuple("Difference", "wrong right indices file")


def compare(paths, output, dataset=None):
    """Compare runs, and write pictures of how they differ.

    Raises a UsageError if there are fewer than two runs, and a DataError if a file cannot be read
    or written, or if the runs were trained on different examples.

    Parameters
    ----------
    paths : list of str
        The folders of at least two runs.
    output : str
        The folder for the pictures; it is made if it does not exist.
    dataset : str, optional
        The dataset whose test set is classified; by default that of the first run.

    Returns
    -------
    (list of Line, list of Difference)
        One for each run, and one for each of two runs that is wrong where the other is right;
        ``file`` is None where there is no such image.
    """
    if len({os.path.realpath(path) for path in paths}) < max(2, len(paths)):
        raise UsageError(f"{' '.join(paths)}; expected at least two runs, each named once")
    runs = [open_run(path, name) for path, name in zip(paths, shorten_paths(paths))]
    for path, run in zip(paths[1:], runs[1:]):
        check_comparable(paths[0], runs[0], path, run)
    datasets = open_arrays(dataset_of(paths[0], dataset))
    networks.check_images(runs[0].predictor, datasets)
    if runs[0].trained_on[1] not in (None, compute_fingerprint(datasets)):
        raise DataError(f"{paths[0]}: trained on other examples than this dataset has; name the "
                        "dataset of its training with --dataset")
    x, y = as_bytes(datasets[2][0], datasets.pixels) / 256, datasets[2][1]
    probabilities = [run.predictor.evaluate(networks.fit_datasets(run.predictor, datasets)[2][0])
                     for run in runs]
    wrong = [p.argmax(axis=1) != y for p in probabilities]

    make_folder(output)
    plots.finish(plots.draw_runs([run.name for run in runs], [run.rows for run in runs]),
                 os.path.join(output, "curves.png"))
    differences = []
    for a, b in itertools.permutations(range(len(runs)), 2):
        indices = sort_by_confidence(numpy.flatnonzero(wrong[a] & ~wrong[b]), probabilities[a])
        file = None
        if len(indices):
            file = os.path.join(output, f"{make_file_name(runs[a].name)}_wrong_"
                                        f"{make_file_name(runs[b].name)}_right.png")
            plots.finish(plots.draw_mistakes(
                indices[:MAX_IMAGES_DRAWN], x, y, probabilities[a], probabilities[b],
                runs[0].predictor.image_shape, runs[0].predictor.class_names), file)
        differences.append(Difference(runs[a].name, runs[b].name, indices, file))
    return [Line(run.name, run.rows[-1]["epoch"], min(row["validation"] for row in run.rows),
                 float(is_wrong.mean()),
                 count_parameters(run.predictor.model))
            for run, is_wrong in zip(runs, wrong)], differences


def open_run(path, name):
    """The Compared of the run in a folder; a DataError if there is none, or if it has not been
    validated yet."""
    state = read_state(path)
    rows = read_log(os.path.join(path, "log.csv"))
    if not rows:
        raise DataError(f"{path}: nothing is validated yet; go on with --resume {path}")
    return Compared(name, Predictor(path), (state.sizes, state.fingerprint), rows)


def check_comparable(path, run, other_path, other):
    """Raise a DataError unless two runs were trained on the same examples of the same classes."""
    for what, found, expected in (
            ("classes", other.predictor.class_names, run.predictor.class_names),
            ("images of shape", other.predictor.image_shape, run.predictor.image_shape),
            ("sets of sizes", other.trained_on[0], run.trained_on[0])):
        if found != expected:
            raise DataError(f"{other_path}: trained on {what} {found!s:.80}, but {path} on "
                            f"{expected!s:.80}; compare runs on one dataset")
    # Runs of earlier versions have no checksum.
    if len({run.trained_on[1], other.trained_on[1]} - {None}) == 2:
        raise DataError(f"{other_path}: trained on other examples than {path}; compare runs on "
                        "one dataset")


def shorten_paths(paths):
    """The last parts of paths, as many as it takes to tell them apart: ["relu", "tanh"]."""
    parts = [os.path.abspath(path).split(os.sep) for path in paths]
    for n in range(1, max(map(len, parts))):
        names = ["/".join(part[-n:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return paths


def make_file_name(name):
    """A name of a run as part of a file's name."""
    return name.replace("/", "-")
