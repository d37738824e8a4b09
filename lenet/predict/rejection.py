"""Reject images that are unlike those of the training, so that they get no class.

A network gives every picture one of its classes, and often with a high probability: what it has
not learned is not among them. How far an image is from what was learned is measured by

- the distance to the picture of the nearest class, for the radial basis functions of LeNet-5 of
  1998, which its paper chose partly to reject what is no character (section II.B);
- the distance to the nearest training image, for all others, between the outputs of the last
  hidden layer (of the pixels, for a logistic regression).

C. K. Chow, "On optimum recognition error and reject tradeoff", IEEE Transactions on Information
Theory 16(1):41-46, 1970, on what rejecting costs and brings. W. J. Youden, "Index for rating
diagnostic tests", Cancer 3(1):32-35, 1950, on where to draw the line between two kinds.
"""

import os

import numpy
import theano

from lenet import networks
from lenet.data import as_floats, open_arrays
from lenet.data.array_folder import DESCRIPTION
from lenet.data.pixels import as_bytes
from lenet.errors import DataError, UsageError
from lenet.predict.finding import images_in
from lenet.predict.reader import Reader


class Distance:
    """How far images are from what a network has learned.

    Parameters
    ----------
    predictor : lenet.predict.predictor.Predictor
        The network.
    datasets : lenet.data.Datasets
        What it was trained on, as ``lenet.data.open_arrays`` returns it.

    Raises
    ------
    DataError
        The images or the classes are not those of the network.
    """

    def __init__(self, predictor, datasets):
        datasets = networks.fit_datasets(predictor, datasets)
        self.predictor, self.datasets = predictor, datasets
        hidden = networks.feature_maps(predictor.model)
        to_pictures = networks.kind_of(predictor.model).distances(predictor.model)
        if to_pictures is not None:
            distances = theano.function([predictor.model.input], to_pictures)
            self.measure = lambda x: predictor.evaluate(x, distances).min(axis=1)
            return
        if hidden:
            outputs = theano.function([predictor.model.input], hidden[-1][1])
            self.features = lambda x: predictor.evaluate(x, outputs).reshape(len(x), -1)
        else:
            self.features = lambda x: as_floats(x, predictor.pixels)
        self.learned = self.features(datasets[0][0])
        self.squares = (self.learned ** 2).sum(axis=1)
        self.measure = self.to_nearest

    def of(self, images):
        """The distance of each image; ``images`` are as for ``Predictor.probabilities``."""
        return self.measure(self.predictor.check_images(images))

    def to_nearest(self, x, batch=500):
        """The distance of each image to the nearest of the training, in the last hidden layer."""
        nearest = [numpy.empty(0, self.learned.dtype)]
        for start in range(0, len(x), batch):
            part = self.features(x[start:start + batch])
            # |a - b|^2 = |a|^2 - 2 a b + |b|^2; rounding may take it below 0.
            differences = self.squares - 2 * part.dot(self.learned.T)
            nearest.append(differences.min(axis=1) + (part ** 2).sum(axis=1))
        return numpy.sqrt(numpy.maximum(numpy.concatenate(nearest), 0))

    def threshold(self, fraction):
        """The distance that this fraction of the validation set exceeds.

        Raises
        ------
        UsageError
            The fraction is not in (0, 1).
        """
        if not 0 < fraction < 1:
            raise UsageError(f"fraction {fraction}; expected one between 0 and 1, such as 0.01")
        return numpy.quantile(self.measure(self.datasets[1][0]), 1 - fraction)


def find_threshold(known, unknown):
    """The score that best parts unknown images from known ones, if higher scores are rejected.

    Parameters
    ----------
    known, unknown : arrays of shape (n,) and (m,)
        The scores of images.

    Returns
    -------
    float
        The rejected fraction of the unknown exceeds that of the known by the most (Youden's J).
    """
    scores = numpy.unique(numpy.concatenate([known, unknown]))
    unknown_kept, known_kept = (numpy.searchsorted(numpy.sort(values), scores, side="right")
                                / len(values) for values in (unknown, known))
    best = (known_kept - unknown_kept).argmax()
    return scores[best:best + 2].mean()  # any threshold up to the next score does the same


def rejection_curves(predictor, datasets, unknown=None, report=None):
    """What rejecting brings, by the distance and by one minus the probability of the class.

    Parameters
    ----------
    predictor, datasets
        As for ``Distance``; the images are those of the test set.
    unknown : str, optional
        Images that should be rejected; see ``unknown_images``.
    report : function, optional
        See ``unknown_images``.

    Returns
    -------
    dict from str to dict from str to array of shape (n,)
        By title and by way to measure: the fractions that ``accuracy_of_kept`` and, given unknown
        images, ``share_above`` return.
    """
    distance = Distance(predictor, datasets)
    x, y = distance.datasets[2]
    probabilities = predictor.evaluate(x)
    right = probabilities.argmax(axis=1) == y

    def score(images, probabilities):
        return {"distance": distance.measure(images),
                "1 - probability": 1 - probabilities.max(axis=1)}

    known = score(x, probabilities)
    panels = {"accuracy of the images that are kept (%)": {
        name: accuracy_of_kept(values, right) for name, values in known.items()}}
    if unknown is not None:
        images = unknown_images(unknown, predictor, x, report=report)
        panels["rejected images of unknown classes (%)"] = {
            name: share_above(known[name], values)
            for name, values in score(images, predictor.evaluate(images)).items()}
    return panels


def accuracy_of_kept(scores, right):
    """The accuracy of the images that are left when those of the highest scores are rejected.

    Parameters
    ----------
    scores : array of shape (n,)
        The higher, the sooner an image is rejected.
    right : bool array of shape (n,)
        Whether the network is right.

    Returns
    -------
    array of shape (n,)
        With 0, 1, ..., n - 1 images rejected.
    """
    right = right[numpy.argsort(scores, kind="stable")]
    return (numpy.cumsum(right) / numpy.arange(1, len(right) + 1))[::-1]


def unknown_images(name, predictor, x, part=2, center=True, report=None):
    """Images of no class of the network, in the numbers of its training, or bytes.

    Parameters
    ----------
    name : str
        "noise", "negatives" of the images ``x``, a folder of pictures, or a dataset.
    predictor : lenet.predict.Predictor
    x : array of shape (n, number of pixels)
        Images of a dataset of the network's.
    part : int
        Which set of another dataset: 1 for validation, 2 for testing.
    center : bool
        See ``Predictor.classify``.
    report : function, optional
        Called with the DataError of each picture that cannot be used; by default it is raised.

    Raises
    ------
    DataError
        No picture can be used, or the images have another shape or numbers of unknown origin.
    """
    if name == "noise":
        return numpy.random.RandomState(0).randint(0, 256, x.shape).astype("uint8")
    if name == "negatives":
        return 255 - as_bytes(x, predictor.pixels)
    if os.path.isdir(name) and not os.path.exists(os.path.join(name, DESCRIPTION)):
        return read_pictures(name, Reader(predictor.image_shape, predictor.preparation, center),
                             report)
    unknown = open_arrays(name)
    if unknown.image_shape != predictor.image_shape:
        raise DataError(f"{name}: images of shape {unknown.image_shape}; expected those of the "
                        f"network, {predictor.image_shape}")
    return predictor.pixels.from_numbers(unknown[part][0], unknown.pixels)


def read_pictures(folder, reader, report=None):
    """The pictures of a folder as rows of bytes; ``report`` is as for ``unknown_images``."""
    rows, failures = [], []
    for _, (images, errors) in reader.read_ahead(images_in(folder)):
        rows.extend(image.ravel() for image in images)
        failures.extend(filter(None, errors))
    for error in failures:
        if report is None or not rows:
            raise error
        report(error)
    return numpy.array(rows)


def share_above(known, unknown):
    """The fraction of unknown images that are rejected with 0, 1, ... of the known ones."""
    thresholds = numpy.sort(known)[::-1]  # each in turn is the largest that is still accepted
    return 1 - numpy.searchsorted(numpy.sort(unknown), thresholds, side="right") / len(unknown)
