"""What a network says of image files: the most probable classes, or that an image is rejected."""

from collections import namedtuple

# path: of the file
# classes: pairs of a name and its probability, the most probable first; empty for an image that is
#     rejected, None for a file that cannot be used
# distance: from what the network has learned, None where it is not measured
# error: None, or a DataError
Result = namedtuple("Result", "path classes distance error")


def classify_or_reject(predictor, paths, top=1, center=True, distance=None, threshold=None):
    """Classify image files, but none that is too far from what the network has learned.

    Parameters
    ----------
    predictor : lenet.predict.Predictor
    paths, center
        As for ``Predictor.classify``.
    top : int
        How many classes to give.
    distance : lenet.predict.rejection.Distance, optional
        Rejects images; by default none is rejected.
    threshold : float
        The largest distance that is not rejected; see ``Distance.threshold``.

    Yields
    ------
    Result
        In the order of the paths.
    """
    def probabilities_and_distances(images):
        distances = distance.of(images) if distance else [None] * len(images)
        return zip(predictor.probabilities(images), distances)

    for path, value, error in predictor.of_files(probabilities_and_distances, paths, center):
        if error is not None:
            yield Result(path, None, None, error)
            continue
        probabilities, far = value
        best = (-probabilities).argsort(kind="stable")[:top]
        classes = [(predictor.class_names[i], float(probabilities[i])) for i in best]
        yield Result(path, [] if distance and far > threshold else classes, far, None)
