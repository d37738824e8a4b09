"""tanh and sigmoid as vector code, with the bias before them.

    y = Activation("tanh")(x, bias)                 tanh(x + bias.dimshuffle("x", 0, "x", "x"))
    y = Activation("tanh", bias=False)(x)           tanh(x)
    y = Activation("tanh", bias=False, scale=2)(x)  tanh(2 * x)
    gx, gbias = ActivationGrad("tanh")(gy, y)       gx = gy * (1 - y ** 2), gbias = its sum

    x (images, units, ...)      bias (units,): one number per index of the second dimension,
                                the maps of a convolution or the neurons of a hidden layer

    gy --+                  y --+                        gbias[unit]
         +--> gx = gy * slope(y) --> sum over all dimensions but the second

The slope follows from the value alone (tanh: 1 - y ** 2, sigmoid: y * (1 - y)), so that x need not
be kept: in a compiled graph both ops overwrite their first input. The kernels, their arithmetic and
loops are explained at the top of activation.h; ``perform`` does the same in NumPy.
"""

import numpy
from theano.gof import Apply
from theano.tensor import as_tensor_variable, vector

from lenet.ops.compiled import CompiledOp


def tanh_slope(y):
    return 1 - y * y


def sigmoid(x):
    e = numpy.exp(-abs(x))
    return numpy.where(x < 0, e, 1) / (1 + e)


def sigmoid_slope(y):
    return y * (1 - y)


# name: NumPy's function, its slope by its value, the kernel's class
FUNCTIONS = {"tanh": (numpy.tanh, tanh_slope, "lenet::Tanh"),
             "sigmoid": (sigmoid, sigmoid_slope, "lenet::Sigmoid")}


class ActivationBase(CompiledOp):
    source_files = ("simd.h", "activation.h")
    python_file = "activation.py"
    __props__ = ("function", "bias", "inplace")

    def __init__(self, function, bias=True, inplace=False, openmp=None):
        super().__init__(openmp=openmp)
        if function not in FUNCTIONS:
            raise ValueError(f"function should be one of {', '.join(sorted(FUNCTIONS))}, "
                             f"not {function!r}")
        self.function = function
        self.bias = bool(bias)
        self.inplace = bool(inplace)
        if self.inplace:
            self.destroy_map = {0: [0]}

    def check_input(self, variable, name):
        variable = as_tensor_variable(variable)
        if variable.dtype not in ("float32", "float64"):
            raise TypeError(f"{name} should be float32 or float64, not {variable.dtype}")
        if self.bias and variable.ndim < 2:
            raise TypeError(f"{name} should have 2 dimensions or more, not {variable.ndim}")
        return variable

    def c_call(self, kernel, node, arguments, sub):
        """The C code that calls a kernel."""
        types = f"npy_{node.inputs[0].dtype}, {FUNCTIONS[self.function][2]}"
        inplace = "true" if self.inplace else "false"
        return f"if (!lenet::{kernel}<{types}>({arguments}, {inplace})) {sub['fail']}"


class Activation(ActivationBase):
    """``function(scale * (x + bias.dimshuffle('x', 0, 'x', ...)))``, or ``function(scale * x)``.

    Parameters
    ----------
    function : 'tanh' or 'sigmoid'
    bias : bool
        Whether there is a second input, a vector with an element per index of x's second dimension:
        the maps of (images, maps, rows, columns), the units of (images, units).
    inplace : bool
        Whether the output overwrites x.
    scale : float
    """

    __props__ = ("function", "bias", "inplace", "scale")

    def __init__(self, function, bias=True, inplace=False, scale=1.0, openmp=None):
        super().__init__(function, bias, inplace, openmp)
        self.scale = float(scale)

    def make_node(self, x, *bias):
        x = self.check_input(x, "x")
        if len(bias) != self.bias:
            raise TypeError(f"Activation takes {1 + self.bias} inputs")
        bias = [as_tensor_variable(b) for b in bias]
        for b in bias:
            if b.ndim != 1 or b.dtype != x.dtype:
                raise TypeError(f"bias should be a vector of {x.dtype}, not {b.type}")
        return Apply(self, [x] + bias, [x.type()])

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def grad(self, inputs, gradients):
        y = self(*inputs)
        scale = numpy.asarray(self.scale, y.dtype)
        return [scale * g for g in ActivationGrad(self.function, self.bias)(
            gradients[0], y, return_list=True)]

    def perform(self, node, inputs, outputs):
        x = inputs[0]
        if self.bias:
            if x.shape[1] != len(inputs[1]):
                raise ValueError(f"Activation: a bias of {len(inputs[1])} for {x.shape[1]} units")
            x = x + inputs[1].reshape((-1,) + (1,) * (x.ndim - 2))
        y = numpy.asarray(FUNCTIONS[self.function][0](x * numpy.asarray(self.scale, x.dtype)),
                          x.dtype)
        if self.inplace:
            inputs[0][...] = y
            y = inputs[0]
        outputs[0][0] = y

    def c_code(self, node, name, inputs, outputs, sub):
        bias = inputs[1] if self.bias else "NULL"
        arguments = f"{inputs[0]}, {bias}, {self.scale!r}, &{outputs[0]}"
        return self.c_call("activation", node, arguments, sub)


class ActivationGrad(ActivationBase):
    """Gradient of `Activation`, from its output y and the gradient with respect to y.

    Outputs are the gradient with respect to x and, with a bias, the one with respect to the bias:
    the former summed over all dimensions but the second.
    """

    def make_node(self, gy, y):
        gy, y = self.check_input(gy, "gradient"), self.check_input(y, "y")
        if gy.dtype != y.dtype or gy.ndim != y.ndim:
            raise TypeError(f"gradient and y should be of one type, not {gy.type} and {y.type}")
        outputs = [gy.type()]
        if self.bias:
            outputs.append(vector(dtype=y.dtype))
        return Apply(self, [gy, y], outputs)

    def infer_shape(self, node, shapes):
        return [shapes[1]] + ([(shapes[1][1],)] if self.bias else [])

    def perform(self, node, inputs, outputs):
        gy, y = inputs
        if gy.shape != y.shape:
            raise ValueError("ActivationGrad: gradient and output differ in shape")
        gx = numpy.asarray(gy * FUNCTIONS[self.function][1](y), y.dtype)
        if self.bias:
            axes = (0,) + tuple(range(2, y.ndim))
            outputs[1][0] = gx.sum(axis=axes, dtype="float64").astype(y.dtype)
        if self.inplace:
            gy[...] = gx
            gx = gy
        outputs[0][0] = gx

    def c_code(self, node, name, inputs, outputs, sub):
        gbias = "&" + outputs[1] if self.bias else "NULL"
        arguments = f"{inputs[0]}, {inputs[1]}, &{outputs[0]}, {gbias}"
        return self.c_call("activation_grad", node, arguments, sub)
