"""lenet.reports.summary: the figures of the paper and the texts, and sizes traced by hand."""

import numpy
import pytest
import theano
import theano.tensor as T
from conftest import assert_refused

from lenet import network3, networks
from lenet.errors import UsageError
from lenet.reports.summary import build_by_name, format_table, measure_fields, summarize_network


def summarize(kind, image_shape=(1, 28, 28), **arguments):
    return summarize_network(build_by_name(kind, image_shape, **arguments), image_shape)


def column(rows, name):
    return [getattr(row, name) for row in rows]


def test_lenet5_of_1998_has_the_papers_figures():
    rows = summarize("LeNet5_1998")
    assert column(rows, "layer") == ["C1", "S2", "C3", "S4", "C5", "F6", "output"]
    # Section II.B; the sums are those of its last sentence.
    parameters = [156, 12, 1516, 32, 48120, 10164, 0]
    connections = [122304, 5880, 151600, 2000, 48120, 10164, 840]
    assert column(rows, "parameters") == parameters and sum(parameters) == 60000
    assert column(rows, "connections") == connections and sum(connections) == 340908
    assert column(rows, "output") == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5),
                                      (120, 1, 1), (84,), (10,)]
    # C5 sees the 32 x 32 pixels of the frame, of which 28 x 28 are of the image.
    assert column(rows, "field") == [(5, 5), (6, 6), (14, 14), (16, 16)] + [(28, 28)] * 3
    assert column(rows, "stride") == [(1, 1), (2, 2), (2, 2), (4, 4), None, None, None]


def test_figures_of_the_texts():
    book = summarize("Network")
    assert (book[0].parameters, book[2].parameters) == (520, 288100)
    assert (book[0].output, book[1].output) == ((20, 24, 24), (20, 12, 12))
    assert summarize("MLP", n_hidden=30)[0].parameters == 23550
    # 16 maps that see all 6 maps below, 5 x 5 of each: 16 * 6 * 25.
    assert summarize("LeNet5_1998", connections="full")[2].weights == 2400


@pytest.mark.parametrize("kind, arguments", [
    ("LogisticRegression", {}), ("MLP", {}), ("LeNet5", {"nkerns": (3, 4)}),
    ("LeNet5_1998", {"connections": "full", "head": "softmax"}), ("Network", {"conv_layers": 2})])
def test_every_kind(kind, arguments):
    model = build_by_name(kind, **arguments)
    rows = summarize_network(model, (1, 28, 28))
    assert set(column(rows, "layer")) == set(networks.layers_of(model))
    assert sum(column(rows, "parameters")) == sum(p.get_value().size for p in model.params)
    # What the layers really give for three images.
    maps = networks.feature_maps(model)
    values = theano.function([model.input], [v for _, v in maps] + [model.p_y_given_x])(
        numpy.zeros((3, 784), dtype=theano.config.floatX))
    last = {row.layer: row.output for row in rows}
    assert [last[name] for name, _ in maps] == [v.shape[1:] for v in values[:-1]]
    assert rows[-1].output == values[-1].shape[1:] == (10,)


def find_seen(unit, steps):
    """(first, last) line of pixels that a unit sees through (window, stride) of each step."""
    first = last = unit
    for window, stride in reversed(steps):
        first, last = first * stride, last * stride + window - 1
    return first, last


def test_sizes_that_differ_in_rows_and_columns():
    image_shape, filters, windows = (3, 40, 29), (5, 3), (2, 3)
    rows = summarize("LeNet5", image_shape, nkerns=(2, 3), filter_size=filters, poolsize=windows,
                     n_hidden=4, n_out=7)
    # (40 - 4, 29 - 2) = (36, 27) -> (18, 9) -> (18 - 4, 9 - 2) = (14, 7) -> (7, 2)
    shapes = [(2, 36, 27), (2, 18, 9), (3, 14, 7), (3, 7, 2), (4,), (7,)]
    assert column(rows, "output") == shapes
    for number in range(4):
        for axis in (0, 1):
            steps = [(filters[axis], 1), (windows[axis], windows[axis])] * 2
            (first, last), (following, _) = (find_seen(unit, steps[:number + 1]) for unit in (0, 1))
            assert rows[number].field[axis] == last - first + 1
            assert rows[number].stride[axis] == following - first
    # Each unit of a map counts one by one: its window in each map below, and a bias.
    units = [2 * 36 * 27, 2 * 18 * 9, 3 * 14 * 7, 3 * 7 * 2, 4, 7]
    inputs = [3 * 5 * 3 + 1, 2 * 3, 2 * 5 * 3 + 1, 2 * 3, 3 * 7 * 2 + 1, 4 + 1]
    assert column(rows, "connections") == [n * m for n, m in zip(units, inputs)]
    products = [3 * 5 * 3, 0, 2 * 5 * 3, 0, 3 * 7 * 2, 4]
    assert column(rows, "multiplications") == [n * m for n, m in zip(units, products)]


def test_a_convolution_without_pooling_is_one_row():
    network = network3.Network([
        network3.ConvPoolLayer((2, 1, 3, 3), (5, 1, 8, 8), poolsize=(1, 1)),
        network3.SoftmaxLayer(2 * 6 * 6, 10)], 5)
    rows = summarize_network(network, (1, 8, 8))
    assert column(rows, "what") == ["convolution", "fully connected"]


def test_one_map_is_enough_to_find_what_a_unit_sees():
    """Whichever of its pixels the maxima happen to choose."""
    for seed in range(5):
        model = networks.KINDS["LeNet5"].build(numpy.random.RandomState(seed), T.matrix("x"),
                                               (1, 28, 28), 10, nkerns=(1, 1), n_hidden=2)
        found = measure_fields(model.input, [model.layer1.output], (1, 28, 28))
        assert found == [((16, 16), (4, 4))]


def test_dead_units_see_what_others_see():
    layer = network3.ConvPoolLayer((2, 1, 5, 5), (5, 1, 28, 28), activation_fn=network3.ReLU)
    network = network3.Network([layer, network3.SoftmaxLayer(2 * 12 * 12, 10)], 5)
    layer.b.set_value(numpy.full(2, -100, dtype=theano.config.floatX))
    rows = summarize_network(network, (1, 28, 28))
    assert column(rows, "field") == [(5, 5), (6, 6), (28, 28)]


def test_the_table():
    rows = summarize("LeNet5_1998")
    lines = format_table(rows, 10).splitlines()
    assert lines[1].split() == ["C1", "convolution", *"6 x 28 x 28".split(), "150", "156",
                                "122,304", "117,600", *"5 x 5".split(), *"1 x 1".split(),
                                # 10 images, 4704 units, 4 bytes
                                "0.19", "MB"]
    assert lines[-1].split()[:5] == ["in", "all", "59,752", "60,000", "340,908"]


def test_images_that_only_the_arguments_suit():
    # (6, 6) -> (5, 5) -> (5, 5) -> (4, 4) -> (4, 4)
    rows = summarize("LeNet5", (1, 6, 6), filter_size=(2, 2), poolsize=(1, 1))
    assert column(rows, "output") == [(20, 5, 5), (50, 4, 4), (500,), (10,)]


@pytest.mark.parametrize("kind, arguments, words", [
    ("LeNet5", {"n_kerns": 3}, "no argument n_kerns; expected nkerns, n_hidden"),
    ("LeNet5", {"filter_size": (20, 20)}, "too small"),
    ("LeNet5", {"nkerns": (0, 5)}, "nkerns 0 5; expected two positive"),
    ("LeNet5", {"nkerns": 5}, "LeNet5 nkerns=5: "),
    ("LeNet5_1998", {"pooling": "sum"}, "pooling sum; expected mean or max"),
    ("LeNet5_1998", {"image_shape": (1, 40, 40)}, "at most 32 x 32"),
    ("LogisticRegression", {"n_hidden": 3}, "expected none"),
    ("Network", {"conv_layers": 3}, "1 or 2"),
])
def test_networks_that_there_are_not(kind, arguments, words):
    with pytest.raises(UsageError, match=words):
        build_by_name(kind, **arguments)


def test_the_command(script, tmp_path):
    process = script("summary.py", "LeNet5", "nkerns=2,3", "--batch-size", 7)
    model = build_by_name("LeNet5", nkerns=(2, 3))
    expected = format_table(summarize_network(model, (1, 28, 28)), 7)
    assert (process.returncode, process.stdout) == (0, expected + "\n"), process.stderr

    networks.save_model(str(tmp_path / "model.safetensors"), model, list("abcdefghij"),
                        (1, 28, 28), "resize")
    for saved in (tmp_path, tmp_path / "model.safetensors"):
        assert script("summary.py", saved, "--batch-size", 7).stdout == expected + "\n"

    assert_refused(script("summary.py", tmp_path, "nkerns=2,3"), 2, "leave out its arguments")
    assert_refused(script("summary.py", "LeNet5", "nkerns"), 2, "expected NAME=VALUE")
    assert_refused(script("summary.py", "MLP", "--batch-size", 0), 2, "batch size 0")
    assert_refused(script("summary.py", "MLP", "--classes", 0), 2, "0 classes")
    assert_refused(script("summary.py", tmp_path / "none"), 1, "not found")
