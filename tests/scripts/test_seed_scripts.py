"""The commands of the other tutorials, each with small settings on real digits.

They run in this process: see ``script`` in conftest.py.
"""

import importlib.util
import os
import re

import numpy
import pytest
import scipy.signal
from conftest import REPOSITORY, assert_refused, write_arrays
from PIL import Image

from lenet import network3, networks

NUMBER = r"\d+\.\d{6}"


def read_size(path):
    """The size of a picture that was written."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        return image.size


# --- training -------------------------------------------------------------------------------


@pytest.mark.parametrize("name, options", [
    ("logistic_sgd.py", ["--batch-size", 50]),
    ("mlp.py", ["--n-hidden", 5, "--batch-size", 50, "--L1-reg", 0.001]),
    ("lenet5_1998.py", ["--batch-size", 50, "--loss", "distance"]),
])
def test_training_by_command(name, options, script, small_dataset):
    process = script(name, "--dataset", small_dataset, "--n-epochs", 1, *options)
    assert process.returncode == 0, process.stderr
    assert re.fullmatch("\n".join([
        r"\.\.\. loading data", r"\.\.\. building the model", r"\.\.\. training",
        "training @ iter =  0",
        f"epoch 1, minibatch 5/5, validation error {NUMBER} %",
        f"     epoch 1, minibatch 5/5, test error of best model {NUMBER} %",
        r"Optimization complete\.",
        f"Best validation score of {NUMBER} % obtained at iteration 5, "
        f"with test performance {NUMBER} %",
    ]) + "\n", process.stdout)
    assert re.fullmatch(rf"The code for file {name} ran for \d+\.\d\dm\n"
                        r"(nothing has been learned.*\n)?", process.stderr)


def test_the_first_epoch_of_logistic_regression_on_all_of_mnist(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the bare name of MNIST is found from any folder
    process = script("logistic_sgd.py", "--n-epochs", 1)
    found = re.search(r"epoch 1, minibatch 83/83, validation error (\S+) %", process.stdout)
    # The tutorial prints 12.458333 %, which leaves out 400 of the 10000 digits: at most 4 % of
    # them could have been wrong, or right.
    assert 12.458333 * 0.96 <= float(found.group(1)) <= 12.458333 * 0.96 + 4


@pytest.mark.parametrize("name", ["logistic_sgd.py", "mlp.py", "lenet5_1998.py", "network3.py"])
def test_wrong_options_of_the_training(name, script, small_dataset, tmp_path):
    epochs = "--epochs" if name == "network3.py" else "--n-epochs"
    rate = "--eta" if name == "network3.py" else "--learning-rate"
    size = "--mini-batch-size" if name == "network3.py" else "--batch-size"
    for option, value, words in ((epochs, 0, ["number of epochs 0"]),
                                 (rate, -1, ["learning rate -1"]),
                                 (size, 251, ["batch size 251", "250 examples"])):
        process = script(name, "--dataset", small_dataset, size, 50, option, value)
        assert_refused(process, 2, name, *words)
    if name != "logistic_sgd.py":
        assert_refused(script(name, "--dataset", small_dataset, "--seed", -1), 2, "seed: -1")
    assert_refused(script(name, "--dataset", tmp_path / "none.pkl.gz"), 1, "none.pkl.gz")


def test_lenet5_1998_compares_its_steps(script, small_dataset, tmp_path):
    output = tmp_path / "steps.png"
    process = script("compare_1998.py", "--dataset", small_dataset, "--n-epochs", 1,
                     "--batch-size", 50, "--output", output)
    assert process.returncode == 0, process.stderr
    table = process.stdout.splitlines()[-5:]
    assert table[0].split() == ["network", "test", "error"]
    for line, name in zip(table[1:], ("the paper of 1998", "C3 sees all maps",
                                      "pooling by maximum", "softmax output")):
        assert re.fullmatch(rf"{name} +\d+\.\d\d %", line)
    assert read_size(output) == (700, 340)


def test_the_comparison_has_no_networks_to_choose_and_no_runs(script):
    for option, value in (("--head", "softmax"), ("--resume", "run")):
        assert_refused(script("compare_1998.py", option, value), 2, option)
    assert_refused(script("compare_1998.py", "--output", "bars.xyz"), 2, "bars.xyz")


# --- network3.py and plot_errors.py ---------------------------------------------------------


def test_network3_trains_saves_loads_and_shows_its_errors(script, small_dataset, tmp_path):
    run, output = tmp_path / "run", tmp_path / "errors.png"
    options = ["--dataset", small_dataset, "--mini-batch-size", 50]
    process = script("network3.py", *options, "--dropout", 0.3, "--epochs", 2, "--output", run)
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert lines[:2] == ["begin training...", "Training mini-batch number 0"]
    best = [line.split()[4] for line in lines if line.startswith("Best validation accuracy of")]
    last = lines[-1].replace("Corresponding test accuracy of ", "")
    assert re.fullmatch(r"\d+\.\d\d%", last)

    for saved in [run], [run / "model.safetensors"], [run, "--shards", 2]:
        process = script("network3.py", *options, "--load", *saved)
        assert process.stdout.splitlines() == [
            f"Validation accuracy {best[0]}", f"The corresponding test accuracy is {last}"]

    process = script("plot_errors.py", run, "--output", output)  # with the dataset of the run
    wrong, total = re.match(r"(\d+) of (\d+) test images are misclassified\n"
                            r"drawn: the first \d+, the truth in green", process.stdout).groups()
    assert total == "120"
    assert f"{100 * (1 - int(wrong) / 120):.2f}%" == last
    assert read_size(output) == (800, 80 * min(12, -(-int(wrong) // 10)))


def test_network3_with_two_layers(script, small_dataset):
    process = script("network3.py", "--dataset", small_dataset, "--conv-layers", 2, "--epochs", 1,
                     "--mini-batch-size", 50, "--lmbda", 0.1)
    assert process.returncode == 0, process.stderr
    assert "Epoch 0: validation accuracy" in process.stdout


def test_network3_wrong_use(script, small_dataset, tmp_path):
    for value in (1.0, -0.5):
        assert_refused(script("network3.py", "--dataset", small_dataset, "--dropout", value), 2,
                       f"dropout {value}")
    (tmp_path / "file").write_text("no parameters")
    for name, arguments in (("network3.py", ["--load"]), ("plot_errors.py", [])):
        process = script(name, "--dataset", small_dataset, *arguments, tmp_path / "file")
        assert_refused(process, 1, "no intact file")
        process = script(name, "--dataset", small_dataset, *arguments, tmp_path / "none")
        assert_refused(process, 1, "not found")
    process = script("network3.py", "--dataset", small_dataset, "--output", tmp_path / "file")
    assert_refused(process, 1, "file: cannot be made")
    process = script("network3.py", "--load", tmp_path / "a", "--output", tmp_path / "b")
    assert_refused(process, 2, "--output: not allowed with argument --load")
    assert [path.name for path in tmp_path.iterdir() if path.name != "small.pkl.gz"] == ["file"]


def test_network3_of_other_classes(script, small_dataset, tmp_path):
    shoes = network3.Network([network3.SoftmaxLayer(784, 2)], 10)
    networks.save_model(str(tmp_path / "shoes"), shoes, ["shoe", "bag"], (1, 28, 28), "resize")
    process = script("network3.py", "--dataset", small_dataset, "--load", tmp_path / "shoes")
    assert_refused(process, 1, "the classes", "trained for ['shoe', 'bag']")


# --- lessons --------------------------------------------------------------------------------


def test_a_photograph_is_convolved(script, tmp_path):
    process = script("conv_demo.py", "--output", tmp_path / "maps.png")
    assert process.returncode == 0, process.stderr
    # 600 - 9 + 1 = 592 and 512 - 9 + 1 = 504.
    assert "(1, 3, 600, 512)" in process.stdout and "(1, 2, 592, 504)" in process.stdout
    width, height = read_size(tmp_path / "maps.png")
    assert width == 1050 and 380 < height < 500


def test_any_image_is_convolved(script, tmp_path):
    Image.new("LA", (20, 9)).save(tmp_path / "small.png")
    process = script("conv_demo.py", tmp_path / "small.png")
    assert process.returncode == 0
    assert "(1, 2, 1, 12)" in process.stdout
    assert process.stderr.startswith("no display to show the picture on; --output FILE.png")


def test_images_that_are_refused(script, tmp_path):
    Image.new("L", (20, 8)).save(tmp_path / "small.png")
    assert_refused(script("conv_demo.py", tmp_path / "small.png"), 1, "8 x 20", "at least 9 x 9")
    assert_refused(script("conv_demo.py", tmp_path / "none.png"), 1, "not found")
    assert_refused(script("conv_demo.py", __file__), 1, "no image")
    assert_refused(script("conv_demo.py", "--output", tmp_path / "maps.doc"), 2, "ends in .png")


def test_max_pooling_prints_the_published_numbers(script):
    lines = script("maxpool_demo.py").stdout.splitlines()
    assert find_numbers(lines, "output[0, 0, :, :] =", 2) == [
        [0.72032449, 0.39676747], [0.6852195, 0.87811744]]
    assert find_numbers(lines, "output[1, 0, :, :] =", 3) == [
        [0.67883553, 0.58930554, 0.69975836], [0.66379465, 0.94459476, 0.58655504],
        [0.90340192, 0.80739129, 0.39767684]]


def find_numbers(lines, heading, n_rows):
    start = lines.index(heading) + 1
    return [[float(number) for number in re.findall(r"\d\.\d+", row)]
            for row in lines[start:start + n_rows]]


def test_a_convolution_by_hand(script):
    lines = script("conv2d_by_hand.py").stdout.splitlines()
    assert lines[-2:] == ["[[6 10 14 18]]", "[[9 15 21 27]]"]
    assert ("filter 1 [2 2] on channel 0: [2*1 + 2*2, 2*2 + 2*3, 2*3 + 2*4, 2*4 + 2*5] "
            "= [6 10 14 18]") in lines
    assert "filter 1, the channels added: [9 15 21 27]" in lines


def test_back_propagation_by_hand(script):
    printed = script("backprop_by_hand.py").stdout
    differences = re.findall(r"^    (d\w+)  (\d\S+)$", printed, re.MULTILINE)
    assert [name for name, _ in differences] == [
        "dw2", "db2", "dw3", "db3", "dx", "dW", "db", "dV", "dc"]
    # Double precision, and numbers of the order of 1.
    assert all(float(difference) < 1e-12 for _, difference in differences)


def sigmoid_network(w2, b2, w3, b3):
    """The cost of the first network, for the script's first random numbers as inputs."""
    x, y = numpy.random.RandomState(23455).normal(size=3), [0, 1]
    a = x
    for w, b in ((w2, b2), (w3, b3)):
        a = 1 / (1 + numpy.exp(-w.dot(a) - b))
    return ((a - y) ** 2).sum() / 2


def convolution_network(x, W, b, V, c):
    """The cost of the second network, for class 2."""
    z = scipy.signal.convolve2d(x, W, mode="valid")
    maxima = [z[r:r + 2, s:s + 2].max() for r in (0, 2) for s in (0, 2)]
    outputs = numpy.tanh(maxima + b).dot(V) + c
    return numpy.log(numpy.exp(outputs).sum()) - outputs[2]


@pytest.mark.parametrize("lesson, cost", [("print_four_equations", sigmoid_network),
                                          ("print_convolution_gradients", convolution_network)])
def test_gradients_by_hand_are_finite_differences(lesson, cost, monkeypatch):
    path = os.path.join(REPOSITORY, "scripts", "backprop_by_hand.py")
    spec = importlib.util.spec_from_file_location("backprop_by_hand", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "compare", lambda cost, params, **by_hand: found.append(
        ([param.get_value() for param in params], by_hand)))
    found = []
    getattr(module, lesson)(numpy.random.RandomState(23455))
    (values, by_hand), = found
    assert len(values) == len(by_hand) > 3
    for value, gradient in zip(values, by_hand.values()):
        slopes = numpy.empty(value.shape)
        for place in numpy.ndindex(value.shape):
            kept = value[place]
            value[place] = kept + 1e-5
            above = cost(*values)
            value[place] = kept - 1e-5
            below = cost(*values)
            value[place] = kept
            slopes[place] = (above - below) / 2e-5
        # A finite difference over 2e-5 has an error of the order of 1e-10.
        numpy.testing.assert_allclose(gradient, slopes, atol=1e-8)


def test_a_digit_is_shown(script, tmp_path):
    process = script("show_digit.py", "--index", 8, "--output", tmp_path / "digit.png")
    assert process.stdout.splitlines()[-1] == "label of image 8: 1"
    assert "(50000, 784)" in process.stdout
    with Image.open(tmp_path / "digit.png") as image:
        grey = numpy.asarray(image.convert("L"))
    middle, left = grey[100:-60, 150:220], grey[100:-60, 20:100]
    assert middle.max() == 255 and left.max() == 0  # a one: white on black, upright


@pytest.mark.parametrize("name", ["show_digit.py", "pooling_demo.py"])
def test_a_set_in_colour(name, script, tmp_path, rng):
    sets = [(rng.randint(0, 256, (12, 3, 16, 20)).astype("uint8"), numpy.arange(12) % 2)] * 3
    pets = write_arrays(str(tmp_path / "pets"), sets, ["cat", "dog"])
    process = script(name, "--dataset", pets, "--output", tmp_path / "picture.png")
    assert process.returncode == 0, process.stderr
    if name == "show_digit.py":
        assert "-> (16, 20, 3)" in process.stdout
        assert process.stdout.splitlines()[-1] == "label of image 8: cat"
    assert read_size(tmp_path / "picture.png")[0] > 300


def test_digits_that_there_are_not(script, small_dataset):
    for index in (-1, 120):
        process = script("show_digit.py", "--dataset", small_dataset, "--set", "test",
                         "--index", index)
        assert_refused(process, 2, f"index {index}", "0 to 119", "test set")


def test_every_kind_of_pooling_is_shown(script, tmp_path, small_dataset):
    process = script("pooling_demo.py", "--dataset", small_dataset, "--output", tmp_path / "p.png")
    assert process.returncode == 0, process.stderr
    headings = re.findall(r"^(\S.*):  .*-> shape (\(.*\))$", process.stdout, re.MULTILINE)
    assert len(headings) == 8 and headings[0] == ("max", "(2, 2)")
    assert numpy.allclose(
        find_numbers(process.stdout.replace(". ", ".0 ").replace(".]", ".0]").splitlines(),
                     "max:  max a  -> shape (2, 2)", 2), [[6, 8], [3, 4]])
    assert read_size(tmp_path / "p.png")[0] == 780
