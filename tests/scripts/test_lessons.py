"""The small lessons: their numbers found once more, in another way, and their pictures."""

import functools
import itertools
import math
import os
import re

import numpy
import pytest
import theano.tensor as T
from conftest import REPOSITORY, assert_refused
from PIL import Image

import lenet.data
from lenet import convolutional_mlp, networks
from lenet.convolutional_mlp import LeNet5, evaluate_lenet5
from lenet.data import load_arrays
from lenet.mlp import MLP
from lenet.predict.predictor import Predictor

LESSONS = sorted(name for name in os.listdir(os.path.join(REPOSITORY, "scripts"))
                 if name.startswith("lesson_"))


def find_numbers(line):
    return [float(number) for number in re.findall(r"-?\d+\.?\d*(?:e[-+]\d+)?", line)]


def read_output(process):
    assert (process.returncode, process.stderr) == (0, "")
    return process.stdout.splitlines()


def read_size(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert len(set(image.convert("L").getdata())) > 3  # something is drawn
        return image.size


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_is_short_and_gives_an_example(name, script):
    with open(os.path.join(REPOSITORY, "scripts", name)) as file:
        assert len(file.readlines()) <= 70
    assert f"example: python scripts/{name}" in " ".join(script(name, "--help").stdout.split())


def test_every_lesson_is_tested_here():
    with open(__file__) as file:
        text = file.read()
    assert [name for name in LESSONS if f'script("{name}"' not in text] == []


def test_shifts_that_max_pooling_does_not_see(script, tmp_path):
    lines = read_output(script("lesson_translation.py", "--output", tmp_path / "shifts.png"))
    for size in (2, 3):
        start = [i for i, line in enumerate(lines) if f"over {size} x {size}" in line][0] + 1
        # A shift is not seen while the pixel stays in its window.
        stays = [[sum(0 <= row + down < size and 0 <= column + right < size
                      for down, right in itertools.product((-1, 0, 1), repeat=2)) - 1
                  for column in range(size)] for row in range(size)]
        assert [find_numbers(line) for line in lines[start:start + size]] == stays
        # The tutorial's figures.
        assert lines[start + size].startswith(f"median {3 if size == 2 else 5} / 8")
    assert read_size(tmp_path / "shifts.png")[0] == 4 * 190


def test_receptive_fields(script, tmp_path):
    lines = read_output(script("lesson_fields.py", "--output", tmp_path / "fields.png"))
    fields = [find_numbers(line)[-4:] for line in lines if re.match(r"\d: ", line)]
    # The text's 3, then 5, and on by 2; LeNet's units of layer 1 see 5, their pairs 5 + 1, five
    # pairs 6 + 4 * 2, and two of these 14 + 2.
    assert fields == [[n] * 4 for n in (3, 5, 7, 9, 5, 6, 14, 16)]
    assert read_size(tmp_path / "fields.png")[0] == 4 * 190


def test_the_gradient_of_shared_weights(script):
    lines = read_output(script("lesson_sharing.py"))
    pixels, w = [2, 0, 1, 3, 2], [1, -1, 2]

    def cost(w):
        return sum(sum(w[k] * pixels[i + k] for k in range(3)) ** 2 for i in range(3)) / 2

    # Of a square the central difference is exact.
    expected = [(cost([w[j] + (j == k) for j in range(3)])
                 - cost([w[j] - (j == k) for j in range(3)])) / 2 for k in range(3)]
    for heading in ("sum of the places", "T.grad, shared weights"):
        line, = [line for line in lines if line.startswith(heading)]
        assert find_numbers(line) == expected
    assert "largest difference: outputs 0, gradients 0" in lines


def test_the_scale_of_dropout(script):
    lines = read_output(script("lesson_dropout.py"))
    x, w = [1.0, 2.0, 0.5, 3.0], [0.8, -0.5, 1.2, 0.6]
    rows = [find_numbers(line) for line in lines if re.match(r"0\.\d\d ", line)]
    assert [row[0] for row in rows] == [0, 0.25, 0.5, 0.75]
    for p, mean, mean_output, scaled, output, difference, difference_of_outputs in rows:
        # Input by input: the sums that there can be, each with its probability.
        sums = {0.0: 1.0}
        for product in (a * b for a, b in zip(x, w)):
            new = {}
            for total, probability in sums.items():
                for kept, part in ((total, p), (total + product, 1 - p)):
                    new[kept] = new.get(kept, 0) + probability * part
            sums = new

        def sigmoid(z):
            return 1 / (1 + math.exp(-z))

        assert mean == scaled == pytest.approx((1 - p) * 2.2, abs=6e-5)
        assert mean_output == pytest.approx(
            sum(probability * sigmoid(z) for z, probability in sums.items()), abs=6e-5)
        assert output == pytest.approx(sigmoid((1 - p) * 2.2), abs=6e-5)
        assert abs(difference) < 1e-6
        assert difference_of_outputs == pytest.approx(mean_output - output, abs=1.1e-4)


def test_kernels_beside_each_other(script, tmp_path):
    model = LeNet5(numpy.random.RandomState(1), T.matrix("x"), nkerns=(2, 3), n_hidden=4)
    networks.save_model(str(tmp_path / "model"), model, list("0123456789"), (1, 28, 28), "digit")
    lines = read_output(script("lesson_kernels.py", "--model", tmp_path / "model",
                               "--output", tmp_path / "kernels.png"))
    found = {line[:17].strip(): find_numbers(line[17:]) for line in lines[2:]}
    # 1 + 2 + 1 where the ink ends; the Laplacian's weights on one side of an edge: 8 - 5.
    assert found["vertical edges"] == [0, 4, 0] and found["horizontal edges"] == [0, 0, 4]
    assert found["all edges"] == [0, 3, 3] and found["Gaussian"] == [1, 1, 1]
    untrained = LeNet5(numpy.random.RandomState(23455), T.matrix("x"))
    for kind, network, n in (("random", untrained, 3), ("learned", model, 2)):
        for i, (kernel,) in enumerate(network.layer0.W.get_value()[:n]):
            flat, vertical, horizontal = found[f"{kind} {i}"]
            assert flat == pytest.approx(abs(kernel.sum()), abs=6e-3)
            # The edge passes over the columns (rows) of the turned kernel one by one.
            for response, axis in ((vertical, 0), (horizontal, 1)):
                sums = kernel.sum(axis=axis)
                expected = max(abs(sums[k:].sum()) for k in range(5))
                assert response == pytest.approx(expected, abs=6e-3)
    assert len(found) == 9
    assert read_size(tmp_path / "kernels.png")[0] == 10 * 120


def test_a_network_without_filters(script, tmp_path):
    model = MLP(numpy.random.RandomState(1), T.matrix("x"), 784, 3, 10)
    networks.save_model(str(tmp_path / "model"), model, list("0123456789"), (1, 28, 28), "digit")
    assert_refused(script("lesson_kernels.py", "--model", tmp_path / "model"), 2,
                   "no filters for grey images")


def test_random_filters_as_edge_detectors(script, tmp_path):
    lines = read_output(script("lesson_random.py", "--output", tmp_path / "random.png"))
    most_at_edge = 0
    for signs in itertools.product((-1, 1), repeat=8):
        sums = [abs(total) for total in itertools.accumulate(signs)]
        most_at_edge += max(sums[:-1]) > sums[-1]
    assert find_numbers(lines[0]) == [256, 8, 1, -1, most_at_edge]
    assert find_numbers(lines[1]) == [70, 0, 70]  # 8! / (4! 4!), all of them
    rows = [find_numbers(line)[1:] for line in lines if line.startswith("filter")]
    assert len(rows) == 6
    assert all(brightness > contrast for brightness, contrast in rows[:3])
    assert all(brightness < contrast for brightness, contrast in rows[3:])
    assert read_size(tmp_path / "random.png")[0] == 4 * 220


def test_images_and_files_that_are_refused(script, tmp_path):
    Image.new("L", (20, 8)).save(tmp_path / "small.png")
    assert_refused(script("lesson_random.py", tmp_path / "small.png"), 1, "8 x 20")
    assert_refused(script("lesson_fields.py", "--output", tmp_path / "fields.doc"), 2, ".png")


def test_a_new_class(script, mnist_arrays, tmp_path, monkeypatch):
    # With a smaller network, and fewer images; of each digit there are 100 at least.
    sets = [(x[:n], y[:n]) for (x, y), n in zip(mnist_arrays, (1200, 600, 600))]
    monkeypatch.setattr(lenet.data, "load_arrays", lambda: sets)
    monkeypatch.setattr(convolutional_mlp, "evaluate_lenet5",
                        functools.partial(evaluate_lenet5, nkerns=(2, 3), n_hidden=10))
    process = script("lesson_new_class.py", tmp_path, "--n-epochs", 1, 1)
    assert process.returncode == 0
    head, *lines = process.stdout.splitlines()
    # What the runs themselves say of all the images, and of the nines.
    x, y = sets[2]
    names = [f"{name} {n}" for n in (10, 100)
             for name in ("from scratch", "last layer", "all layers")]
    for line, name in zip(lines, names):
        wrong = Predictor(str(tmp_path / name)).probabilities(x).argmax(axis=1) != y
        assert line.split()[0] == name.split()[-1] and " ".join(name.split()[:2]) in line
        assert find_numbers(line)[1:] == [round(100 * wrong.mean(), 2),
                                          round(100 * wrong[y == 9].mean(), 2)]
    assert len(lines) == len(names)
    # The datasets: no nines, only nines, and as many of each digit.
    counts = {name: [numpy.bincount(labels, minlength=10).tolist() for _, labels
                     in load_arrays(str(tmp_path / f"{name}.pkl.gz"))]
              for name in ("others", "nines", "few10", "few100")}
    every = [numpy.bincount(labels).tolist() for _, labels in sets]
    assert counts["others"] == [n[:9] + [0] for n in every]
    assert counts["nines"] == [[0] * 9 + n[9:] for n in every]
    assert (counts["few10"][0], counts["few100"][0]) == ([10] * 10, [100] * 10)
    # Its layers but the last are those of the network that knows no 9.
    others, last, every_layer = (
        networks.named_params(networks.load_model(str(tmp_path / name)).model)
        for name in ("others", "last layer 10", "all layers 10"))
    for name in ("layer0.W", "layer2.b"):
        values = [params[name].get_value() for params in (others, last, every_layer)]
        assert (values[0] == values[1]).all() and (values[0] != values[2]).any()
