"""A network in a file: its parameters, and what it takes to build it again."""

import json
import os
from collections import namedtuple
from math import prod

from lenet.data import open_arrays
from lenet.data.checks import PREPARATIONS
from lenet.data.loading import load_sets
from lenet.data.pixels import BYTES, read_pixels
from lenet.errors import DataError
from lenet.networks import parameters
from lenet.networks.kinds import architecture_of, build, layers_of, named_params

SavedModel = namedtuple("SavedModel", "model class_names image_shape preparation pixels",
                        defaults=[BYTES])


def metadata_of(model, class_names, image_shape, preparation, pixels=BYTES):
    """What a file says besides the parameters; see ``save_model``.

    All of it is in one value: several would come in a different order in each file.
    """
    described = {"architecture": architecture_of(model), "class_names": class_names,
                 "image_shape": image_shape, "preparation": preparation}
    if pixels != BYTES:
        described["pixels"] = pixels.as_plain()
    return {"network": json.dumps(described)}


def save_model(path, model, class_names, image_shape, preparation, pixels=BYTES, values=None):
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
    pixels : lenet.data.pixels.Pixels
        How its bytes become numbers.
    values : dict from str to array, optional
        The parameters by name; the present ones of the network by default.

    Raises
    ------
    DataError
        The file cannot be written.
    """
    values = values or parameters.values(named_params(model))
    parameters.write(path, values,
                     metadata_of(model, class_names, image_shape, preparation, pixels))


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
        ``model``, ``class_names``, ``image_shape``, ``preparation`` and ``pixels``, as for
        ``save_model``.

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
    try:
        pixels = read_pixels(saved.get("pixels"), prod(image_shape))
    except ValueError as error:
        raise DataError(f"{path}: pixels {saved['pixels']!r:.60}; {error}") from None
    if kind is not None and architecture.get("kind") != kind:
        raise DataError(f"{path}: a network of the kind {architecture.get('kind')!s:.60}; expected "
                        f"{kind}")
    try:
        p_dropout = pop_dropout(architecture)
        model = build(architecture, tuple(image_shape), len(class_names))
    # What plain values of wrong types or sizes can set off in the networks' arithmetic.
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
            MemoryError) as error:
        raise DataError(f"{path}: does not describe a network of this package ({error}); expected "
                        "a file that --output wrote") from None
    parameters.fill(named_params(model), arrays, path)
    if p_dropout:
        *_, last = layers_of(model).values()
        last.W.set_value((1 - p_dropout) * last.W.get_value())
    return SavedModel(model, class_names, tuple(image_shape), preparation, pixels)


def pop_dropout(architecture):
    """Take the fraction of dropout, mostly 0, out of an architecture.

    Earlier versions multiplied the hidden units by 1 - dropout where the network was used; here
    training divides them by it, and the weights of the last layer are as they are used.
    """
    p_dropout = architecture.pop("dropout", 0)
    if not 0 <= p_dropout < 1:
        raise ValueError(f"dropout {p_dropout}; expected at least 0 and less than 1")
    return p_dropout


def check_images(saved, datasets):
    """Raise a DataError unless the images and classes of a dataset are those of a SavedModel."""
    for what, found, expected in (
            ("images of shape", tuple(datasets.image_shape), tuple(saved.image_shape)),
            ("the classes", datasets.class_names, saved.class_names)):
        if found != expected:
            raise DataError(f"the dataset has {what} {found!s:.80}, but the network was trained "
                            f"for {expected!s:.80}; name the dataset of its training with "
                            "--dataset")


def fit_datasets(saved, datasets):
    """The Datasets of arrays in the numbers that a network was trained on.

    Parameters
    ----------
    saved : SavedModel
        Or what has its ``image_shape``, ``class_names`` and ``pixels``.
    datasets : Datasets
        As ``lenet.data.open_arrays`` returns them.

    Raises
    ------
    DataError
        The images or classes are not those of the network, or its numbers cannot be made of them.
    """
    check_images(saved, datasets)
    sets = [(saved.pixels.from_numbers(x, datasets.pixels), y) for x, y in datasets]
    return datasets.with_sets(sets, pixels=saved.pixels)


def load_datasets(saved, source):
    """As ``lenet.data.load_data``, in the numbers that a network was trained on."""
    stored = fit_datasets(saved, open_arrays(source))
    return getattr(source, "place", load_sets)(stored)


def model_path(path):
    """The file of a network: the path itself, or the best parameters in the folder of a run."""
    return os.path.join(path, "model.safetensors") if os.path.isdir(path) else path
