"""What a network computes, stage by stage, as the page shows it and checks it with a pencil.

A stage is a convolution, a pooling, a layer of units, and so on. Each has an expression for its
output, and a description in plain values from which ``client/forward.js`` computes the same.
"""

from collections import namedtuple

from lenet import network3
from lenet.convolutional_mlp import LeNetConvPoolLayer, per_layer
from lenet.lenet5_1998 import (
    BACKGROUND,
    INK,
    ConvolutionLayer,
    MaxPoolingLayer,
    RBFLayer,
    SubsamplingLayer,
    bitmaps,
    framed,
)
from lenet.logistic_sgd import LogisticRegression
from lenet.pooling import OVERLAPPING, local_contrast_normalization
from lenet import networks

# expression: of the output for a minibatch; description: of the stage, as plain values
Stage = namedtuple("Stage", "expression description")

# The names of network3's non-linearities as they are those of the others.
ACTIVATIONS = {network3.linear: "linear", network3.ReLU: "relu", network3.sigmoid: "sigmoid",
               network3.tanh: "tanh"}


def stages_of(model, image_shape):
    """The stages of a network, from the image to the classes.

    Parameters
    ----------
    model
        A network of one of ``lenet.networks.KINDS``.
    image_shape : tuple of 3 ints
        (channels, height, width) of an image.

    Returns
    -------
    list of Stage
        The last one gives the probability of each class, or the distance to each picture.
    """
    stages = [Stage(model.input, {"layer": "image", "what": "image"})]
    for name, layer in networks.layers_of(model).items():
        if name == "C1":
            top, left = ((32 - size) // 2 for size in image_shape[1:])
            stages.append(Stage(framed(model.input, image_shape), {
                "layer": "image", "what": "frame", "top": top, "left": left,
                "background": BACKGROUND, "ink": INK}))
        stages += [Stage(expression, {"layer": name, **description})
                   for expression, description in in_layer(model, name, layer)]
    return stages


def in_layer(model, name, layer):
    """Pairs of an expression and a description: the stages of one layer."""
    named = {param.name: f"{name}.{param.name}" for param in layer.params}
    weights, bias = named.get("W", named.get("w")), named.get("b")
    linear = {"weights": weights, "bias": bias, "activation": "linear"}

    if isinstance(layer, LeNetConvPoolLayer):
        size = per_layer("poolsize", model.poolsize)[int(name[-1])]
        return convolution_and_pooling(layer, linear, size, model.activation, model.pooling,
                                       named.get("c"))
    if isinstance(layer, network3.ConvPoolLayer):
        # The same expressions as in the layer, which keeps only the last one.
        same = LeNetConvPoolLayer(None, layer.inpt, layer.filter_shape, (None,) + layer.in_shape,
                                  layer.poolsize, W=layer.w, b=layer.b,
                                  activation=layer.activation_fn)
        return convolution_and_pooling(same, linear, layer.poolsize,
                                       ACTIVATIONS[layer.activation_fn])
    if isinstance(layer, ConvolutionLayer):
        return [(layer.output, {**linear, "what": "convolution", "activation": "squash"})]
    if isinstance(layer, SubsamplingLayer):
        return [(layer.output, {"what": "pooling", "mode": "sum", "window": (2, 2),
                                "stride": (2, 2), "coefficient": named["coefficient"],
                                "bias": bias, "activation": "squash"})]
    if isinstance(layer, MaxPoolingLayer):
        return [(layer.output, {"what": "pooling", "mode": "max", "window": (2, 2),
                                "stride": (2, 2), "bias": None, "activation": "linear"})]
    if isinstance(layer, RBFLayer):
        return [(layer.output, {"what": "distances", "centres": bitmaps().tolist()})]

    # What dropout leaves of each input on average.
    kept = 1 - getattr(layer, "p_dropout", 0)
    if isinstance(layer, (LogisticRegression, network3.SoftmaxLayer)):
        if isinstance(layer, LogisticRegression):
            kept = 1 - getattr(model, "dropout", 0)
            output = layer.p_y_given_x
        else:
            output = layer.output
        return [(output, {**linear, "what": "softmax", "kept": kept})]
    if isinstance(layer, network3.FullyConnectedLayer):
        activation = ACTIVATIONS[layer.activation_fn]
    else:
        activation = getattr(model, "activation", "squash")
    return [(layer.output, {**linear, "what": "units", "activation": activation, "kept": kept})]


def convolution_and_pooling(layer, linear, size, activation, pooling="max", penalties=None):
    """The stages of a LeNetConvPoolLayer whose windows are ``size`` apart."""
    convolution = {**linear, "what": "convolution", "bias": None}
    pooled = {"what": "pooling", "mode": pooling, "stride": size, "bias": linear["bias"],
              "window": [n + 1 for n in size] if pooling in OVERLAPPING else size,
              "activation": activation}
    maps = layer.maps
    if pooling == "stochastic":  # the non-linearity comes first
        convolution.update(bias=linear["bias"], activation=activation)
        pooled.update(bias=None, activation="linear")
    stages = [(maps, convolution)]
    if pooling == "contrast":
        maps = local_contrast_normalization(maps)
        stages.append((maps, {"what": "normalization", "size": 9}))
        pooled["mode"] = "max"
    elif pooling == "overlapping":
        pooled["mode"] = "max"
    elif pooling == "deformation":
        pooled["penalties"] = penalties
    return stages + [(layer.output, pooled)]
