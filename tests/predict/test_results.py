"""lenet.predict.results: the most probable classes, and none for what is too far away."""

import numpy
import pytest

from lenet.predict.results import Result, classify_or_reject


class OfWords:
    """Stands in for a Predictor: an "image" is a word, and the file "bad" cannot be used."""

    class_names = ["cat", "dog", "owl"]

    def probabilities(self, words):
        return numpy.array([[0.2, 0.5, 0.3] if "dog" in word else [0.4, 0.2, 0.4]
                            for word in words])

    def of_files(self, function, paths, center):
        for path in paths:
            error = "unusable" if path == "bad" else None
            yield path, None if error else next(iter(function([path]))), error


class Length:
    """Stands in for a Distance: the length of a word."""

    def of(self, words):
        return [len(word) for word in words]


def test_the_most_probable_classes():
    assert list(classify_or_reject(OfWords(), ["dog", "bad", "cat"], top=2)) == [
        Result("dog", [("dog", 0.5), ("owl", 0.3)], None, None),
        Result("bad", None, None, "unusable"),
        Result("cat", [("cat", 0.4), ("owl", 0.4)], None, None)]  # equal ones in their order


@pytest.mark.parametrize("threshold", [0, 3])
def test_what_is_further_than_the_threshold_has_no_class(threshold):
    near, far, bad = classify_or_reject(OfWords(), ["dog", "sheepdog", "bad"],
                                        distance=Length(), threshold=threshold)
    assert near == Result("dog", [("dog", 0.5)] if threshold else [], 3, None)
    assert far == Result("sheepdog", [], 8, None)
    assert bad == Result("bad", None, None, "unusable")
