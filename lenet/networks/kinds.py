"""The one table of networks: to save, show, count or reject with another kind, describe it here.

A new class of layers has a row of ``STAGES`` in stages.py, too.

A file gives functions and classes of layers by name: see names.py, ``lenet.pooling.POOLINGS`` and
``LAYERS``.
"""

from collections import namedtuple
from math import prod

import numpy
import theano.tensor as T

from lenet import network3
from lenet.convolutional_mlp import LeNet5
from lenet.data.pixels import BYTES
from lenet.lenet5_1998 import LeNet5_1998, RBFLayer
from lenet.logistic_sgd import LogisticRegression
from lenet.mlp import MLP
from lenet.networks.names import ACTIVATIONS, find_by_name, name_of
from lenet.networks.stages import describe_frame, describe_stages
from lenet.pooling import POOLINGS

# What the layers of a Network are built with: the names of their arguments.
LAYERS = {
    network3.ConvPoolLayer: ("filter_shape", "image_shape", "poolsize", "activation_fn"),
    network3.FullyConnectedLayer: ("n_in", "n_out", "activation_fn", "p_dropout"),
    network3.SoftmaxLayer: ("n_in", "n_out", "p_dropout"),
}


# --- one kind after another -----------------------------------------------------------------


def build_logistic_regression(rng, x, image_shape, n_out):
    return LogisticRegression(x, prod(image_shape), n_out)


def build_mlp(rng, x, image_shape, n_out, n_hidden=500, activation="tanh"):
    return MLP(rng, x, prod(image_shape), n_hidden, n_out,
               find_by_name("activation", activation, ACTIVATIONS))


def arguments_of_mlp(model):
    return {"n_hidden": model.hiddenLayer.b.get_value(borrow=True).size,
            **omit_defaults(activation=name_of(model.hiddenLayer.activation, ACTIVATIONS))}


def build_lenet5(rng, x, image_shape, n_out, nkerns=(20, 50), n_hidden=500, filter_size=(5, 5),
                 poolsize=(2, 2), activation="tanh", pooling="max"):
    return LeNet5(rng, x, image_shape, nkerns, n_out, n_hidden, filter_size, poolsize,
                  find_by_name("activation", activation, ACTIVATIONS),
                  find_by_name("pooling", pooling, POOLINGS))


def arguments_of_lenet5(model):
    first, second, hidden = (layer.b.get_value(borrow=True).size
                             for layer in (model.layer0, model.layer1, model.layer2))
    return {"nkerns": [first, second], "n_hidden": hidden, "filter_size": model.filter_size,
            "poolsize": model.poolsize,
            **omit_defaults(activation=name_of(model.layer0.activation, ACTIVATIONS),
                            pooling=name_of(type(model.layer0), POOLINGS, "a layer"))}


def build_lenet5_1998(rng, x, image_shape, n_out, connections="table", pooling="mean", head="rbf",
                      loss="discriminative", filter_size=(5, 5)):
    if n_out != 10:
        raise ValueError(f"{n_out} names of classes; expected 10")
    return LeNet5_1998(rng, x, image_shape, connections, pooling, head, loss, filter_size)


def arguments_of_lenet5_1998(model):
    size = model.filter_size
    return {**model.choices, **({} if size == (5, 5) else {"filter_size": size})}


def build_network(rng, x, image_shape, n_out, layers=None, conv_layers=1, p_dropout=0.0):
    if layers is None:
        if conv_layers not in (1, 2):
            raise ValueError("expected 1 or 2 conv_layers")
        return network3.conv_network(image_shape, conv_layers, p_dropout, seed=0, n_out=n_out)
    network = network3.Network([build_layer(**layer) for layer in layers], 500, rng=rng)
    ends = prod(network.layers[0].in_shape), network.layers[-1].n_out
    if ends != (prod(image_shape), n_out):
        raise ValueError(f"from {ends[0]} pixels to {ends[1]} classes, but image_shape is "
                         f"{image_shape} and there are {n_out} names of classes")
    return network


def build_layer(kind, **arguments):
    """The layer of a Network that ``arguments_of_layer`` describes."""
    if "activation_fn" in arguments:
        arguments["activation_fn"] = find_by_name("activation_fn", arguments["activation_fn"],
                                                  ACTIVATIONS)
    return {layer.__name__: layer for layer in LAYERS}[kind](**arguments)


def arguments_of_network(model):
    return {"layers": [arguments_of_layer(*pair) for pair in enumerate(model.layers)]}


def arguments_of_layer(number, layer):
    """What it takes to build layer ``number`` of a Network again, as plain values."""
    arguments = {"kind": type(layer).__name__}
    arguments.update((name, getattr(layer, name)) for name in LAYERS[type(layer)])
    if "image_shape" in arguments:
        arguments["image_shape"] = (None,) + layer.image_shape[1:]  # for minibatches of any size
    if "activation_fn" in arguments:
        arguments["activation_fn"] = name_of(layer.activation_fn, ACTIVATIONS,
                                              f"layer {number}: an activation")
    return arguments


def omit_defaults(**names):
    """Leave out the names that a file means by default."""
    defaults = {"activation": "tanh", "pooling": "max"}
    return {what: name for what, name in names.items() if name != defaults[what]}


# --- the table ------------------------------------------------------------------------------

# network: the class
# layers(model): its layers, from the first to the last, by name
# arguments(model): what ``build`` takes, as plain values
# build(rng, x, image_shape, n_out, **arguments): the same network with other parameters
# first_stages(model, image_shape): what happens to an image before the first layer, see stages.py
# distances(model): the distance to the picture of each class, an expression; None for the networks
# that have no such pictures, see lenet/predict/rejection.py
Kind = namedtuple("Kind", "network layers arguments build first_stages distances",
                  defaults=[lambda model, image_shape: [], lambda model: None])

KINDS = {
    "LogisticRegression": Kind(
        LogisticRegression, lambda model: {"layer0": model}, lambda model: {},
        build_logistic_regression),
    "MLP": Kind(
        MLP, lambda model: {"layer0": model.hiddenLayer, "layer1": model.logRegressionLayer},
        arguments_of_mlp, build_mlp),
    "LeNet5": Kind(
        LeNet5, lambda model: {"layer0": model.layer0, "layer1": model.layer1,
                               "layer2": model.layer2, "layer3": model.layer3},
        arguments_of_lenet5, build_lenet5),
    "LeNet5_1998": Kind(
        LeNet5_1998, lambda model: model.layers, arguments_of_lenet5_1998, build_lenet5_1998,
        lambda model, image_shape: [describe_frame(model, image_shape)],
        lambda model: (model.layers["output"].output
                       if isinstance(model.layers["output"], RBFLayer) else None)),
    "Network": Kind(
        network3.Network, lambda model: {f"layer{n}": layer for n, layer
                                         in enumerate(model.layers)},
        arguments_of_network, build_network),
}


def kind_of(model):
    """The row of a network."""
    return KINDS[type(model).__name__]


def layers_of(model):
    """The layers of a network by name, from the first to the last."""
    return kind_of(model).layers(model)


def architecture_of(model):
    """The name of a network's class, and what it takes to build it again, as plain values."""
    return {"kind": type(model).__name__, **kind_of(model).arguments(model)}


def named_params(model):
    """The shared variables of a network by name: "layer0.W", "layer0.b", "layer1.W", ..."""
    return {f"{name}.{param.name}": param
            for name, layer in layers_of(model).items() for param in layer.params}


def feature_maps(model):
    """The outputs of all layers but the last: a list of (name, expression)."""
    return [(name, layer.output) for name, layer in list(layers_of(model).items())[:-1]]


def stages_of(model, image_shape, pixels=BYTES):
    """What a network computes, stage by stage: a list of ``lenet.networks.stages.Stage``."""
    return describe_stages(model, kind_of(model), image_shape, pixels)


def filters(model):
    """The filters of the convolutions: a list of (name, shared variable of shape
    (number of filters, number of maps below, rows, columns))."""
    return [(name, param) for name, param in named_params(model).items() if param.ndim == 4]


def build(architecture, image_shape, n_out):
    """Build a network anew.

    Parameters
    ----------
    architecture : dict
        As ``architecture_of`` returns it.
    image_shape : tuple of 3 ints
        (channels, height, width) of an image.
    n_out : int
        Number of classes.

    Raises
    ------
    ValueError
        There is no such network, or its layers do not fit the images and the classes.
    """
    arguments = dict(architecture)
    kind = arguments.pop("kind")
    if kind not in KINDS:
        raise ValueError(f"network {kind!r:.60}; expected one of {', '.join(KINDS)}")
    # The initial parameters make room for those of the file.
    return KINDS[kind].build(numpy.random.RandomState(0), T.matrix("x"), image_shape, n_out,
                             **arguments)
