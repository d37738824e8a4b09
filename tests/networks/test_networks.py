"""lenet.networks: a network comes back as it was saved, and nothing else does."""

import json
import math
import os

import numpy
import pytest
import theano
import theano.tensor as T

from lenet import network3, networks
from lenet.convolutional_mlp import LeNet5
from lenet.data import Datasets
from lenet.errors import DataError
from lenet.lenet5_1998 import LeNet5_1998
from lenet.logistic_sgd import LogisticRegression
from lenet.mlp import MLP
from lenet.networks import parameters
from lenet.pooling import DeformationPoolLayer, L2PoolLayer, StochasticPoolLayer

DIGITS = list("0123456789")
SHAPE = (1, 16, 16)

NETWORKS = {
    "logistic regression": lambda rng, x: LogisticRegression(x, 256, 10),
    "perceptron": lambda rng, x: MLP(rng, x, 256, 7, 10),
    "LeNet": lambda rng, x: LeNet5(rng, x, SHAPE, nkerns=(2, 3), n_hidden=5),
    "perceptron with ReLU": lambda rng, x: MLP(rng, x, 256, 7, 10, T.nnet.relu),
    "other sizes": lambda rng, x: LeNet5(rng, x, SHAPE, (2, 3), 10, 5, ((7, 6), (3, 2)),
                                         ((2, 1), (1, 2)), T.nnet.softplus, L2PoolLayer),
    "stochastic": lambda rng, x: LeNet5(rng, x, SHAPE, (2, 3), n_hidden=5,
                                        activation=T.nnet.sigmoid,
                                        conv_pool_layer=StochasticPoolLayer),
    "deformation": lambda rng, x: LeNet5(rng, x, SHAPE, (2, 3), n_hidden=5, filter_size=(3, 3),
                                         conv_pool_layer=DeformationPoolLayer),
    "paper of 1998": lambda rng, x: LeNet5_1998(rng, x, SHAPE),
    "1998 with other filters": lambda rng, x: LeNet5_1998(rng, x, SHAPE,
                                                          filter_size=((7, 7), (3, 3))),
    "simplified": lambda rng, x: LeNet5_1998(rng, x, SHAPE, "full", "max", "softmax"),
    "network3": lambda rng, x: network3.conv_network(SHAPE, 2, 0.3),
    "tanh and ReLU": lambda rng, x: network3.Network([
        network3.ConvPoolLayer((2, 1, 3, 3), (10,) + SHAPE, activation_fn=network3.ReLU),
        network3.FullyConnectedLayer(2 * 7 * 7, 4, network3.tanh),
        network3.SoftmaxLayer(4, 10)], 10),
}


def randomize(model, rng):
    for param in model.params:
        shape = param.get_value(borrow=True).shape
        param.set_value(rng.uniform(-0.3, 0.3, shape).astype(theano.config.floatX))
    return model


def make_network(name, rng):
    return randomize(NETWORKS[name](rng, T.matrix("x")), rng)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_comes_back(name, rng, tmp_path):
    model, path = make_network(name, rng), str(tmp_path / "a.safetensors")
    networks.save_model(path, model, DIGITS, SHAPE, "resize")
    saved = networks.load_model(path)
    assert (saved.class_names, saved.image_shape, saved.preparation) == (DIGITS, SHAPE, "resize")
    assert type(saved.model) is type(model)
    images = rng.rand(3, 256).astype(theano.config.floatX)
    # One graph, in which only the parameters differ: the same to the last bit.
    params, loaded = networks.named_params(model), networks.named_params(saved.model)
    assert list(params) == list(loaded)
    for param_name in params:
        assert params[param_name].get_value().tobytes() == loaded[param_name].get_value().tobytes()
    p = theano.function([saved.model.input], saved.model.p_y_given_x)(images)
    numpy.testing.assert_allclose(
        p, theano.function([model.input], model.p_y_given_x)(images), rtol=1e-5)
    numpy.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert p.std() > 1e-3  # the networks do say something


def test_the_names_of_the_parameters(rng):
    assert list(networks.named_params(make_network("LeNet", rng))) == [
        "layer0.W", "layer0.b", "layer1.W", "layer1.b", "layer2.W", "layer2.b", "layer3.W",
        "layer3.b"]
    assert list(networks.named_params(make_network("perceptron", rng))) == [
        "layer0.W", "layer0.b", "layer1.W", "layer1.b"]
    assert list(networks.named_params(make_network("paper of 1998", rng))) == [
        "C1.W", "C1.b", "S2.coefficient", "S2.b", "C3.W", "C3.b", "S4.coefficient", "S4.b",
        "C5.W", "C5.b", "F6.W", "F6.b"]


def test_a_file_names_only_what_is_not_the_tutorials(rng):
    expected = {
        "LeNet": {"kind": "LeNet5", "nkerns": [2, 3], "n_hidden": 5, "filter_size": [5, 5],
                  "poolsize": [2, 2]},
        "stochastic": {"kind": "LeNet5", "nkerns": [2, 3], "n_hidden": 5, "filter_size": [5, 5],
                       "poolsize": [2, 2], "activation": "sigmoid", "pooling": "stochastic"},
        "perceptron": {"kind": "MLP", "n_hidden": 7},
        "perceptron with ReLU": {"kind": "MLP", "n_hidden": 7, "activation": "relu"},
        "paper of 1998": {"kind": "LeNet5_1998", "connections": "table", "pooling": "mean",
                          "head": "rbf", "loss": "discriminative"},
    }
    for name, architecture in expected.items():
        found = json.dumps(networks.architecture_of(make_network(name, rng)))
        assert found == json.dumps(architecture)  # in this order, so the bytes are the same


def test_dropout_of_an_earlier_version_is_read_as_it_was_used(rng, tmp_path):
    """It multiplied the hidden units by 1 - dropout, here by 0.75."""
    model, path = make_network("perceptron", rng), str(tmp_path / "a.safetensors")
    architecture = dict(networks.architecture_of(model), dropout=0.25)
    parameters.write(path, parameters.values(networks.named_params(model)), {
        "network": json.dumps({"architecture": architecture, "class_names": DIGITS,
                               "image_shape": SHAPE, "preparation": "resize"})})
    images = rng.rand(3, 256).astype(theano.config.floatX)
    W1, b1, W2, b2 = (param.get_value() for param in model.params)
    scores = numpy.exp((0.75 * numpy.tanh(images.dot(W1) + b1)).dot(W2) + b2)
    loaded = networks.load_model(path).model
    numpy.testing.assert_allclose(
        theano.function([loaded.input], loaded.p_y_given_x)(images),
        scores / scores.sum(axis=1, keepdims=True), rtol=1e-5)
    # Saved again, it is a network like any other.
    assert "dropout" not in networks.architecture_of(loaded)


def test_maps_and_filters(rng):
    model = make_network("LeNet", rng)
    assert [name for name, _ in networks.feature_maps(model)] == ["layer0", "layer1", "layer2"]
    assert [(name, param.get_value().shape) for name, param in networks.filters(model)] == [
        ("layer0.W", (2, 1, 5, 5)), ("layer1.W", (3, 2, 5, 5))]
    assert networks.filters(make_network("perceptron", rng)) == []


def test_the_same_network_makes_the_same_file(rng, tmp_path):
    model = make_network("LeNet", rng)
    for name in "ab":
        networks.save_model(str(tmp_path / name), model, DIGITS, SHAPE, "digit")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_folder_of_a_run_stands_for_its_best_parameters(tmp_path):
    assert networks.model_path(str(tmp_path)) == str(tmp_path / "model.safetensors")
    assert networks.model_path(str(tmp_path / "a")) == str(tmp_path / "a")


# --- refused ---------------------------------------------------------------------------------


@pytest.fixture
def saved_path(rng, tmp_path):
    """The path of a small LeNet's file."""
    path = str(tmp_path / "a.safetensors")
    networks.save_model(path, make_network("LeNet", rng), DIGITS, SHAPE, "digit")
    return path


def change_file(path, change):
    """Change what a file says of its network."""
    arrays, metadata = parameters.read(path)
    network = json.loads(metadata["network"])
    change(network)
    parameters.write(path, arrays, {"network": json.dumps(network)})


@pytest.mark.parametrize("change, match", [
    (lambda n: n.pop("architecture"), "does not say which network"),
    (lambda n: n.update(architecture=3), "network 3; expected a dict"),
    (lambda n: n["architecture"].pop("kind"), "does not describe a network"),
    (lambda n: n["architecture"].update(kind="VGG"), "network 'VGG'"),
    (lambda n: n["architecture"].update(kind=["MLP"]), "does not describe a network"),
    (lambda n: n["architecture"].update(depth=3), "does not describe a network"),
    (lambda n: n["architecture"].update(nkerns="ab"), "does not describe a network"),
    (lambda n: n["architecture"].update(nkerns=[2]), "does not describe a network"),
    (lambda n: n["architecture"].update(nkerns=[2, 4]), "has shape"),
    (lambda n: n["architecture"].update(nkerns=[2, 1e9]), "does not describe a network"),
    (lambda n: n["architecture"].update(nkerns=[2, 10 ** 12]), "does not describe a network"),
    (lambda n: n["architecture"].update(n_hidden=10 ** 12), "does not describe a network"),
    (lambda n: n["architecture"].update(n_hidden=-1), "does not describe a network"),
    (lambda n: n["architecture"].update(poolsize=[0, 2]), "does not describe a network"),
    (lambda n: n["architecture"].update(filter_size=[17, 17]), "too small"),
    (lambda n: n["architecture"].update(filter_size=[[5, 5], [9, 9]]), "too small"),
    (lambda n: n["architecture"].update(filter_size=[[5, 5], 5]), "does not describe a network"),
    (lambda n: n["architecture"].update(filter_size="55"), "does not describe a network"),
    (lambda n: n["architecture"].update(activation="step"), "activation step; expected one of"),
    (lambda n: n["architecture"].update(activation=["tanh"]), "does not describe a network"),
    (lambda n: n["architecture"].update(pooling="min"), "pooling min; expected one of"),
    (lambda n: n["architecture"].update(dropout=2), "dropout 2; expected"),
    (lambda n: n["architecture"].update(dropout="half"), "does not describe a network"),
    (lambda n: n.update(class_names=DIGITS[:9]), "has shape"),
    (lambda n: n.update(class_names=[]), "expected a list of names"),
    (lambda n: n.update(class_names=list(range(10))), "expected a list of names"),
    (lambda n: n.update(image_shape=[1, 16]), "expected .channels, height, width"),
    (lambda n: n.update(image_shape=[1, 16, 10 ** 9]), "expected .channels, height, width"),
    (lambda n: n.update(image_shape=[1, 16, 60000]), "has shape"),
    (lambda n: n.update(image_shape=[3, 16, 16]), "has shape"),
    (lambda n: n.update(preparation="eval"), "expected one of digit, resize"),
])
def test_a_file_that_describes_something_else(change, match, saved_path):
    change_file(saved_path, change)
    with pytest.raises(DataError, match=match) as error:
        networks.load_model(saved_path)
    assert saved_path in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("layers", [
    [], 5, [{}], [{"kind": "SoftmaxLayer", "n_in": 256, "n_out": 3}],
    [{"kind": "FullyConnectedLayer", "n_in": 256, "n_out": 10 ** 11},
     {"kind": "SoftmaxLayer", "n_in": 10 ** 11, "n_out": 10}],
    [{"kind": "FullyConnectedLayer", "n_in": 256, "n_out": 4, "activation_fn": "system"},
     {"kind": "SoftmaxLayer", "n_in": 4, "n_out": 10}],
])
def test_layers_that_are_none(layers, saved_path):
    change_file(saved_path, lambda n: n.update(architecture={"kind": "Network", "layers": layers}))
    with pytest.raises(DataError, match="does not describe a network"):
        networks.load_model(saved_path)


def test_a_network_of_another_kind(saved_path):
    assert isinstance(networks.load_model(saved_path, kind="LeNet5").model, LeNet5)
    with pytest.raises(DataError, match="of the kind LeNet5; expected Network"):
        networks.load_model(saved_path, kind="Network")


def test_parameters_that_are_not_finite(rng, tmp_path):
    model, path = make_network("LeNet", rng), str(tmp_path / "a")
    model.layer2.b.set_value(numpy.full(5, math.nan, theano.config.floatX))
    networks.save_model(path, model, DIGITS, SHAPE, "digit")
    with pytest.raises(DataError, match="layer2.b has a value that is NaN"):
        networks.load_model(path)


def test_a_dataset_of_other_images_or_classes(saved_path):
    network = networks.load_model(saved_path)
    networks.check_images(network, Datasets([], SHAPE, DIGITS, "digit"))
    for shape, names in (((1, 28, 28), DIGITS), (SHAPE, ["cat", "dog"])):
        with pytest.raises(DataError, match="the network was trained for"):
            networks.check_images(network, Datasets([], shape, names, "digit"))


def test_a_thousand_damaged_files(saved_path, rng):
    """Bytes changed, cut and inserted, most of them in the header: refused, or still a network."""
    with open(saved_path, "rb") as file:
        content = file.read()
    header = 8 + int.from_bytes(content[:8], "little")
    refusals = 0
    for _ in range(1000):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            place = rng.randint(0, header if rng.rand() < 0.8 else len(damaged))
            kind = rng.randint(4)
            if kind == 0:
                damaged[place] = rng.randint(256)
            elif kind == 1:
                damaged[place] = rng.choice(list(b'0123456789{}[],":-e'))
            elif kind == 2:
                del damaged[place:place + rng.randint(1, 40)]
            else:
                damaged[place:place] = bytes(rng.randint(0, 256, rng.randint(1, 9), dtype="uint8"))
        path = os.path.join(os.path.dirname(saved_path), "damaged")
        with open(path, "wb") as file:
            file.write(damaged)
        try:
            networks.load_model(path)
        except DataError as error:
            assert "\n" not in str(error)
            refusals += 1
    assert refusals > 500
