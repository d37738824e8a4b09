"""Every network of the package by name: saved with what is needed to build it again, and loaded.

A network has ``input``, a matrix expression with one rasterized image a row; ``p_y_given_x``, the
probability of each class; ``named_layers``, its layers by name from the first to the last; and
``architecture``, the name of its class and its arguments, as plain values.
"""

import json
import os
from collections import namedtuple

import numpy
import theano.tensor as T

from lenet.convolutional_mlp import LeNet5
from lenet.data.loading import PREPARATIONS
from lenet.errors import DataError
from lenet.lenet5_1998 import LeNet5_1998
from lenet.logistic_sgd import LogisticRegression
from lenet.mlp import MLP
from lenet.network3 import network_of
from lenet.saved import parameters

SavedModel = namedtuple("SavedModel", "model class_names image_shape preparation")


def named_params(model):
    """The shared variables of a network by name: "layer0.W", "layer0.b", "layer1.W", ..."""
    return {"%s.%s" % (name, param.name): param
            for name, layer in model.named_layers.items() for param in layer.params}


def feature_maps(model):
    """What each layer but the last makes of the input: a list of (name, expression)."""
    return [(name, layer.output) for name, layer in list(model.named_layers.items())[:-1]]


def filters(model):
    """The filters of the convolutions: a list of (name, shared variable of shape
    (number of filters, number of maps below, rows, columns))."""
    return [(name, param) for name, param in named_params(model).items() if param.ndim == 4]


def metadata_of(model, class_names, image_shape, preparation):
    """What a file says beside the parameters; see ``save_model``.

    All of it is in one value: several would come in another order in each file.
    """
    return {"network": json.dumps({
        "architecture": model.architecture, "class_names": class_names,
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
        The parameters by name; those that the network has now unless given.

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
        raise DataError("%s: does not say which network it holds (%r); expected a file that "
                        "--output wrote" % (path, error)) from None

    if not isinstance(architecture, dict):
        raise DataError("%s: network %.60r; expected a dict" % (path, architecture))
    if not (isinstance(class_names, list) and class_names
            and all(isinstance(name, str) for name in class_names)):
        raise DataError("%s: class_names %.60r; expected a list of names" % (path, class_names))
    if not (isinstance(image_shape, list) and len(image_shape) == 3
            and all(type(n) is int and 0 < n < 2 ** 16 for n in image_shape)):
        raise DataError("%s: image_shape %.60r; expected [channels, height, width]"
                        % (path, image_shape))
    if preparation not in PREPARATIONS:
        raise DataError("%s: preparation %.60r; expected one of %s"
                        % (path, preparation, ", ".join(PREPARATIONS)))

    if kind is not None and architecture.get("kind") != kind:
        raise DataError("%s: a network of the kind %.60s; expected %s"
                        % (path, architecture.get("kind"), kind))
    try:
        model = build(architecture, tuple(image_shape), len(class_names),
                      rng=Zeros(sum(array.size for array in arrays.values())))
    # What plain values of wrong types or sizes can set off in the networks' arithmetic.
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
            MemoryError) as error:
        raise DataError("%s: describes no network of this package (%s); expected a file that "
                        "--output wrote" % (path, error)) from None
    parameters.fill(named_params(model), arrays, path)
    return SavedModel(model, class_names, tuple(image_shape), preparation)


def build(architecture, image_shape, n_out, rng):
    """Build a network anew.

    Parameters
    ----------
    architecture : dict
        ``kind``, the name of the class, and its arguments, as the networks' own attribute.
    image_shape : tuple of 3 ints
        (channels, height, width) of an image.
    n_out : int
        Number of classes.
    rng : numpy.random.RandomState, or Zeros
        Draws the initial parameters.

    Raises
    ------
    ValueError
        There is no such network, or its layers do not fit the images and the classes.
    """
    x = T.matrix("x")
    n_in = image_shape[0] * image_shape[1] * image_shape[2]
    rest = dict(architecture)
    kind = rest.pop("kind")
    if kind == "LogisticRegression":
        return LogisticRegression(x, n_in, n_out, **rest)
    if kind == "MLP":
        return MLP(rng, x, n_in, n_out=n_out, **rest)
    if kind == "LeNet5":
        return LeNet5(rng, x, image_shape, n_out=n_out, **rest)
    if kind == "LeNet5_1998":
        if n_out != 10:
            raise ValueError("%d names of classes; expected 10" % n_out)
        return LeNet5_1998(rng, x, image_shape, **rest)
    if kind == "Network":
        network = network_of(rng=rng, **rest)
        ends = int(numpy.prod(network.layers[0].in_shape)), network.layers[-1].n_out
        if ends != (n_in, n_out):
            raise ValueError("from %d pixels to %d classes, but image_shape is %s and there are %d "
                             "names of classes" % (ends + (image_shape, n_out)))
        return network
    raise ValueError("network %.60r; expected LeNet5, MLP, ..." % kind)


class Zeros:
    """In the place of a random generator, where the parameters will come from a file.

    Parameters
    ----------
    n : int
        A file that asks for a larger array than so many numbers does not hold it, and might ask
        for more memory than there is.
    """

    def __init__(self, n):
        self.n = n

    def uniform(self, low=0, high=1, size=()):
        if numpy.prod(size, dtype="float64") > self.n:
            raise ValueError("parameters of shape %s, but the file has %d numbers" % (size, self.n))
        return numpy.zeros(size)

    def normal(self, loc=0, scale=1, size=()):
        return self.uniform(size=size)

    def randint(self, low, high):
        return low


def check_images(saved, datasets):
    """Raise a DataError unless the images and classes of a dataset are those of a SavedModel."""
    for what, found, expected in (
            ("images of shape", tuple(datasets.image_shape), tuple(saved.image_shape)),
            ("the classes", datasets.class_names, saved.class_names)):
        if found != expected:
            raise DataError("the dataset has %s %.80s, but the network was trained for %.80s; name "
                            "the dataset of its training with --dataset"
                            % (what, str(found), str(expected)))


def model_path(path):
    """The file of a network: the path itself, or the best parameters in the folder of a run."""
    return os.path.join(path, "model.safetensors") if os.path.isdir(path) else path
