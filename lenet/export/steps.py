"""A network as other frameworks compute it, step by step, whatever its kind.

The steps are the stages that the page shows (``lenet.networks.stages``): a new kind of network that
has these is exported, too.
"""

import json

import numpy

from lenet import networks
from lenet.errors import DataError, UsageError
from lenet.networks import parameters
from lenet.pooling import gaussian, quadratic_penalties

# For 100 random images; those of float32 of LeNet-5 of 1998 differ by up to 1e-5.
TOLERANCE = 1e-4
PREPARED = {"digit": "light on dark, scaled and centered as in MNIST", "resize": "resized"}


def list_steps(predictor):
    """What a network does to images, and with which arrays.

    Returns
    -------
    (list of dicts, dict from str to array)
        Descriptions as those of stages, and the arrays that they name, float32. Filters are turned
        by 180 degrees, because others correlate where Theano convolves; weights have the shape
        (outputs, inputs). "affine" of a pooling are pairs of "*" or "+" and an array of shape
        (maps, 1, 1).
    """
    arrays, flat = dict(parameters.values(networks.named_params(predictor.model))), False
    steps = [{"layer": "image", "what": "bytes"}] if takes_bytes(predictor) else []
    stages = networks.stages_of(predictor.model, predictor.image_shape, predictor.pixels)
    for _, stage in stages[1:]:
        step, layer, what = dict(stage), stage["layer"], stage["what"]
        if what in ("units", "softmax", "distances") and not flat:
            steps.append({"layer": layer, "what": "flatten"})
            flat = True
        if what == "scale":
            for name in ("mean", "deviation"):
                array = numpy.reshape(step[name], predictor.image_shape)
                one = array[:, :1, :1]  # for each channel, if all pixels have the same
                arrays[f"image.{name}"] = one if (array == one).all() else array
        elif what == "frame":
            bottom, right = (32 - size - step[before] for size, before in
                             zip(predictor.image_shape[1:], ("top", "left")))
            step["borders"] = step["left"], right, step["top"], bottom
        elif what == "convolution":
            arrays[step["weights"]] = arrays[step["weights"]][:, :, ::-1, ::-1]
        elif what == "normalization":
            arrays[f"{layer}.gaussian"] = gaussian(step["size"])[None, None]
        elif what == "pooling":
            change_pooling(step, steps[-1], arrays)
        elif what == "distances":
            arrays[f"{layer}.centres"] = numpy.array(step["centres"])
        else:
            arrays[step["weights"]] = step["kept"] * arrays[step["weights"]].T
        steps.append(step)
    return steps, {name: numpy.ascontiguousarray(array, "float32")
                   for name, array in arrays.items()}


def change_pooling(step, below, arrays):
    """Bring a pooling and its arrays into the form of ``list_steps``."""
    step.update({name: tuple(map(int, step[name])) for name in ("window", "stride")})
    bias = step["bias"]
    if bias and step["mode"] in ("max", "mean") and below["what"] == "convolution":
        below["bias"], bias = bias, None  # which gives the same
    if step["mode"] == "deformation":
        middle = [(n - 1) / 2 for n in step["window"]]
        arrays[step["layer"] + ".penalty"] = numpy.tensordot(
            arrays.pop(step["penalties"]), quadratic_penalties(middle), axes=1)
    step["affine"] = [(sign, name) for sign, name in (("*", step.get("coefficient")), ("+", bias))
                      if name]
    arrays.update((name, arrays[name][:, None, None]) for _, name in step["affine"])


def takes_bytes(predictor):
    """Whether a network's images are bytes; if nobody knows how these became the numbers of its
    training, they are such numbers."""
    return predictor.pixels.range is None


def find_row(table, step, name):
    """The row of a step in a writer's table; raise a UsageError that names it if there is none."""
    if name not in table:
        raise UsageError(f"{step['layer']}: a {step['what']} with {name} cannot be exported; "
                         f"expected one of {', '.join(table)}")
    return table[name]


def describe(predictor):
    """What a file says of its network besides the numbers: a dict from str to str."""
    numbers = ("uint8, bytes from 0 to 255" if takes_bytes(predictor) else
               "float32, numbers of the training set, {:g} to {:g}".format(*predictor.pixels.range))
    return {"classes": json.dumps(predictor.class_names),
            "images": f"{numbers}, of shape (n, {', '.join(map(str, predictor.image_shape))})",
            "preparation": PREPARED[predictor.preparation]}


def check(compute, predictor, path):
    """Compare what another framework computes with the Predictor, for 100 random images.

    Parameters
    ----------
    compute : function
        From images of shape (n, channels, height, width) to probabilities.

    Returns
    -------
    float
        The greatest difference of a probability; a DataError if it is more than ``TOLERANCE``.
    """
    images = numpy.random.RandomState(0).randint(0, 256, (100,) + predictor.image_shape)
    images = images.astype("uint8")
    if not takes_bytes(predictor):
        low, high = predictor.pixels.range
        images = (low + images / 255 * (high - low)).astype("float32")
    difference = float(abs(compute(images) - predictor.probabilities(images)).max())
    if not difference <= TOLERANCE:
        raise DataError(f"{path}: not written: its probabilities differ from those of the network "
                        f"by {difference:.1e}; expected at most {TOLERANCE:g}")
    return difference
