"""lenet.network3 against a few lines of NumPy."""

import itertools
import os
import pickle

import numpy
import pytest
import theano
import theano.tensor as T

from lenet import network3, networks
from lenet.data import shared_dataset
from lenet.data.chunks import ChunkedSet, Window
from lenet.errors import DataError, UsageError
from lenet.network3 import (
    ConvPoolLayer,
    FullyConnectedLayer,
    Network,
    ReLU,
    SoftmaxLayer,
    get_error_locations,
    linear,
    sigmoid,
    tanh,
)


def small_network(mini_batch_size=5, p_dropout=0.0, seed=0, **options):
    """A network for images of 6 x 6 and three classes."""
    return Network([
        # (6 - 3 + 1) / 2 = 2
        ConvPoolLayer(filter_shape=(4, 1, 3, 3), image_shape=(mini_batch_size, 1, 6, 6), **options),
        FullyConnectedLayer(n_in=4 * 2 * 2, n_out=8, p_dropout=p_dropout, **options),
        SoftmaxLayer(n_in=8, n_out=3),
    ], mini_batch_size, seed)


@pytest.fixture
def datasets(rng):
    """Three sets of images of 6 x 6; their labels can be learned."""
    sets = []
    for n in (40, 23, 17):
        y = rng.randint(0, 3, n)
        x = rng.rand(n, 36) * 0.5
        for k in range(3):
            x[y == k, 12 * k:12 * (k + 1)] += 0.5
        sets.append(shared_dataset((x, y)))
    return sets


def sgd(net, datasets, epochs=1, eta=0.5, **options):
    training_data, validation_data, test_data = datasets
    return net.SGD(training_data, epochs, net.mini_batch_size, eta, validation_data, test_data,
                   **options)


def randomize(net, rng):
    for param in net.params:
        param.set_value(rng.randn(*param.get_value().shape).astype("float32"))


def numpy_output(net, images, p_dropout):
    """What the small network should say about images, for sigmoid layers."""
    w0, b0, w1, b1, w2, b2 = (param.get_value().astype("float64") for param in net.params)
    maps = numpy.empty((len(images), 4, 4, 4))
    for n, k, r, c in numpy.ndindex(maps.shape):
        maps[n, k, r, c] = (w0[k, 0, ::-1, ::-1]
                            * images[n].reshape(6, 6)[r:r + 3, c:c + 3]).sum()
    pooled = maps.reshape(-1, 4, 2, 2, 2, 2).max(axis=(3, 5)) + b0.reshape(1, 4, 1, 1)
    a0 = 1 / (1 + numpy.exp(-pooled.reshape(len(images), 16)))
    a1 = 1 / (1 + numpy.exp(-((1 - p_dropout) * a0.dot(w1) + b1)))
    e = numpy.exp(a1.dot(w2) + b2)
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("p_dropout", [0.0, 0.3])
def test_output_is_that_of_the_scaled_inputs(p_dropout, rng):
    net = small_network(p_dropout=p_dropout)
    randomize(net, rng)
    images = rng.rand(7, 36).astype("float32")  # any number, not just mini_batch_size
    output = theano.function([net.x], net.output)(images)
    numpy.testing.assert_allclose(output, numpy_output(net, images, p_dropout), rtol=1e-4)


def test_without_dropout_training_has_the_same_output(rng):
    net = small_network()
    randomize(net, rng)
    outputs = theano.function([net.x], [net.output, net.output_dropout])(
        rng.rand(5, 36).astype("float32"))
    numpy.testing.assert_array_equal(*outputs)


def test_dropout_leaves_out_a_fraction_and_others_each_time():
    layer = FullyConnectedLayer(n_in=1000, n_out=1, p_dropout=0.3)
    net = Network([layer, SoftmaxLayer(1, 2)], 20, seed=3)
    f = theano.function([net.x], layer.inpt_dropout)
    ones = numpy.ones((20, 1000), dtype="float32")
    first, second = f(ones), f(ones)
    assert set(numpy.unique(first)) == {0, 1}
    # Five standard deviations of the fraction among 20000 draws: 5 * sqrt(.3 * .7 / 20000).
    assert abs((first == 0).mean() - 0.3) < 0.0162
    assert 0.3 < (first != second).mean() < 0.54  # 2 * .3 * .7 = .42 differ


def test_training_uses_the_mask(rng):
    layer = FullyConnectedLayer(n_in=6, n_out=4, p_dropout=0.5)
    net = Network([layer, SoftmaxLayer(4, 2)], 3)
    randomize(net, rng)
    w, b = (param.get_value() for param in layer.params)
    f = theano.function([net.x], [layer.inpt_dropout, layer.output_dropout])
    masked, output = f(rng.rand(3, 6).astype("float32"))
    assert (masked == 0).any()
    numpy.testing.assert_allclose(output, 1 / (1 + numpy.exp(-(masked.dot(w) + b))), rtol=1e-5)


def test_parameters_are_drawn_layer_by_layer():
    net, rng = small_network(seed=7), numpy.random.RandomState(7)
    # 4 filters * (3 * 3) / (2 * 2) = 9; 8 units.
    for param, scale, shape in zip(net.params, (9 ** -0.5, 1, 8 ** -0.5, 1),
                                   ((4, 1, 3, 3), (4,), (16, 8), (8,))):
        numpy.testing.assert_array_equal(
            param.get_value(), rng.normal(0, scale, shape).astype("float32"))
    assert not net.params[4].get_value().any() and not net.params[5].get_value().any()


def test_networks_of_an_ensemble_differ(monkeypatch):
    """Those without a seed of their own have 0, 1, ..., whatever is built or refused in between."""
    monkeypatch.setattr(network3, "UNUSED_SEEDS", itertools.count())
    nets = [small_network(seed=seed) for seed in (None, 5, None)]
    with pytest.raises(UsageError):
        Network([], 5)
    nets.append(Network(nets[0].layers, 5, rng=numpy.random.RandomState(3)))
    nets.append(network3.conv_network((1, 6, 6)))
    assert [net.seed for net in nets] == [0, 5, 1, None, 2]
    expected = small_network(seed=1)
    for found, param in zip(nets[2].params, expected.params):
        numpy.testing.assert_array_equal(found.get_value(), param.get_value())
    seeds_of_dropout = [net.layers[0].streams.rstate for net in (nets[2], expected)]
    numpy.testing.assert_array_equal(*seeds_of_dropout)


def test_an_activation_without_a_name_cannot_be_saved(tmp_path):
    net = Network([FullyConnectedLayer(4, 3, activation_fn=lambda x: x), SoftmaxLayer(3, 2)], 10)
    with pytest.raises(UsageError, match="layer 0: an activation that cannot be saved"):
        networks.save_model(str(tmp_path / "model"), net, ["a", "b"], (1, 2, 2), "resize")
    assert not (tmp_path / "model").exists()


def test_activation_functions():
    z = T.vector()
    outputs = theano.function([z], [linear(z), ReLU(z), sigmoid(z), tanh(z)])(
        numpy.array([-2, 0, 3], dtype="float32"))
    expected = [[-2, 0, 3], [0, 0, 3], 1 / (1 + numpy.exp([2, 0, -3])), numpy.tanh([-2, 0, 3])]
    numpy.testing.assert_allclose(outputs, expected, rtol=1e-5)
    assert outputs[1].dtype == "float32"


def test_a_step_with_regularization(rng):
    x, y = rng.rand(6, 4).astype("float32"), rng.randint(0, 3, 6)
    data = shared_dataset((x, y))
    net = Network([SoftmaxLayer(4, 3)], 3)
    randomize(net, rng)
    w, b = (param.get_value().astype("float64") for param in net.params)
    eta, lmbda, num_training_batches = 0.5, 4.0, 2
    net.SGD(data, 1, 3, eta, data, data, lmbda=lmbda)
    for batch in (slice(0, 3), slice(3, 6)):
        e = numpy.exp(x[batch].dot(w) + b)
        delta = (e / e.sum(axis=1, keepdims=True) - numpy.eye(3)[y[batch]]) / 3
        # The cost has 0.5 * lmbda * sum(w^2) / num_training_batches, and b stays out of it.
        w -= eta * (x[batch].T.dot(delta) + lmbda * w / num_training_batches)
        b -= eta * delta.sum(axis=0)
    numpy.testing.assert_allclose(net.params[0].get_value(), w, rtol=1e-4, atol=1e-6)
    numpy.testing.assert_allclose(net.params[1].get_value(), b, rtol=1e-4, atol=1e-6)


def test_two_runs_agree_to_the_last_bit_and_the_seed_matters(datasets):
    def train(seed):
        net = small_network(p_dropout=0.3, seed=seed)
        sgd(net, datasets, epochs=2)
        return [param.get_value().tobytes() for param in net.params]

    assert train(1) == train(1)
    assert train(1) != train(2)


def test_the_lines_of_the_book(datasets, capsys, monkeypatch):
    errors = iter([0.5, 0.25, 0.25, 0.5])
    compile_functions = network3.compile_functions
    monkeypatch.setattr(
        network3, "compile_functions",
        lambda *arguments: compile_functions(*arguments)._replace(
            validation_error=lambda: next(errors), test_error=lambda: 0.125))
    result = sgd(small_network(), datasets, epochs=4)
    good = ["This is the best validation accuracy to date.",
            "The corresponding test accuracy is 87.50%"]
    assert capsys.readouterr().out.splitlines() == [
        "begin training...", "Training mini-batch number 0",
        "Epoch 0: validation accuracy 50.00%"] + good + [
        "Epoch 1: validation accuracy 75.00%"] + good + [
        # As good as the best one counts as the best.
        "Epoch 2: validation accuracy 75.00%"] + good + [
        "Epoch 3: validation accuracy 50.00%",
        "Finished training network.",
        "Best validation accuracy of 75.00% obtained at iteration 23",  # 8 minibatches an epoch
        "Corresponding test accuracy of 87.50%",
    ]
    assert result.stopped == "n_epochs"


def test_training_learns_and_every_example_counts(datasets, capsys):
    net = small_network()
    result = sgd(net, datasets, epochs=60, eta=1.0)
    assert result.best_validation_error < 0.1
    x, y = (part.eval() for part in datasets[1])
    right = (numpy_output(net, x, 0).argmax(axis=1) == y).mean()
    assert net.accuracy(datasets[1]) == pytest.approx(right, abs=1e-12)  # 23 = 4 * 5 + 3


def test_error_locations(datasets, rng):
    net = small_network()
    randomize(net, rng)
    locations, predictions = get_error_locations(net, datasets[2])
    x, y = (part.eval() for part in datasets[2])
    expected = numpy_output(net, x, 0).argmax(axis=1)
    assert 0 < len(locations) < 17
    assert locations.tolist() == [j for j in range(17) if expected[j] != y[j]]
    assert predictions.tolist() == [expected[j] for j in locations]
    assert 1 - len(locations) / 17 == pytest.approx(net.accuracy(datasets[2]))


def test_error_locations_of_a_set_in_chunks(datasets, rng):
    net = small_network()
    randomize(net, rng)
    in_chunks = ChunkedSet(*(part.eval() for part in datasets[2]), Window(0.2))
    for found, expected in zip(get_error_locations(net, in_chunks),
                               get_error_locations(net, datasets[2])):
        assert found.tolist() == expected.tolist()


def test_a_layer_on_its_own_has_drawn_its_parameters(rng):
    numpy.random.seed(7)
    layer = FullyConnectedLayer(n_in=5, n_out=4, activation_fn=linear, p_dropout=0.5)
    x = T.matrix("x")
    layer.set_inpt(x, x, 3)
    value = rng.rand(3, 5).astype("float32")
    output, masked, trained = theano.function(
        [x], [layer.output, layer.inpt_dropout, layer.output_dropout])(value)
    draws = numpy.random.RandomState(7)
    w, b = draws.normal(0, 0.5, (5, 4)), draws.normal(0, 1, 4)
    numpy.testing.assert_allclose(output, 0.5 * value.dot(w) + b, rtol=1e-4, atol=1e-6)
    numpy.testing.assert_allclose(trained, masked.dot(w) + b, rtol=1e-4, atol=1e-6)
    numpy.testing.assert_array_equal(masked[masked != 0], value[masked != 0])


def test_sets_that_are_plain_pairs(datasets):
    plain = [(data.x, data.y) for data in datasets]
    nets = small_network(), small_network()
    assert [network3.size(pair) for pair in plain] == [40, 23, 17]
    results = [sgd(net, sets, epochs=2, lmbda=0.1) for net, sets in zip(nets, (plain, datasets))]
    assert results[0].best_validation_error == results[1].best_validation_error
    assert nets[0].accuracy(plain[2]) == nets[1].accuracy(datasets[2])


def test_parameters_are_saved_as_in_the_book(rng, tmp_path):
    path, net, other = str(tmp_path / "params.pkl"), small_network(), small_network()
    randomize(net, rng)
    network3.save(net.layers, path)
    with open(path, "rb") as file:
        for param in net.params:
            numpy.testing.assert_array_equal(pickle.load(file), param.get_value())
    # The book's save, which ran with float64.
    for dtype in ("float32", "float64"):
        randomize(other, rng)
        with open(path, "wb") as file:
            for param in other.params:
                pickle.dump(param.get_value().astype(dtype), file, 2)
        network3.load(net.layers, path)
        for found, param in zip(net.params, other.params):
            numpy.testing.assert_array_equal(found.get_value(), param.get_value())


def join_pickles(*values):
    return b"".join(pickle.dumps(value) for value in values)


W, B = numpy.ones((4, 3)), numpy.ones(3)


@pytest.mark.parametrize("content, words", [
    (join_pickles(W), r"holds \[\(4, 3\)\]; expected .* \[\(4, 3\), \(3,\)\]"),
    (join_pickles(W, B, W), r"holds \[\(4, 3\), \(3,\), \(4, 3\)\]"),
    (join_pickles(W.T, B), r"holds \[\(3, 4\), \(3,\)\]"),
    (join_pickles(W, "b"), r"holds \[\(4, 3\), 'str'\]"),
    (join_pickles(W, B)[:-5], "params.pkl: (truncated|refused)"),
    (join_pickles(W, os.system), "refused: it names .*system"),
    (None, "cannot be read"),
])
def test_parameters_that_cannot_be_loaded(content, words, tmp_path):
    layer, path = SoftmaxLayer(4, 3), tmp_path / "params.pkl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        network3.load([layer], str(path))
    assert not layer.w.get_value().any() and not layer.b.get_value().any()


def test_errors_are_drawn_with_and_without_predictions(datasets, tmp_path):
    pictures = [tmp_path / "with.png", tmp_path / "without.png"]
    for predictions, picture in zip(([2, 1], None), pictures):
        network3.plot_errors([0, 3], predictions, datasets[2], output=str(picture))
    assert pictures[0].read_bytes() != pictures[1].read_bytes()


def test_a_filter_smaller_than_its_window_of_pooling(rng):
    layer = ConvPoolLayer((2000, 1, 1, 1), (5, 1, 100, 100), poolsize=(50, 50))
    layer.initialize(rng)
    # 2000 * (1 * 1) / (50 * 50) is no whole unit: the deviation is that of one.
    assert layer.w.get_value().std() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("layers, words", [
    ([FullyConnectedLayer(10, 5), SoftmaxLayer(6, 2)], [r"\(6,\)", r"\(5,\)"]),
    ([ConvPoolLayer((2, 1, 3, 3), (5, 1, 6, 6)), FullyConnectedLayer(9, 5), SoftmaxLayer(5, 2)],
     [r"\(9,\)", r"\(2, 2, 2\)"]),
    ([ConvPoolLayer((2, 1, 3, 3), (5, 1, 6, 6)), ConvPoolLayer((2, 1, 1, 1), (5, 1, 2, 2)),
      SoftmaxLayer(2, 2)], [r"\(1, 2, 2\)", r"\(2, 2, 2\)"]),
    ([ConvPoolLayer((2, 1, 3, 3), (10, 1, 6, 6)), SoftmaxLayer(8, 2)],
     [r"\(10, 1, 6, 6\)", "mini_batch_size is 5"]),
    ([FullyConnectedLayer(10, 5)], ["FullyConnectedLayer", "expected a SoftmaxLayer"]),
    ([], ["none"]),
])
def test_layers_that_do_not_fit_each_other(layers, words):
    for word in words:
        with pytest.raises(ValueError, match=word):
            Network(layers, 5)


@pytest.mark.parametrize("kind", [FullyConnectedLayer, SoftmaxLayer])
@pytest.mark.parametrize("p_dropout", [-0.1, 1.0, float("nan")])
def test_dropout_that_cannot_be(kind, p_dropout):
    with pytest.raises(UsageError, match="expected at least 0 and less than 1"):
        kind(3, 2, p_dropout=p_dropout)


def test_a_result_has_a_row_for_each_epoch(datasets):
    result = sgd(small_network(), datasets, epochs=2)
    assert [row["epoch"] for row in result.rows] == [1, 2]
    assert min(row["validation"] for row in result.rows) == result.best_validation_error
    assert [row["test"] for row in result.rows if row["test"] is not None][-1] == result.test_error


def test_arguments_that_cannot_work(datasets):
    net = small_network()
    with pytest.raises(UsageError, match="mini_batch_size 4; expected the network's, which is 5"):
        net.SGD(datasets[0], 1, 4, 0.1, datasets[1], datasets[2])
    with pytest.raises(UsageError, match="lmbda -1"):
        sgd(net, datasets, lmbda=-1)
    wide = shared_dataset((numpy.zeros((20, 49)), numpy.zeros(20)))
    for use in (lambda: sgd(net, [wide] * 3), lambda: net.accuracy(wide)):
        with pytest.raises(UsageError, match=r"images of 49 pixels.*\(1, 6, 6\)"):
            use()


@pytest.mark.parametrize("conv_layers, n_in", [(1, 20 * 12 * 12), (2, 40 * 4 * 4)])
def test_the_networks_of_the_tutorial(conv_layers, n_in):
    net = network3.conv_network((1, 28, 28), conv_layers, p_dropout=0.3)
    shapes = [param.get_value(borrow=True).shape for param in net.params]
    filters = [(20, 1, 5, 5), (20,), (40, 20, 5, 5), (40,)][:2 * conv_layers]
    assert shapes == filters + [(n_in, 100), (100,), (100, 10), (10,)]
    assert net.layers[-2].p_dropout == 0.3 and net.layers[-1].p_dropout == 0
