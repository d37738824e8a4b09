"""A network as an ONNX file, which onnxruntime and many others compute.

Source: https://onnx.ai/onnx/operators
"""

from functools import partial

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from lenet.data.files import write_beside
from lenet.export.steps import check, describe, find_row, list_steps, takes_bytes

OPSET, IR_VERSION = 13, 8  # what programs from 2021 on read


class Graph:
    """Nodes in the order of computation, and the arrays that they need by name.

    ``graph.Add(x, 1.0)`` adds a node of that operator and returns the name of its output; inputs
    are names, numbers or arrays, None for an optional one.
    """

    def __init__(self, arrays):
        self.arrays, self.nodes = arrays, []

    def __getattr__(self, op):
        return partial(self.add, op)

    def add(self, op, *inputs, **attributes):
        output = f"{op}_{len(self.nodes)}"
        names = [value if isinstance(value, str) else self.keep(f"{output}.{number}", value)
                 for number, value in enumerate(inputs) if value is not None]
        self.nodes.append(helper.make_node(op, names, [output], output, **attributes))
        return output

    def keep(self, name, value):
        value = numpy.asarray(value)
        self.arrays[name] = value.astype("int64" if value.dtype.kind == "i" else "float32")
        return name


# --- the steps: from the name of an input to that of an output ----------------------------------


def add_frame(graph, x, step):
    left, right, top, bottom = step["borders"]
    x = graph.Add(graph.Mul(x, step["ink"] - step["background"]), step["background"])
    return graph.Pad(x, [0, 0, top, left, 0, 0, bottom, right], step["background"])


def add_units(graph, x, step):
    return graph.Gemm(x, step["weights"], step["bias"], transB=1)


def add_distances(graph, x, step):
    # (n, 1, units) - (classes, units), then the sum of the squares over the units
    difference = graph.Sub(graph.Unsqueeze(x, [1]), f"{step['layer']}.centres")
    distances = graph.ReduceSum(graph.Mul(difference, difference), [2], keepdims=0)
    return graph.Softmax(graph.Neg(distances), axis=1)


def add_normalization(graph, x, step):
    def local_mean(maps):
        return graph.Conv(graph.ReduceMean(maps, axes=[1]), f"{step['layer']}.gaussian",
                          pads=[step["size"] // 2] * 4)

    v = graph.Sub(x, local_mean(x))
    sigma = graph.Sqrt(graph.Max(local_mean(graph.Mul(v, v)), 1e-12))
    return graph.Div(v, graph.Max(sigma, graph.ReduceMean(sigma, axes=[1, 2, 3])))


def add_mean(graph, x, step):
    return graph.AveragePool(x, kernel_shape=step["window"], strides=step["stride"])


def add_sum(graph, x, step):
    return graph.Mul(add_mean(graph, x, step), float(numpy.prod(step["window"])))


def add_deformation(graph, x, step):
    (rows, columns), last = step["window"], numpy.iinfo("int64").max
    penalty = graph.arrays.pop(f"{step['layer']}.penalty")
    # Number i, j of each window: x[:, :, i:height - (rows - 1 - i):down, ...]
    return graph.Max(*[
        graph.Sub(graph.Slice(x, [i, j], [i - rows + 1 or last, j - columns + 1 or last], [2, 3],
                              step["stride"]), penalty[i, j])
        for i in range(rows) for j in range(columns)])


STEPS = {
    "bytes": lambda graph, x, step: graph.Div(graph.Cast(x, to=TensorProto.FLOAT), 256.0),
    "scale": lambda graph, x, step: graph.Div(graph.Sub(x, "image.mean"), "image.deviation"),
    "frame": add_frame,
    "convolution": lambda graph, x, step: graph.Conv(x, step["weights"], step["bias"]),
    "flatten": lambda graph, x, step: graph.Flatten(x),
    "units": add_units,
    "softmax": lambda graph, x, step: graph.Softmax(add_units(graph, x, step), axis=1),
    "distances": add_distances, "normalization": add_normalization,
    # pooling by its mode
    "max": lambda graph, x, step: graph.MaxPool(x, kernel_shape=step["window"],
                                                strides=step["stride"]),
    "mean": add_mean, "sum": add_sum,
    "l2": lambda graph, x, step: graph.Sqrt(graph.Add(
        add_sum(graph, graph.Mul(x, x), step), 1e-8)),
    "stochastic": lambda graph, x, step: graph.Div(
        add_mean(graph, graph.Mul(x, x), step), graph.Max(add_mean(graph, x, step), 1e-37)),
    "deformation": add_deformation,
}

ACTIVATIONS = {
    "linear": lambda graph, x: x, "tanh": lambda graph, x: graph.Tanh(x),
    "sigmoid": lambda graph, x: graph.Sigmoid(x), "relu": lambda graph, x: graph.Relu(x),
    "softplus": lambda graph, x: graph.Softplus(x),
    "squash": lambda graph, x: graph.Mul(graph.Tanh(graph.Mul(x, 2 / 3)), 1.7159),
}


# --- the file -------------------------------------------------------------------------------


def make_model(predictor):
    """A network as an ONNX model: from ``images`` to ``probabilities``, for any number of them."""
    steps, arrays = list_steps(predictor)
    graph, x = Graph(arrays), "images"
    for step in steps:
        x = find_row(STEPS, step, step.get("mode", step["what"]))(graph, x, step)
        for sign, name in step.get("affine", []):
            x = graph.add({"*": "Mul", "+": "Add"}[sign], x, name)
        x = find_row(ACTIVATIONS, step, step.get("activation", "linear"))(graph, x)
    graph.nodes[-1].output[0] = "probabilities"

    number = TensorProto.UINT8 if takes_bytes(predictor) else TensorProto.FLOAT
    images = helper.make_tensor_value_info("images", number, ("n",) + predictor.image_shape)
    probabilities = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT,
                                                  ("n", len(predictor.class_names)))
    model = helper.make_model(
        helper.make_graph(graph.nodes, type(predictor.model).__name__, [images], [probabilities],
                          [numpy_helper.from_array(array, name)
                           for name, array in graph.arrays.items()]),
        producer_name="lenet-theano", ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)])
    helper.set_model_props(model, describe(predictor))
    onnx.checker.check_model(model, full_check=True)
    return model


def write(path, predictor):
    """Write a network if onnxruntime computes from it what the Predictor does.

    Returns
    -------
    float
        The greatest difference of a probability; see ``lenet.export.steps.check``.
    """
    content = make_model(predictor).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    difference = check(lambda images: session.run(None, {"images": images})[0], predictor, path)
    with write_beside(path) as file:
        file.write(content)
    return difference
