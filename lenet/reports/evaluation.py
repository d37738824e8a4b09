"""How well a network classifies labelled images, as numbers."""

import os
from collections import namedtuple

import numpy

from lenet import networks
from lenet.data.class_folder import join_names, list_classes
from lenet.errors import DataError
from lenet.predict.finding import images_in

# What a network says of labelled images.
# names: of the images, list of str
# labels: int array of shape (n,)
# probabilities: array of shape (n, number of classes)
Evaluation = namedtuple("Evaluation", "names labels probabilities")


def evaluate_test_set(predictor, datasets):
    """The Evaluation of a ``lenet.predict.Predictor`` on the test set of a dataset, as
    ``lenet.data.open_arrays`` returns it.

    Raises a DataError if the images or the classes are not those of the network.
    """
    x, y = networks.fit_datasets(predictor, datasets)[2]
    names = [f"image {number} of the test set" for number in range(len(y))]
    return Evaluation(names, y, predictor.evaluate(x))


def classify_folder(predictor, folder, center=True):
    """Classify the pictures of a folder with one subfolder per class, named like the network's.

    Raises a DataError if there are no subfolders, or if one has the name of no class.

    Parameters
    ----------
    predictor : lenet.predict.Predictor
    folder : str
        Classes may be missing; files that are not named like pictures are left alone.
    center : bool
        See ``Predictor.classify``.

    Yields
    ------
    (str, int, array of shape (number of classes,) or None, DataError or None)
        The path of each picture, its label, its probabilities, and why it cannot be used.
    """
    known = predictor.class_names
    classes = list_classes(folder)
    for name in classes:
        if name not in known:
            raise DataError(f"{os.path.join(folder, name)}: {name} is no class of the network; "
                            f"expected folders named {join_names(known)}")
    labels = []

    def find_paths():
        for name in classes:
            for path in images_in(os.path.join(folder, name)):
                labels.append(known.index(name))
                yield path

    for number, (path, probabilities, error) in enumerate(predictor.classify(find_paths(),
                                                                             center)):
        yield path, labels[number], probabilities, error


def collect_results(results, folder):
    """The Evaluation of the results of ``classify_folder`` that are no errors; raise a DataError
    if there are none."""
    usable = [result[:3] for result in results if result[3] is None]
    if not usable:
        raise DataError(f"{folder}: no picture that can be used; expected pictures in a subfolder "
                        "for each class")
    names, labels, probabilities = zip(*usable)
    return Evaluation(list(names), numpy.array(labels), numpy.array(probabilities))


def count_confusions(labels, predictions, n_classes):
    """How often each class was taken for each: an int array of shape (n_classes, n_classes), whose
    rows are the truth and whose columns are the prediction."""
    counts = numpy.zeros((n_classes, n_classes), dtype=int)
    numpy.add.at(counts, (labels, predictions), 1)
    return counts


def wilson_interval(n_hits, n_trials):
    """Where a probability lies with 95 %, given how often the event was seen: two floats.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22(158):209-212, 1927.
    """
    from scipy.stats import binomtest  # slow to import

    return tuple(binomtest(int(n_hits), int(n_trials)).proportion_ci(method="wilson"))


def find_mistakes(labels, probabilities):
    """The indices of the misclassified images, the most confident mistakes first; labels and
    probabilities as in an Evaluation."""
    wrong = numpy.flatnonzero(probabilities.argmax(axis=1) != labels)
    return sort_by_confidence(wrong, probabilities)


def sort_by_confidence(indices, probabilities):
    """Indices of images, sorted by the probability of the predicted class, the largest first."""
    return indices[numpy.argsort(-probabilities[indices].max(axis=1), kind="stable")]
