"""Pickled graphs: those of Theano 0.7 to 0.9, some of whose ops took other arguments, and
archives of them."""

import pickle

import numpy

from lenet.theano_start.today.view import Mend, copy_module


def renew_nodes(graph):
    """gof/graph.py:136: a pickled node is filled with its state, and may have an old op."""

    def __setstate__(node, state):
        vars(node).update(state)
        renew = RENEWED.get(type(node.op).__name__)
        if renew is not None:
            renew(node, vars(node.op))

    graph.Apply.__setstate__ = __setstate__


def renew_argmax(node, state):
    """tensor/basic.py:1245: the axes were an input; some ops served nodes with several."""
    if "axis" not in state:
        x, axes = node.inputs
        all_axes = axes.data is None if hasattr(axes, "data") else False
        node.op = type(node.op)(range(x.ndim) if all_axes else [int(i) for i in axes.data.flat])
        node.inputs = [x]


def renew_pool(node, state):
    """tensor/signal/pool.py:397: windows, strides and borders were arguments of the op."""
    if "ds" in state:
        from theano.tensor import as_tensor_variable

        node.op.ndim = 2
        node.inputs = [*node.inputs, *(as_tensor_variable(numpy.asarray(state[name], "int64"))
                                       for name in ("ds", "st", "padding"))]


RENEWED = {"MaxAndArgmax": renew_argmax, **dict.fromkeys(
    ["Pool", "MaxPoolGrad", "AveragePoolGrad", "DownsampleFactorMaxGradGrad"], renew_pool)}


def complete_convolutions(abstract_conv):
    """tensor/nnet/abstract_conv.py:1660: arguments that 0.8 and 0.9 did not have."""
    conv = abstract_conv.BaseAbstractConv
    conv.convdim, conv.filter_dilation, conv.num_groups, conv.unshared = 2, (1, 1), 1, False


def subclass_picklers(pkl_utils):
    """misc/pkl_utils.py:361 and 381: attributes that Python 3.13 lets only subclasses have."""

    class Pickler(pickle.Pickler):
        pass

    class Unpickler(pickle.Unpickler):
        pass

    pkl_utils.pickle = copy_module(pickle, Pickler=Pickler, Unpickler=Unpickler)


def change_own_unpickler(pkl_utils):
    """misc/pkl_utils.py:140: a method that it gives to all unpicklers of the process."""
    pkl_utils.CompatUnpickler.dispatch = dict(pickle._Unpickler.dispatch)
    pickle._Unpickler.dispatch[pickle.REDUCE[0]] = pickle._Unpickler.load_reduce


MENDS = [
    Mend("theano.misc.pkl_utils", change_own_unpickler),
    Mend("theano.misc.pkl_utils", subclass_picklers),
    Mend("theano.gof.graph", renew_nodes),
    Mend("theano.tensor.nnet.abstract_conv", complete_convolutions),
]
