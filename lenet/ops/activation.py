"""tanh and sigmoid by code that the vector unit runs, with the bias before them.

    y = Activation("tanh")(x, bias)                 tanh(x + bias.dimshuffle("x", 0, "x", "x"))
    y = Activation("tanh", bias=False)(x)           tanh(x)
    gx, gbias = ActivationGrad("tanh")(gy, y)       gx = gy * (1 - y ** 2), gbias = its sum

    x (images, units, ...)      bias (units,): one number for each index of the second dimension,
                                the maps of a convolution or the neurons of a hidden layer

    gy --+                  y --+                        gbias[unit]
         +--> gx = gy * slope(y) --> sum over all dimensions but the second

The slope follows from the value alone (tanh: 1 - y ** 2, sigmoid: y * (1 - y)), so that x need not
be kept: in a compiled graph both ops work in the place of their first input. The kernels, their
arithmetic and loops are explained at the top of activation.h; ``perform`` is the same in NumPy.
"""
import numpy as np
from theano.gof import Apply
from theano.tensor import as_tensor_variable, vector

from .compiled import CompiledOp


def tanh_slope(y):
    return 1 - y * y


def sigmoid(x):
    e = np.exp(-abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def sigmoid_slope(y):
    return y * (1 - y)


# name: NumPy's function, its slope by its value, the kernel's class
FUNCTIONS = {"tanh": (np.tanh, tanh_slope, "lenet::Tanh"),
             "sigmoid": (sigmoid, sigmoid_slope, "lenet::Sigmoid")}


class ActivationBase(CompiledOp):
    source_files = ("simd.h", "activation.h")
    python_file = "activation.py"
    __props__ = ("function", "bias", "inplace")

    def __init__(self, function, bias=True, inplace=False, openmp=None):
        super(ActivationBase, self).__init__(openmp=openmp)
        if function not in FUNCTIONS:
            raise ValueError("function should be one of %s, not %r"
                             % (", ".join(sorted(FUNCTIONS)), function))
        self.function = function
        self.bias = bool(bias)
        self.inplace = bool(inplace)
        if self.inplace:
            self.destroy_map = {0: [0]}

    def check_input(self, variable, name):
        variable = as_tensor_variable(variable)
        if variable.dtype not in ("float32", "float64"):
            raise TypeError("%s should be float32 or float64, not %s" % (name, variable.dtype))
        if self.bias and variable.ndim < 2:
            raise TypeError("%s should have 2 dimensions or more, not %d" % (name, variable.ndim))
        return variable

    def c_names(self, node):
        return dict(T="npy_" + node.inputs[0].dtype, type="NPY_" + node.inputs[0].dtype.upper(),
                    F=FUNCTIONS[self.function][2], inplace="true" if self.inplace else "false")


class Activation(ActivationBase):
    """``function(x + bias.dimshuffle('x', 0, 'x', ...))``, or ``function(x)``.

    Parameters
    ----------
    function : 'tanh' or 'sigmoid'
    bias : bool
        Whether there is a second input, a vector with an element for every index of x's second
        dimension (the maps of (images, maps, rows, columns), the units of (images, units)).
    inplace : bool
        Whether the output takes the place of x.
    """

    def make_node(self, x, *bias):
        x = self.check_input(x, "x")
        if len(bias) != self.bias:
            raise TypeError("Activation takes %d inputs" % (1 + self.bias))
        bias = [as_tensor_variable(b) for b in bias]
        for b in bias:
            if b.ndim != 1 or b.dtype != x.dtype:
                raise TypeError("bias should be a vector of %s, not %s" % (x.dtype, b.type))
        return Apply(self, [x] + bias, [x.type()])

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def grad(self, inputs, gradients):
        y = self(*inputs)
        return ActivationGrad(self.function, self.bias)(gradients[0], y, return_list=True)

    def perform(self, node, inputs, outputs):
        x = inputs[0]
        if self.bias:
            if x.shape[1] != len(inputs[1]):
                raise ValueError("Activation: a bias of %d for %d units"
                                 % (len(inputs[1]), x.shape[1]))
            x = x + inputs[1].reshape((-1,) + (1,) * (x.ndim - 2))
        y = np.asarray(FUNCTIONS[self.function][0](x), x.dtype)
        if self.inplace:
            inputs[0][...] = y
            y = inputs[0]
        outputs[0][0] = y

    def c_code(self, node, name, inputs, outputs, sub):
        values = dict(self.c_names(node), x=inputs[0], y=outputs[0], fail=sub["fail"],
                      bias=inputs[1] if self.bias else "NULL")
        return """
        if (!lenet::activation<%(T)s, %(F)s>(%(x)s, %(bias)s, &%(y)s, %(type)s, %(inplace)s)) {
            %(fail)s
        }
        """ % values


class ActivationGrad(ActivationBase):
    """Gradient of `Activation`, from the gradient with respect to its output y and from y.

    Outputs are the gradients with respect to x and, with a bias, with respect to the bias, which
    is the first one summed over all dimensions but the second.
    """

    def make_node(self, gy, y):
        gy, y = self.check_input(gy, "gradient"), self.check_input(y, "y")
        if gy.dtype != y.dtype or gy.ndim != y.ndim:
            raise TypeError("gradient and y should be of one type, not %s and %s"
                            % (gy.type, y.type))
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
        gx = np.asarray(gy * FUNCTIONS[self.function][1](y), y.dtype)
        if self.bias:
            axes = (0,) + tuple(range(2, y.ndim))
            outputs[1][0] = gx.sum(axis=axes, dtype="float64").astype(y.dtype)
        if self.inplace:
            gy[...] = gx
            gx = gy
        outputs[0][0] = gx

    def c_code(self, node, name, inputs, outputs, sub):
        values = dict(self.c_names(node), gy=inputs[0], y=inputs[1], gx=outputs[0],
                      gbias="&" + outputs[1] if self.bias else "NULL", fail=sub["fail"])
        return """
        if (!lenet::activation_grad<%(T)s, %(F)s>(%(gy)s, %(y)s, &%(gx)s, %(gbias)s, %(type)s,
                                                  %(inplace)s)) {
            %(fail)s
        }
        """ % values
