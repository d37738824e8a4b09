"""A network as PyTorch reads it: parameters in safetensors, and an ``nn.Module`` as source."""

import os

from lenet.data.files import write_beside
from lenet.export.steps import describe, find_row, list_steps
from lenet.networks import parameters

MODULE = '''\
"""{name}, which lenet-theano trained, in PyTorch.

    import safetensors.torch

    network = {name}()
    network.load_state_dict(safetensors.torch.load_file("{file}"))

Images: {images};
{preparation}.
"""

import torch
from torch import nn
from torch.nn import functional as F

CLASSES = {classes}


class {name}(nn.Module):
    def __init__(self):
        super().__init__()
        {parts}

    def forward(self, x):
        """The probability of each class, of shape (n, {n_classes}), for images x."""
        {lines}
        return x
'''

# The source of each step, in which {layer}, {window} and so on are its own.
SUM = "F.avg_pool2d({}, {{window}}, {{stride}}, divisor_override=1)"
MEAN = "F.conv2d({}.mean(dim=1, keepdim=True), self.{{layer}}_gaussian, padding='same')"
STEPS = {
    "bytes": ["if x.dtype != torch.uint8:",
              '    raise TypeError(f"images of {{x.dtype}}; expected bytes, torch.uint8")',
              "x = x.float() / 256"],
    "scale": ["x = (x - self.image_mean) / self.image_deviation"],
    "frame": ["x = {ink} * x + {background} * (1 - x)",
              "x = F.pad(x, {borders}, value={background})"],
    "convolution": ["x = self.{layer}(x)"],
    "flatten": ["x = x.flatten(1)"],
    "units": ["x = self.{layer}(x)"],
    "softmax": ["x = torch.softmax(self.{layer}(x), dim=1)"],
    "distances": ["distances = ((x[:, None] - self.{layer}_centres) ** 2).sum(dim=2)",
                  "x = torch.softmax(-distances, dim=1)"],
    "normalization": [f"x = x - {MEAN.format('x')}", f"sigma = {MEAN.format('(x ** 2)')}",
                      "sigma = sigma.clamp(min=1e-12).sqrt()",
                      "x = x / torch.maximum(sigma, sigma.mean(dim=(1, 2, 3), keepdim=True))"],
    # pooling by its mode
    "max": ["x = F.max_pool2d(x, {window}, {stride})"],
    "mean": ["x = F.avg_pool2d(x, {window}, {stride})"],
    "sum": [f"x = {SUM.format('x')}"],
    "l2": [f"x = ({SUM.format('x ** 2')} + 1e-8).sqrt()"],
    "stochastic": [f"total = {SUM.format('x')}",
                   f"x = {SUM.format('x ** 2')} / total.clamp(min=1e-37)"],
    "deformation": ["x = x.unfold(2, {window[0]}, {stride[0]}).unfold(3, {window[1]}, {stride[1]})",
                    "x = (x - self.{layer}_penalty).amax(dim=(4, 5))"],
}

ACTIVATIONS = {
    "linear": [], "tanh": ["x = torch.tanh(x)"], "sigmoid": ["x = torch.sigmoid(x)"],
    "relu": ["x = torch.relu(x)"], "softplus": ["x = F.softplus(x)"],
    "squash": ["x = 1.7159 * torch.tanh(2 / 3 * x)"],
}

# Arrays that training leaves as they are.
FIXED = ("mean", "deviation", "gaussian", "penalty", "centres")


def make_module(predictor, file):
    """The source of a module, and the arrays of its state by name.

    ``file`` is the name under which the source finds them.
    """
    steps, arrays = list_steps(predictor)
    parts, state, lines = [], {}, []
    for step in steps:
        layer = step["layer"]
        if step.get("weights"):
            weights = state[f"{layer}.weight"] = arrays.pop(step["weights"])
            if step["bias"]:
                state[f"{layer}.bias"] = arrays.pop(step["bias"])
            parts.append(f"self.{layer} = {make_layer(*weights.shape, bias=bool(step['bias']))}")
        lines += [line.format(**step) for line in find_row(STEPS, step,
                                                           step.get("mode", step["what"]))]
        lines += [f"x = x {sign} self.{name.replace('.', '_')}"
                  for sign, name in step.get("affine", [])]
        lines += find_row(ACTIVATIONS, step, step.get("activation", "linear"))
    for name, array in arrays.items():
        name, empty = name.replace(".", "_"), f"torch.empty({array.shape})"
        state[name] = array
        parts.append(f'self.register_buffer("{name}", {empty})' if name.endswith(FIXED) else
                     f"self.{name} = nn.Parameter({empty})")
    indent = "\n" + 8 * " "
    return MODULE.format(**{
        **describe(predictor), "name": type(predictor.model).__name__, "file": file,
        "classes": predictor.class_names, "n_classes": len(predictor.class_names),
        "parts": indent.join(parts), "lines": indent.join(lines)}), state


def make_layer(n_out, n_in, *size, bias):
    """The source of a layer with weights of this shape: of units, or of filters of a size."""
    sizes = f"{n_in}, {n_out}" + (f", {size}" if size else "")
    return f"nn.{'Conv2d' if size else 'Linear'}({sizes}{'' if bias else ', bias=False'})"


def write(path, predictor):
    """Write the parameters of a network and, beside them, its module, whose name only ends
    otherwise."""
    source, state = make_module(predictor, os.path.basename(path))
    parameters.write(path, state, describe(predictor))
    with write_beside(source_path(path)) as file:
        file.write(source.encode("utf-8"))


def source_path(path):
    """lenet5.py for lenet5.safetensors"""
    return os.path.splitext(path)[0] + ".py"
