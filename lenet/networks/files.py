"""Every network of the package by name: saved with what it takes to build it again, and loaded.

``KINDS`` is the table of them: to save another kind of network, describe it there.
"""

import json
import os
from collections import namedtuple

import numpy
import theano.tensor as T

from lenet import network3
from lenet.convolutional_mlp import LeNet5
from lenet.data.checks import PREPARATIONS
from lenet.errors import DataError, UsageError
from lenet.lenet5_1998 import LeNet5_1998
from lenet.logistic_sgd import LogisticRegression
from lenet.mlp import MLP
from lenet.network3 import n_elements
from lenet.networks import parameters

SavedModel = namedtuple("SavedModel", "model class_names image_shape preparation")

ACTIVATIONS = {"linear": network3.linear, "ReLU": network3.ReLU, "sigmoid": network3.sigmoid,
               "tanh": network3.tanh}

# What the layers of a Network are built with: the names of their arguments.
LAYERS = {
    network3.ConvPoolLayer: ("filter_shape", "image_shape", "poolsize", "activation_fn"),
    network3.FullyConnectedLayer: ("n_in", "n_out", "activation_fn", "p_dropout"),
    network3.SoftmaxLayer: ("n_in", "n_out", "p_dropout"),
}


def layer_arguments(number, layer):
    """What it takes to build layer ``number`` of a Network again, as plain values."""
    arguments = {"kind": type(layer).__name__}
    arguments.update((name, getattr(layer, name)) for name in LAYERS[type(layer)])
    if "image_shape" in arguments:
        arguments["image_shape"] = (None,) + layer.image_shape[1:]  # for minibatches of any size
    if "activation_fn" in arguments:
        names = [name for name, known in ACTIVATIONS.items() if known is layer.activation_fn]
        if not names:
            raise UsageError(f"layer {number}: an activation that cannot be saved; expected one of "
                             f"{', '.join(ACTIVATIONS)}")
        arguments["activation_fn"] = names[0]
    return arguments


def layer_of(kind, **arguments):
    """The layer of a Network that ``layer_arguments`` describes."""
    if "activation_fn" in arguments:
        arguments["activation_fn"] = ACTIVATIONS[arguments["activation_fn"]]
    return {layer.__name__: layer for layer in LAYERS}[kind](**arguments)


def build_network(rng, x, image_shape, n_out, layers):
    network = network3.Network([layer_of(**layer) for layer in layers], 500, rng=rng)
    ends = n_elements(network.layers[0].in_shape), network.layers[-1].n_out
    if ends != (n_elements(image_shape), n_out):
        raise ValueError(f"from {ends[0]} pixels to {ends[1]} classes, but image_shape is "
                         f"{image_shape} and there are {n_out} names of classes")
    return network


def build_1998(rng, x, image_shape, n_out, **options):
    if n_out != 10:
        raise ValueError(f"{n_out} names of classes; expected 10")
    return LeNet5_1998(rng, x, image_shape, **options)


def chosen(model, **defaults):
    """The arguments of a network that differ from these defaults, which are those of a file that
    does not name them."""
    return {name: getattr(model, name) for name, default in defaults.items()
            if getattr(model, name) != default}


# layers(model): its layers, from the first to the last, by name or as a list
# arguments(model): what its class was called with, as plain values
# build(rng, x, image_shape, n_out, **arguments): the same network with other parameters
Kind = namedtuple("Kind", "layers arguments build")

KINDS = {
    "LogisticRegression": Kind(
        lambda model: [model],
        lambda model: {},
        lambda rng, x, image_shape, n_out:
            LogisticRegression(x, n_elements(image_shape), n_out)),
    "MLP": Kind(
        lambda model: [model.hiddenLayer, model.logRegressionLayer],
        lambda model: {"n_hidden": model.n_hidden, **chosen(model, activation="tanh", dropout=0)},
        lambda rng, x, image_shape, n_out, **options:
            MLP(rng, x, n_elements(image_shape), n_out=n_out, **options)),
    "LeNet5": Kind(
        lambda model: [model.layer0, model.layer1, model.layer2, model.layer3],
        lambda model: {**{name: getattr(model, name)
                          for name in ("nkerns", "n_hidden", "filter_size", "poolsize")},
                       **chosen(model, activation="tanh", pooling="max", dropout=0)},
        lambda rng, x, image_shape, n_out, **options:
            LeNet5(rng, x, image_shape, n_out=n_out, **options)),
    "LeNet5_1998": Kind(
        lambda model: model.layers,
        lambda model: {**model.choices, **chosen(model, filter_size=(5, 5))},
        build_1998),
    "Network": Kind(
        lambda model: model.layers,
        lambda model: {"layers": [layer_arguments(*pair) for pair in enumerate(model.layers)]},
        build_network),
}


def layers_of(model):
    """The layers of a network by name, from the first to the last."""
    layers = KINDS[type(model).__name__].layers(model)
    if isinstance(layers, dict):
        return layers
    return {f"layer{number}": layer for number, layer in enumerate(layers)}


def architecture_of(model):
    """The name of a network's class, and what it takes to build it again, as plain values.

    Raises
    ------
    UsageError
        An activation of a layer is none of ``ACTIVATIONS``, so that a file could not name it.
    """
    kind = type(model).__name__
    return {"kind": kind, **KINDS[kind].arguments(model)}


def named_params(model):
    """The shared variables of a network by name: "layer0.W", "layer0.b", "layer1.W", ..."""
    return {f"{name}.{param.name}": param
            for name, layer in layers_of(model).items() for param in layer.params}


def feature_maps(model):
    """The outputs of all layers but the last: a list of (name, expression)."""
    return [(name, layer.output) for name, layer in list(layers_of(model).items())[:-1]]


def filters(model):
    """The filters of the convolutions: a list of (name, shared variable of shape
    (number of filters, number of maps below, rows, columns))."""
    return [(name, param) for name, param in named_params(model).items() if param.ndim == 4]


def metadata_of(model, class_names, image_shape, preparation):
    """What a file says besides the parameters; see ``save_model``.

    All of it is in one value: several would come in a different order in each file.
    """
    return {"network": json.dumps({
        "architecture": architecture_of(model), "class_names": class_names,
        "image_shape": image_shape, "preparation": preparation,
    })}


def save_model(path, model, class_names, image_shape, preparation, values=None):
    """Write a network to a file.

    Parameters
    ----------
    path : str
        The file to write or to replace.
    model
        The network.
    class_names : list of str
        The name of each class.
    image_shape : tuple of 3 ints
        (channels, height, width) of an image.
    preparation : "digit" or "resize"
        How a new picture becomes such an image; see ``lenet.data.Datasets``.
    values : dict from str to array, optional
        The parameters by name; the present ones of the network by default.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    values = values or parameters.values(named_params(model))
    parameters.write(path, values, metadata_of(model, class_names, image_shape, preparation))


def load_model(path, kind=None):
    """Read a network.

    Parameters
    ----------
    path : str
        A file that ``save_model`` wrote, or the folder of a run.
    kind : str, optional
        The class that the network must be of.

    Returns
    -------
    SavedModel
        ``model``, ``class_names``, ``image_shape`` and ``preparation``, as for ``save_model``.

    Raises
    ------
    DataError
        The file cannot be read, or does not hold a network.
    """
    path = model_path(path)
    arrays, metadata = parameters.read(path)
    try:
        saved = json.loads(metadata["network"])
        architecture, class_names, image_shape, preparation = (
            saved[key] for key in ("architecture", "class_names", "image_shape", "preparation"))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: does not say which network it holds ({error!r}); expected a file "
                        "that --output wrote") from None

    if not isinstance(architecture, dict):
        raise DataError(f"{path}: network {architecture!r:.60}; expected a dict")
    if not (isinstance(class_names, list) and class_names
            and all(isinstance(name, str) for name in class_names)):
        raise DataError(f"{path}: class_names {class_names!r:.60}; expected a list of names")
    if not (isinstance(image_shape, list) and len(image_shape) == 3
            and all(type(n) is int and 0 < n < 2 ** 16 for n in image_shape)):
        raise DataError(f"{path}: image_shape {image_shape!r:.60}; expected [channels, height, "
                        "width]")
    if preparation not in PREPARATIONS:
        raise DataError(f"{path}: preparation {preparation!r:.60}; expected one of "
                        f"{', '.join(PREPARATIONS)}")
    if kind is not None and architecture.get("kind") != kind:
        raise DataError(f"{path}: a network of the kind {architecture.get('kind')!s:.60}; expected "
                        f"{kind}")
    try:
        model = build(architecture, tuple(image_shape), len(class_names))
    # What plain values of wrong types or sizes can set off in the networks' arithmetic.
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
            MemoryError) as error:
        raise DataError(f"{path}: does not describe a network of this package ({error}); expected "
                        "a file that --output wrote") from None
    parameters.fill(named_params(model), arrays, path)
    return SavedModel(model, class_names, tuple(image_shape), preparation)


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


def check_images(saved, datasets):
    """Raise a DataError unless the images and classes of a dataset are those of a SavedModel."""
    for what, found, expected in (
            ("images of shape", tuple(datasets.image_shape), tuple(saved.image_shape)),
            ("the classes", datasets.class_names, saved.class_names)):
        if found != expected:
            raise DataError(f"the dataset has {what} {found!s:.80}, but the network was trained "
                            f"for {expected!s:.80}; name the dataset of its training with "
                            "--dataset")


def model_path(path):
    """The file of a network: the path itself, or the best parameters in the folder of a run."""
    return os.path.join(path, "model.safetensors") if os.path.isdir(path) else path
