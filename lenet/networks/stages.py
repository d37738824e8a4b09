"""What a network computes, stage by stage, as the page shows it and checks it with a pencil.

A stage is a convolution, a pooling, a layer of units, and so on. Each has an expression for its
output, and a description in plain values from which ``client/forward.js`` computes the same.
"""

from collections import namedtuple
from math import prod

import numpy

from lenet import lenet5_1998, network3, pooling
from lenet.convolutional_mlp import LeNetConvPoolLayer
from lenet.data.pixels import BYTES, spread
from lenet.logistic_sgd import LogisticRegression
from lenet.mlp import HiddenLayer
from lenet.networks.names import ACTIVATIONS, name_of

# expression: of the output for a minibatch; description: of the stage, as plain values
Stage = namedtuple("Stage", "expression description")


def describe_stages(model, kind, image_shape, pixels=BYTES):
    """The stages of a network, from the image to the classes.

    Parameters
    ----------
    model
        A network.
    kind : lenet.networks.kinds.Kind
        Its row.
    image_shape : tuple of 3 ints
        (channels, height, width) of an image.
    pixels : lenet.data.pixels.Pixels
        How bytes become the numbers that the network takes.

    Returns
    -------
    list of Stage
        The last one gives the probability of each class, or the distance to each picture.
    """
    stages = [Stage(model.input, {"layer": "image", "what": "image"})]
    if pixels != BYTES:
        # The image shows bytes / 256, from which the numbers come about.
        mean, deviation = (numpy.broadcast_to(spread(value, prod(image_shape)), prod(image_shape))
                           for value in (pixels.mean, pixels.deviation))
        stages.append(Stage(model.input.reshape((model.input.shape[0],) + tuple(image_shape)), {
            "layer": "image", "what": "scale", "mean": mean.tolist(),
            "deviation": deviation.tolist()}))
    stages += kind.first_stages(model, image_shape)
    for name, layer in kind.layers(model).items():
        names = {param.name: f"{name}.{param.name}" for param in layer.params}
        linear = {"weights": names.get("W", names.get("w")), "bias": names.get("b"),
                  "activation": "linear"}
        stages += [Stage(expression, {"layer": name, **description}) for expression, description
                   in STAGES[type(layer)](layer, linear, names)]
    return stages


def describe_frame(model, image_shape):
    """The image in the frame of LeNet-5 of 1998."""
    top, left = ((32 - size) // 2 for size in image_shape[1:])
    return Stage(lenet5_1998.frame_images(model.input, image_shape), {
        "layer": "image", "what": "frame", "top": top, "left": left,
        "background": lenet5_1998.BACKGROUND, "ink": lenet5_1998.INK})


def page_name(activation):
    """"relu" for network3's ReLU, too."""
    return name_of(activation, ACTIVATIONS).lower()


# --- the layers: pairs of an expression and a description ---------------------------------------


def describe_conv_pool(layer, linear, names, mode="max", **pooling):
    """A convolution, then pooling by windows that are ``poolsize`` apart."""
    return [(layer.conv_out, {**linear, "what": "convolution", "bias": None}),
            (layer.output, describe_pooling(layer, linear, mode, **pooling))]


def describe_pooling(layer, linear, mode, **others):
    return {"what": "pooling", "mode": mode, "stride": layer.poolsize, "bias": linear["bias"],
            "window": [n + layer.overlap for n in layer.poolsize],
            "activation": page_name(layer.activation), **others}


def describe_contrast(layer, linear, names):
    convolution, pooled = describe_conv_pool(layer, linear, names)
    return [convolution, (layer.normalized, {"what": "normalization", "size": 9}), pooled]


def describe_stochastic(layer, linear, names):
    return [(layer.maps, {**linear, "what": "convolution",
                          "activation": page_name(layer.activation)}),
            (layer.output, describe_pooling(layer, linear, "stochastic", bias=None,
                                            activation="linear"))]


def describe_network3_conv_pool(layer, linear, names):
    # The same expressions as in the layer, which keeps only the last one.
    same = LeNetConvPoolLayer(None, layer.inpt, layer.filter_shape, (None,) + layer.in_shape,
                              layer.poolsize, W=layer.w, b=layer.b,
                              activation=layer.activation_fn)
    return describe_conv_pool(same, linear, names)


def describe_convolution(layer, linear, names):
    return [(layer.output, {**linear, "what": "convolution", "activation": "squash"})]


def describe_subsampling(layer, linear, names):
    return [(layer.output, {"what": "pooling", "mode": "sum", "window": (2, 2), "stride": (2, 2),
                            "coefficient": names["coefficient"], "bias": linear["bias"],
                            "activation": "squash"})]


def describe_max_pooling(layer, linear, names):
    return [(layer.output, {"what": "pooling", "mode": "max", "window": (2, 2), "stride": (2, 2),
                            "bias": None, "activation": "linear"})]


def describe_distances(layer, linear, names):
    return [(layer.output, {"what": "distances", "centres": lenet5_1998.bitmaps().tolist()})]


def describe_units(layer, linear, names, kept=1):
    """A layer of units; ``kept`` is what dropout leaves of each input on average."""
    activation = layer.activation if isinstance(layer, HiddenLayer) else layer.activation_fn
    return [(layer.output, {**linear, "what": "units", "activation": page_name(activation),
                            "kept": kept})]


def describe_softmax(layer, linear, names):
    return [(layer.p_y_given_x, {**linear, "what": "softmax", "kept": 1})]


STAGES = {
    pooling.LeNetConvPoolLayer: describe_conv_pool,
    pooling.MeanPoolLayer: lambda *layer: describe_conv_pool(*layer, mode="mean"),
    pooling.OverlappingPoolLayer: describe_conv_pool,
    pooling.L2PoolLayer: lambda *layer: describe_conv_pool(*layer, mode="l2"),
    pooling.ContrastPoolLayer: describe_contrast,
    pooling.StochasticPoolLayer: describe_stochastic,
    pooling.DeformationPoolLayer: lambda layer, linear, names: describe_conv_pool(
        layer, linear, names, mode="deformation", penalties=names["c"]),
    HiddenLayer: describe_units,
    LogisticRegression: describe_softmax,
    network3.ConvPoolLayer: describe_network3_conv_pool,
    network3.FullyConnectedLayer: lambda layer, linear, names: describe_units(
        layer, linear, names, kept=1 - layer.p_dropout),
    network3.SoftmaxLayer: lambda layer, linear, names: [
        (layer.output, {**linear, "what": "softmax", "kept": 1 - layer.p_dropout})],
    lenet5_1998.ConvolutionLayer: describe_convolution,
    lenet5_1998.SubsamplingLayer: describe_subsampling,
    lenet5_1998.MaxPoolingLayer: describe_max_pooling,
    lenet5_1998.RBFLayer: describe_distances,
}
