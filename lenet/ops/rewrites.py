"""Where the ops of this package enter a graph.

Theano compiles in passes, by position in its database `optdb`.  These rewrites come early, while a
convolution is still an AbstractConv2d and a product still a product:

    1     canonicalize          (Theano)
    1.3   lenet_ops_convpool    pool_2d(conv2d(x, w)) and what gradients come through it
    1.31  lenet_ops_activation  tanh(x + bias), its gradient, the bias' gradient
    1.5   stabilize, 2 specialize, 48.6 AbstractConv2d -> CorrMM      (Theano)
    76    lenet_ops_inplace     Activation and ActivationGrad in the place of their input

The gradient of a pooled convolution, before and after:

    gw = AbstractConv2d_gradWeights(x, d)       gw, gx = ConvPoolGrad(x, w, gz, record)
    gx = AbstractConv2d_gradInputs(w, d)
    d  = MaxPoolGrad(conv, z, gz)
    z  = Pool(conv)                             z, record = ConvPool(x, w)
    conv = AbstractConv2d(x, w)

All carry the tags ``fast_run`` and ``lenet_ops``, and leave graphs for other devices alone.
"""
import theano
from theano import tensor
from theano.compile import optdb
from theano.gof import Constant, InconsistencyError, Optimizer, local_optimizer
from theano.gof.opt import EquilibriumOptimizer, TopoOptimizer, copy_stack_trace
from theano.gof.toolbox import ReplaceValidate
from theano.tensor.nnet.abstract_conv import (
    AbstractConv2d,
    AbstractConv2d_gradInputs,
    AbstractConv2d_gradWeights,
)
from theano.tensor.nnet.sigm import ScalarSigmoid
from theano.tensor.signal.pool import MaxPoolGrad, Pool

from .activation import Activation, ActivationBase, ActivationGrad
from .convpool import ConvPool, ConvPoolGrad, record_dtype

FLOATS = ("float32", "float64")


def on_cpu():
    """Whether graphs are compiled to C++ for the CPU."""
    return theano.config.device == "cpu" and bool(theano.config.cxx)


def plain_convolution(op):
    """Valid, stride 1, no dilation, one group, filters shared by all positions."""
    return (op.convdim == 2 and op.border_mode in ("valid", (0, 0)) and
            tuple(op.subsample) == (1, 1) and tuple(op.filter_dilation) == (1, 1) and
            op.num_groups == 1 and not op.unshared)


def pooling_window(node):
    """The window of a `Pool` or `MaxPoolGrad` node that `ConvPool` can do, or None."""
    op = node.op
    if op.mode != "max" or op.ndim != 2 or not op.ignore_border:
        return None
    if not all(isinstance(v, Constant) for v in node.inputs[-3:]):
        return None
    window, stride, pad = (tuple(int(i) for i in v.data) for v in node.inputs[-3:])
    if window != stride or pad != (0, 0) or min(window) < 1 or record_dtype(window) is None:
        return None
    return window


class ConvPoolRewrite(Optimizer):
    """Pool(conv) -> ConvPool, and the gradients that come through MaxPoolGrad -> ConvPoolGrad.

    All at once or not at all: the unpooled maps vanish, so nothing else may ask for them.
    """

    def add_requirements(self, fgraph):
        fgraph.attach_feature(ReplaceValidate())

    def apply(self, fgraph):
        if not on_cpu():
            return
        for node in fgraph.toposort():
            if node in fgraph.apply_nodes and isinstance(node.op, Pool):
                pairs = self.replacements(fgraph, node)
                if pairs:
                    try:
                        fgraph.replace_all_validate(pairs, reason="lenet_ops_convpool")
                    except InconsistencyError:
                        pass

    def replacements(self, fgraph, pool):
        """Pairs (variable, what takes its place) for the pattern around `pool`, or None."""
        window = pooling_window(pool)
        maps = pool.inputs[0]
        conv = maps.owner
        if window is None or conv is None or type(conv.op) is not AbstractConv2d:
            return None
        images, filters = conv.inputs
        if not plain_convolution(conv.op) or images.dtype != filters.dtype or \
                images.dtype not in FLOATS:
            return None
        gradients = []
        for client, _ in maps.clients:
            if client is pool:
                continue
            found = self.gradients_through(client, pool, window)
            if found is None:
                return None
            gradients.append(found)

        flip = conv.op.filter_flip
        outputs = ConvPool(window, flip, record=bool(gradients))(images, filters, return_list=True)
        pairs = [(pool.outputs[0], outputs[0])]
        for gz, wanted in gradients:
            wrt = tuple(name for name in ("filters", "images") if wanted[name])
            if not wrt:
                continue
            new = ConvPoolGrad(window, flip, wrt)(images, filters, gz, outputs[1],
                                                  return_list=True)
            for name, variable in zip(wrt, new):
                pairs += [(old, variable) for old in wanted[name]]
        pairs = [(old, tensor.patternbroadcast(new, old.broadcastable)) for old, new in pairs]
        for old, new in pairs:
            copy_stack_trace(old, new)
        return pairs

    @staticmethod
    def gradients_through(node, pool, window):
        """(pooled gradient, {'filters': variables, 'images': variables}) that `node` leads to.

        None where `node` is not the MaxPoolGrad of `pool`, or leads elsewhere too.
        """
        if node == "output" or not isinstance(node.op, MaxPoolGrad) or \
                pooling_window(node) != window:
            return None
        maps, pooled, gz = node.inputs[:3]
        conv = pool.inputs[0].owner
        if maps is not pool.inputs[0] or pooled is not pool.outputs[0] or gz is maps:
            return None
        found = {"filters": [], "images": []}
        for client, index in node.outputs[0].clients:
            if client == "output" or index != 1:
                return None
            images, filters = conv.inputs
            if type(client.op) is AbstractConv2d_gradWeights and client.inputs[0] is images:
                name = "filters"
            elif type(client.op) is AbstractConv2d_gradInputs and client.inputs[0] is filters:
                name = "images"
            else:
                return None
            if not plain_convolution(client.op) or client.op.filter_flip != conv.op.filter_flip:
                return None
            found[name].append(client.outputs[0])
        return gz, found


def is_elemwise(variable, *scalar_ops):
    """Whether `variable` is an element-wise `scalar_ops` of others."""
    return (variable.owner is not None and isinstance(variable.owner.op, tensor.Elemwise) and
            isinstance(variable.owner.op.scalar_op, scalar_ops))


def split_bias(variable):
    """(x, bias) where `variable` is x + bias.dimshuffle('x', 0, ...), else (variable, None)."""
    if not is_elemwise(variable, theano.scalar.Add) or variable.ndim < 2 or \
            len(variable.owner.inputs) != 2:
        return variable, None
    for x, b in (variable.owner.inputs, variable.owner.inputs[::-1]):
        if b.owner is None or not isinstance(b.owner.op, tensor.DimShuffle):
            continue
        order = ("x", 0) + ("x",) * (variable.ndim - 2)
        bias = b.owner.inputs[0]
        if tuple(b.owner.op.new_order) == order and x.type == variable.type and \
                bias.dtype == x.dtype and not x.broadcastable[1] and not bias.broadcastable[0]:
            return x, bias
    return variable, None


@local_optimizer([tensor.Elemwise])
def local_activation(node):
    """tanh(x + bias) -> Activation(x, bias), also where a reshape stands between the two."""
    names = {theano.scalar.Tanh: "tanh", ScalarSigmoid: "sigmoid"}
    function = names.get(type(getattr(node.op, "scalar_op", None)))
    if function is None or not on_cpu():
        return
    old = node.outputs[0]
    source = node.inputs[0]
    if old.dtype not in FLOATS or source.dtype != old.dtype or not old.ndim:
        return
    shape = None
    if source.owner is not None and isinstance(source.owner.op, tensor.Reshape):
        # canonicalize moves element-wise ops behind a reshape; what is asked for before it as
        # well (by the gradient) is computed once if both ask for it before
        inner, bias = split_bias(source.owner.inputs[0])
        if bias is not None:
            source, shape = source.owner.inputs[0], source.owner.inputs[1]
    x, bias = split_bias(source)
    inputs = [x] if bias is None else [x, bias]
    new = Activation(function, bias=bias is not None)(*inputs)
    copy_stack_trace(old, new)
    if shape is not None:
        new = tensor.reshape(new, shape, ndim=old.ndim)
        copy_stack_trace(old, new)
    return [tensor.patternbroadcast(new, old.broadcastable)]


def factors(variable):
    """The factors of a product, of the products among them too."""
    if not is_elemwise(variable, theano.scalar.Mul):
        return [variable]
    return [f for v in variable.owner.inputs for f in factors(v)]


def is_activation(variable, function):
    return (variable.owner is not None and isinstance(variable.owner.op, Activation) and
            variable.owner.op.function == function)


def one_minus(variable):
    """v where `variable` is 1 - v, else None."""
    if not is_elemwise(variable, theano.scalar.Sub):
        return None
    one, v = variable.owner.inputs
    try:
        value = tensor.get_scalar_constant_value(one)
    except tensor.NotScalarConstantError:
        return None
    return v if value == 1 else None


def find_slope(terms):
    """(y, the other terms) where some of `terms` make up the slope of an activation y, or None."""
    for i, term in enumerate(terms):
        v = one_minus(term)
        if v is None:
            continue
        rest = terms[:i] + terms[i + 1:]
        if is_elemwise(v, theano.scalar.Sqr) and is_activation(v.owner.inputs[0], "tanh"):
            return v.owner.inputs[0], rest
        if is_activation(v, "sigmoid"):
            for k, other in enumerate(rest):
                if is_activation(other, "sigmoid") and \
                        other.owner.inputs == v.owner.inputs:
                    return v, rest[:k] + rest[k + 1:]
    return None


@local_optimizer([tensor.Elemwise])
def local_activation_grad(node):
    """gy * (1 - sqr(y)) -> ActivationGrad(gy, y) for y = tanh; as well for sigmoid."""
    old = node.outputs[0]
    if not is_elemwise(old, theano.scalar.Mul) or not on_cpu():
        return
    found = find_slope(factors(old))
    if found is None or not found[1]:
        return
    y, rest = found
    gy = rest[0] if len(rest) == 1 else tensor.mul(*rest)
    if gy.type != y.type or y.type != old.type:
        return
    new = ActivationGrad(y.owner.op.function, y.owner.op.bias)(gy, y, return_list=True)[0]
    copy_stack_trace(old, new)
    return [new]


@local_optimizer([tensor.Sum])
def local_bias_grad(node):
    """Sum of ActivationGrad's first output over all dimensions but the second -> its second."""
    x = node.inputs[0]
    if not isinstance(node.op, tensor.Sum) or x.owner is None or \
            not isinstance(x.owner.op, ActivationGrad) or not x.owner.op.bias:
        return
    if node.op.axis is None or \
            tuple(sorted(node.op.axis)) != (0,) + tuple(range(2, x.ndim)) or \
            x is not x.owner.outputs[0]:
        return
    old, new = node.outputs[0], x.owner.outputs[1]
    if old.type != new.type:
        return
    return [new]


@local_optimizer([Activation, ActivationGrad], inplace=True)
def local_activation_inplace(node):
    op = node.op
    if isinstance(op, ActivationBase) and not op.inplace:
        new = type(op)(op.function, op.bias, inplace=True, openmp=op.openmp)(
            *node.inputs, return_list=True)
        copy_stack_trace(node.outputs, new)
        return new


def register():
    """Register the rewrites, all with the tag ``lenet_ops``; does nothing the second time."""
    if "lenet_ops_convpool" in optdb.__db__:
        return
    tags = ("fast_run", "lenet_ops")
    # after canonicalize (1) and its merge (1.2), before anything is specialised (1.5 and later)
    optdb.register("lenet_ops_convpool", ConvPoolRewrite(), 1.3, *tags)
    optdb.register("lenet_ops_activation", EquilibriumOptimizer(
        [local_activation, local_activation_grad, local_bias_grad], max_use_ratio=10),
        1.31, *tags)
    # with the other ops that work in place, after Theano has given up fusing (49)
    optdb.register("lenet_ops_inplace", TopoOptimizer(
        local_activation_inplace, failure_callback=TopoOptimizer.warn_inplace),
        76, "inplace", *tags)
