"""lenet.reports.evaluation: counted by hand, and intervals as published."""

import math

import numpy
import pytest
import theano.tensor as T
from conftest import write_dataset
from PIL import Image

from lenet import networks
from lenet.data import open_arrays
from lenet.errors import DataError
from lenet.logistic_sgd import LogisticRegression
from lenet.predict import Predictor
from lenet.reports.evaluation import (
    classify_folder,
    collect_results,
    count_confusions,
    evaluate_test_set,
    find_mistakes,
    wilson_interval,
)


@pytest.mark.parametrize("n_hits, n_trials, low, high", [
    # R. G. Newcombe, Statistics in Medicine 17:857-872, 1998, table I, method 3
    (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
])
def test_intervals_as_published(n_hits, n_trials, low, high):
    assert wilson_interval(n_hits, n_trials) == pytest.approx((low, high), abs=0.00005)
    # Of the opposite event, the interval is the opposite.
    assert wilson_interval(n_trials - n_hits, n_trials) == pytest.approx((1 - high, 1 - low),
                                                                          abs=0.00005)


def test_the_ends_of_an_interval_are_as_many_deviations_away():
    for n_hits, n_trials in ((3, 7), (50, 100), (9908, 10000)):
        for p in wilson_interval(n_hits, n_trials):
            # The normal distribution has 95 % of its mass within 1.96 deviations.
            deviation = math.sqrt(p * (1 - p) / n_trials)
            assert abs(n_hits / n_trials - p) == pytest.approx(1.959964 * deviation)
    # No hit leaves 0 possible, exactly.
    assert wilson_interval(0, 5)[0] == 0 and wilson_interval(5, 5)[1] == 1


def test_confusions(rng):
    labels, predictions = rng.randint(0, 4, (2, 200))
    counts = count_confusions(labels, predictions, 5)
    assert counts.tolist() == [[sum((labels == row) & (predictions == column))
                                for column in range(5)] for row in range(5)]


def test_mistakes():
    probabilities = numpy.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3], [0.8, 0.2]])
    assert find_mistakes(numpy.array([1, 1, 0, 1, 1]), probabilities).tolist() == [0, 4, 3, 2]
    assert find_mistakes(numpy.array([0, 1, 1, 0, 0]), probabilities).tolist() == []


@pytest.fixture
def predictor(tmp_path):
    """Of pictures of one pixel: dark, grey or light."""
    network = LogisticRegression(T.matrix("x"), 1, 3)
    network.W.set_value(numpy.array([[0, 20, 40]], "float32"))
    network.b.set_value(numpy.array([0, -5, -20], "float32"))  # the limits: 0.25 and 0.75
    networks.save_model(str(tmp_path / "model"), network, ["dark", "grey", "light"], (1, 1, 1),
                        "resize")
    return Predictor(str(tmp_path / "model"))


def write_picture(folder, name, grey):
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("L", (3, 2), grey).save(folder / name)
    return str(folder / name)


def test_a_folder(predictor, tmp_path):
    pictures = tmp_path / "pictures"
    expected = [(write_picture(pictures / "dark" / "deeper", "a.png", 10), 0, 0),
                (write_picture(pictures / "light", "b.png", 255), 2, 2),
                (write_picture(pictures / "light", "c.png", 130), 2, 1)]
    (pictures / "light" / "d.png").write_text("no picture")
    (pictures / "light" / "notes.txt").write_text("left alone")
    results = list(classify_folder(predictor, str(pictures)))
    assert [(path, label, probabilities.argmax()) for path, label, probabilities, error
            in results[:3]] == expected
    path, label, probabilities, error = results[3]
    assert path.endswith("d.png") and probabilities is None and "no image" in str(error)
    assert len(results) == 4
    names, labels, probabilities = collect_results(results, str(pictures))
    assert names == [path for path, _, _ in expected] and labels.tolist() == [0, 2, 2]
    assert probabilities.argmax(axis=1).tolist() == [0, 2, 1]


def test_folders_that_are_refused(predictor, tmp_path):
    pictures = tmp_path / "pictures"
    write_picture(pictures, "a.png", 0)
    with pytest.raises(DataError, match="no subfolders"):
        list(classify_folder(predictor, str(pictures)))
    (pictures / "dark").mkdir()
    with pytest.raises(DataError, match="no picture that can be used"):
        collect_results(classify_folder(predictor, str(pictures)), "pictures")
    (pictures / "blue").mkdir()
    with pytest.raises(DataError, match="blue: blue is no class .* dark, grey, light"):
        list(classify_folder(predictor, str(pictures)))


def test_the_test_set(predictor, tmp_path, small_dataset):
    x = numpy.array([[0.1], [0.5], [0.9], [0.8]], "float32")
    sets = [(x[:3], numpy.arange(3))] * 2 + [(x, numpy.array([0, 2, 2, 1]))]
    path = write_dataset(tmp_path / "greys.pkl.gz", sets)
    datasets = open_arrays(path)
    datasets.class_names = predictor.class_names
    names, labels, probabilities = evaluate_test_set(predictor, datasets)
    assert names[3] == "image 3 of the test set" and labels.tolist() == [0, 2, 2, 1]
    assert probabilities.argmax(axis=1).tolist() == [0, 1, 2, 2]
    with pytest.raises(DataError, match=r"\(1, 28, 28\)"):
        evaluate_test_set(predictor, open_arrays(small_dataset))
