"""Where this package's ops enter a graph that is compiled for the CPU.

Theano compiles in passes, by position in its database `optdb`.  These rewrites come after Theano's
own have done their work on the pattern, and so take nothing away from them; `log(sigmoid(x))`, for
instance, is softplus by then:

    1     canonicalize, 1.5 stabilize, 2 specialize                   (Theano)
    48.4  lenet_ops_pool_first  pool_2d(tanh(conv2d(x, w) + bias)): pooling comes first
    48.5  lenet_ops_convpool    pool_2d(conv2d(x, w)) and the gradients that come through it
    48.5  lenet_ops_convolution conv2d(x, w) that is left, and its gradients
    48.5  lenet_ops_pool_sum    pool_2d(x) that takes sums or means, and its gradient
    48.6  AbstractConv2d -> CorrMM                                    (Theano)
    48.9  lenet_ops_activation  tanh(c * (x + bias)), its gradient, the bias' gradient
    49    successive element-wise ops become one loop                 (Theano)
    76    lenet_ops_inplace     Activation and ActivationGrad overwrite their input

Theano's loop reads and writes memory once for a whole element-wise expression, and g++ vectorizes
it if all arrays are contiguous: an activation inside such an expression is left there. If an array
is broadcast or a slice, the loop goes number by number, and its tanh takes thirty times as long:
there the activation is taken out.

The gradient of a pooled convolution, before and after:

    gw = AbstractConv2d_gradWeights(x, d)       gw, gx = ConvPoolGrad(x, w, gz, record)
    gx = AbstractConv2d_gradInputs(w, d)
    gb = d.sum((0, 2, 3))                       gb = ConvPoolBiasGrad(gz, record)
    d  = MaxPoolGrad(conv, z, gz)
    z  = Pool(conv)                             z, record = ConvPool(x, w)
    conv = AbstractConv2d(x, w)

All carry the tags ``fast_run`` and ``lenet_ops``, and leave graphs for other devices alone.
"""

import contextlib

import numpy
import theano
from theano import tensor
from theano.compile import optdb
from theano.gof import Apply, Constant, InconsistencyError, Optimizer, local_optimizer
from theano.gof.opt import TopoOptimizer, copy_stack_trace
from theano.gof.toolbox import ReplaceValidate
from theano.tensor.nnet.abstract_conv import (
    AbstractConv2d,
    AbstractConv2d_gradInputs,
    AbstractConv2d_gradWeights,
)
from theano.tensor.nnet.sigm import ScalarSigmoid
from theano.tensor.signal.pool import AveragePoolGrad, MaxPoolGrad, Pool

from lenet.ops import pool_first
from lenet.ops.activation import Activation, ActivationBase, ActivationGrad
from lenet.ops.columns import constant_sizes, filter_size, is_plain_convolution
from lenet.ops.convolution import KINDS, Convolution, make_products
from lenet.ops.convpool import ConvPool, ConvPoolGrad
from lenet.ops.convpool_bias import ConvPoolBiasGrad
from lenet.ops.pool_sum import SumPool, SumPoolGrad

FLOATS = ("float32", "float64")
FUNCTIONS = {theano.scalar.Tanh: "tanh", ScalarSigmoid: "sigmoid"}
SUM_POOLS = {Pool: SumPool, AveragePoolGrad: SumPoolGrad}


def uses_cpu():
    """Whether graphs are compiled to C++ for the CPU."""
    return theano.config.device == "cpu" and bool(theano.config.cxx)


def is_convolution(variable):
    """Whether a variable is a convolution that `ConvPool` can do."""
    conv = variable.owner
    return (conv is not None and type(conv.op) is AbstractConv2d and
            is_plain_convolution(conv.op) and
            conv.inputs[0].dtype == conv.inputs[1].dtype and conv.inputs[0].dtype in FLOATS)


def find_window(node):
    """The window of a `Pool` or its gradient if windows lie side by side, else None."""
    if node.op.ndim != 2 or not all(isinstance(v, Constant) for v in node.inputs[-3:]):
        return None
    window, stride, pad = (tuple(int(i) for i in v.data) for v in node.inputs[-3:])
    return window if window == stride and pad == (0, 0) and min(window) >= 1 else None


def find_max_window(node):
    """`find_window` if the node is, or is a gradient of, a max-pooling."""
    return find_window(node) if node.op.mode == "max" else None


class CpuRewrite(Optimizer):
    """What the rewrites for the CPU share."""

    def add_requirements(self, fgraph):
        fgraph.attach_feature(ReplaceValidate())

    def apply(self, fgraph):
        if uses_cpu():
            self.rewrite(fgraph)

    def replace(self, fgraph, pairs):
        """Replace variables, by pairs (old, new): all or, if the graph forbids it, none."""
        if not pairs:
            return
        pairs = [(old, tensor.patternbroadcast(new, old.broadcastable)) for old, new in pairs]
        for old, new in pairs:
            copy_stack_trace(old, new)
        with contextlib.suppress(InconsistencyError):
            fgraph.replace_all_validate(pairs, reason=type(self).__name__)


class PoolFirstRewrite(CpuRewrite):
    """Pool(f(conv + bias)) -> f(Pool(conv) + bias), where ConvPool can do Pool(conv)."""

    def rewrite(self, fgraph):
        for node in fgraph.toposort():
            if isinstance(node.op, Pool):
                def is_conv(v, pool=node):
                    return is_convolution(v) and find_max_window(pool)

                self.replace(fgraph, pool_first.find_replacements(
                    node, is_conv, fgraph.toposort()))


class ConvPoolRewrite(CpuRewrite):
    """Pool(conv) -> ConvPool, and the gradients that come through MaxPoolGrad -> ConvPoolGrad.

    All at once or not at all: the unpooled maps vanish, so nothing else may use them.
    """

    def rewrite(self, fgraph):
        for node in fgraph.toposort():
            if node in fgraph.apply_nodes and isinstance(node.op, Pool):
                self.replace(fgraph, self.find_replacements(node))

    def find_replacements(self, pool):
        """Pairs (variable, its replacement) for the pattern around `pool`, or None."""
        maps = pool.inputs[0]
        if not is_convolution(maps):
            return None
        conv = maps.owner
        window = find_max_window(pool)
        if window is None:
            return None
        gradients = []
        for client, _ in maps.clients:
            if client is pool:
                continue
            found = self.find_gradients(client, pool, window)
            if found is None:
                return None
            gradients.append(found)

        images, filters = conv.inputs
        options = window, conv.op.filter_flip, conv.op.border_mode, pool.op.ignore_border
        outputs = ConvPool(*options, record=bool(gradients))(images, filters, return_list=True)
        pairs = [(pool.outputs[0], outputs[0])]
        for gz, wanted in gradients:
            pairs += [(old, ConvPoolBiasGrad(window)(gz, outputs[1])) for old in wanted["bias"]]
            wrt = tuple(name for name in ("filters", "images") if wanted[name])
            if not wrt:
                continue
            new = ConvPoolGrad(*options, wrt=wrt)(images, filters, gz, outputs[1],
                                                      return_list=True)
            pairs += [(old, v) for name, v in zip(wrt, new) for old in wanted[name]]
        return pairs

    @staticmethod
    def find_gradients(node, pool, window):
        """(pooled gradient, {'filters', 'images' or 'bias': variables}) that `node` leads to.

        None if `node` is not the MaxPoolGrad of `pool`, or also leads elsewhere.
        """
        conv = pool.inputs[0].owner
        if node == "output" or not isinstance(node.op, MaxPoolGrad) or \
                find_max_window(node) != window or \
                node.op.ignore_border != pool.op.ignore_border:
            return None
        maps, pooled, gz = node.inputs[:3]
        if maps is not pool.inputs[0] or pooled is not pool.outputs[0] or gz is maps:
            return None
        found = {"filters": [], "images": [], "bias": []}
        for client, index in node.outputs[0].clients:
            if client == "output":
                return None
            if is_bias_sum(client, node.outputs[0]):
                found["bias"].append(client.outputs[0])
                continue
            images, filters = conv.inputs
            if type(client.op) is AbstractConv2d_gradWeights and client.inputs[0] is images:
                name = "filters"
            elif type(client.op) is AbstractConv2d_gradInputs and client.inputs[0] is filters:
                name = "images"
            else:
                return None
            if (index != 1 or not is_plain_convolution(client.op) or
                    client.op.border_mode != conv.op.border_mode or
                    client.op.filter_flip != conv.op.filter_flip):
                return None
            found[name].append(client.outputs[0])
        return gz, found


class OpRewrite(CpuRewrite):
    """Nodes with an op of one of some types, each replaced by itself, if at all."""

    types = ()

    def rewrite(self, fgraph):
        for node in fgraph.toposort():
            if type(node.op) in self.types:
                self.replace(fgraph, self.find_replacement(node))


class ConvolutionRewrite(OpRewrite):
    """What is left of convolutions -> Convolution, or products of matrices."""

    types = KINDS

    @staticmethod
    def find_replacement(node):
        op, (a, b) = node.op, node.inputs[:2]
        window = filter_size(op)
        image = window and op.imshp and constant_sizes(op.imshp[1:])
        maps = image and constant_sizes(op.kshp[:1])
        if not maps or a.dtype != b.dtype or a.dtype not in FLOATS:
            return None
        kind = KINDS[type(op)]
        if window == image[1:]:
            new = make_products(kind, op.filter_flip, a, b, image)
        elif maps[0] <= 16 and 2 * window[1] <= image[2]:
            new = Convolution(kind, op.filter_flip)(*node.inputs)
        else:  # CorrMM is faster
            return None
        return [(node.outputs[0], new)]


class SumPoolRewrite(OpRewrite):
    """Pool and AveragePoolGrad of sums or means -> SumPool and SumPoolGrad."""

    types = SUM_POOLS

    @staticmethod
    def find_replacement(node):
        op, window, maps = node.op, find_window(node), node.inputs[0]
        if (op.mode == "max" or window is None or not op.ignore_border or maps.ndim != 4 or
                maps.dtype not in FLOATS or any(v.dtype != maps.dtype for v in node.inputs[:-3])):
            return None
        new = SUM_POOLS[type(op)](window, mean=op.mode != "sum")(*node.inputs[:-3])
        return [(node.outputs[0], new)]


def is_elemwise(variable, *scalar_ops):
    """Whether `variable` comes from an element-wise op, one of `scalar_ops`."""
    return (variable.owner is not None and isinstance(variable.owner.op, tensor.Elemwise) and
            isinstance(variable.owner.op.scalar_op, scalar_ops))


def split_bias(variable):
    """(x, bias) if `variable` is x + bias.dimshuffle('x', 0, ...), else (variable, None)."""
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


def find_loops(fgraph):
    """Find {element-wise node: the last node of the loop into which Theano's fusion will put it}.

    Theano puts a node into the loop of the next one if nothing else uses its value and both are
    broadcast alike.
    """
    last = {}
    for node in reversed(fgraph.toposort()):
        if isinstance(node.op, tensor.Elemwise):
            out = node.outputs[0]
            after = {last.get(client) for client, _ in out.clients}
            end = after.pop() if len(after) == 1 else None
            fused = end is not None and end.outputs[0].broadcastable == out.broadcastable
            last[node] = end if fused else node
    return last


def is_vectorized(last, end):
    """Whether all arrays of a loop have the same shape or one element, and none is a slice."""
    for node in (node for node in last if last[node] is end):
        for v in node.inputs:
            if last.get(v.owner) is end or all(v.broadcastable):
                continue
            if v.broadcastable != end.outputs[0].broadcastable:
                return False
            if v.owner is not None and isinstance(v.owner.op, (tensor.Subtensor,
                                                               tensor.DimShuffle)):
                return False
    return True


def is_activation_of_theano(node):
    """Whether a node is a tanh or sigmoid that `Activation` can do."""
    return (isinstance(node.op, tensor.Elemwise) and type(node.op.scalar_op) in FUNCTIONS and
            node.outputs[0].ndim > 0 and node.outputs[0].dtype in FLOATS and
            node.inputs[0].dtype == node.outputs[0].dtype)


class ActivationRewrite(CpuRewrite):
    """tanh(x + bias) -> Activation, and its gradient -> ActivationGrad."""

    def rewrite(self, fgraph):
        for step in (move_before_reshape, replace_activation, replace_bias_grad,
                     replace_activation_grad):
            last = find_loops(fgraph)
            for node in fgraph.toposort():
                if node in last and node in fgraph.apply_nodes:
                    self.replace(fgraph, step(node, last))


def move_before_reshape(node, last):
    """tanh(reshape(x + bias)) -> reshape(tanh(x + bias)).

    canonicalize moves element-wise ops behind a reshape. In front of it, the activation can take
    the bias, and the gradient, which needs the activation there, shares it.
    """
    reshape = node.inputs[0].owner
    if not is_activation_of_theano(node) or reshape is None or \
            not isinstance(reshape.op, tensor.Reshape):
        return None
    source, shape = reshape.inputs
    if split_bias(source)[1] is None:
        return None
    there = [client for client, _ in source.clients
             if client != "output" and client.op == node.op]
    y = there[0].outputs[0] if there else node.op(source)
    return [(node.outputs[0], tensor.reshape(y, shape, ndim=node.outputs[0].ndim))]


def split_scale(variable):
    """(c, x) if `variable` is a constant c times x, else (1, variable)."""
    if is_elemwise(variable, theano.scalar.Mul) and len(variable.owner.inputs) == 2:
        for c, x in (variable.owner.inputs, variable.owner.inputs[::-1]):
            if isinstance(c, Constant) and c.data.size == 1 and numpy.isfinite(c.data).all() and \
                    x.type == variable.type:
                return c.data.item(), x
    return 1, variable


def split_scale_and_bias(variable):
    """(c, [x, bias]) if `variable` is c * (x + bias) with a constant c; (1, [x]) for x alone."""
    scale, x = split_scale(variable)
    x, bias = split_bias(x)
    return scale, [x] if bias is None else [x, bias]


def replace_activation(node, last):
    """tanh(x + bias) or tanh(constant * (x + bias)) -> Activation(x, bias)."""
    if not is_activation_of_theano(node):
        return None
    scale, inputs = split_scale_and_bias(node.inputs[0])
    alone = last[node] is node and last.get(inputs[0].owner) is not node
    if not alone and is_vectorized(last, last[node]):
        return None
    op = Activation(FUNCTIONS[type(node.op.scalar_op)], bias=len(inputs) == 2, scale=scale)
    return [(node.outputs[0], op(*inputs))]


def list_factors(variable):
    """The factors of a product, nested products included."""
    if not is_elemwise(variable, theano.scalar.Mul):
        return [variable]
    return [f for v in variable.owner.inputs for f in list_factors(v)]


def is_activation(variable, function):
    return (variable.owner is not None and isinstance(variable.owner.op, Activation) and
            variable.owner.op.function == function)


def find_complement(variable):
    """v if `variable` is 1 - v, else None."""
    if not is_elemwise(variable, theano.scalar.Sub):
        return None
    one, v = variable.owner.inputs
    return v if tensor.extract_constant(one) == 1 else None


def is_one_minus_sigmoid(variable, y):
    """Whether `variable` is 1 - y for a sigmoid y; specialize writes it as sigmoid(-x)."""
    v = find_complement(variable)
    if v is not None:
        return is_activation(v, "sigmoid") and (v.owner.op, v.owner.inputs) == (y.owner.op,
                                                                                y.owner.inputs)
    if not is_elemwise(variable, ScalarSigmoid) or \
            not is_elemwise(variable.owner.inputs[0], theano.scalar.Neg):
        return False
    return (y.owner.op.scale, y.owner.inputs) == split_scale_and_bias(
        variable.owner.inputs[0].owner.inputs[0])


def find_slope(terms):
    """(y, the other terms) if some of `terms` make up the slope of an activation y, else None."""
    for i, term in enumerate(terms):
        rest = terms[:i] + terms[i + 1:]
        v = find_complement(term)
        if v is not None and is_elemwise(v, theano.scalar.Sqr) and \
                is_activation(v.owner.inputs[0], "tanh"):
            return v.owner.inputs[0], rest
        if is_activation(term, "sigmoid"):
            for k, other in enumerate(rest):
                if is_one_minus_sigmoid(other, term):
                    return term, rest[:k] + rest[k + 1:]
    return None


def is_bias_sum(node, x):
    """Whether `node` is the sum of x over all dimensions but the second."""
    return (isinstance(node, Apply) and isinstance(node.op, tensor.Sum) and
            node.op.axis is not None and node.outputs[0].dtype == x.dtype and
            tuple(sorted(node.op.axis)) == (0,) + tuple(range(2, x.ndim)))


def remove_terms(product, terms):
    """What is left of the factors of a product without those in `terms`; None if one is missing."""
    rest = list(product)
    for v in terms:
        if v not in rest:
            return None
        rest.remove(v)
    return rest


def find_bias_sums(variable):
    """The sums of a variable over all dimensions but the second."""
    return [client.outputs[0] for client, _ in variable.clients if is_bias_sum(client, variable)]


def make_gradient(y, terms, old):
    """`ActivationGrad` of a product of `terms`, or None if it cannot be in the place of `old`."""
    gy = terms[0] if len(terms) == 1 else tensor.mul(*terms)
    if gy.type != y.type or y.type != old.type:
        return None
    return ActivationGrad(y.owner.op.function, y.owner.op.bias)(gy, y, return_list=True)


def replace_bias_grad(node, last):
    """gy * (1 - sqr(y)) and its sum -> ActivationGrad(gy, y) for y = tanh; likewise for sigmoid.

    This saves the loop of the sum. Products of gy, the slope and more, such as the scale of the
    activation or weights, are made of the result.
    """
    old = node.outputs[0]
    y, terms = find_slope(list_factors(old)) or (None, None)
    sums = find_bias_sums(old)
    if not sums or not terms or not y.owner.op.bias:
        return None
    new = make_gradient(y, terms, old)
    if new is None:
        return None
    pairs = [(old, new[0])] + [(total, new[1]) for total in sums]
    for other in [client.outputs[0] for client, _ in terms[0].clients if client != "output"]:
        found = find_slope(list_factors(other))
        rest = found and found[0] is y and remove_terms(found[1], terms)
        if rest and not find_bias_sums(other):
            pairs.append((other, tensor.mul(new[0], *rest)))
    return pairs


def replace_activation_grad(node, last):
    """gy * (1 - sqr(y)) -> ActivationGrad(gy, y), likewise, where it breaks no loop up."""
    old = node.outputs[0]
    y, terms = find_slope(list_factors(old)) or (None, None)
    if not terms or last[node] is not node or any(last.get(v.owner) is node for v in terms):
        return None
    new = make_gradient(y, terms, old)
    return new and [(old, new[0])]


@local_optimizer([Activation, ActivationGrad], inplace=True)
def local_activation_inplace(node):
    op = node.op
    if isinstance(op, ActivationBase) and not op.inplace:
        new = type(op)(**dict(op._props_dict(), inplace=True), openmp=op.openmp)(
            *node.inputs, return_list=True)
        copy_stack_trace(node.outputs, new)
        return new


def register():
    """Register the rewrites, all with the tag ``lenet_ops``; a second call does nothing."""
    if "lenet_ops_convpool" in optdb.__db__:
        return
    tags = ("fast_run", "lenet_ops")
    optdb.register("lenet_ops_pool_first", PoolFirstRewrite(), 48.4, *tags)
    # before Theano chooses how to compute a convolution (48.6)
    optdb.register("lenet_ops_convpool", ConvPoolRewrite(), 48.5, *tags)
    optdb.register("lenet_ops_convolution", ConvolutionRewrite(), 48.55, *tags)
    optdb.register("lenet_ops_pool_sum", SumPoolRewrite(), 48.56, *tags)
    # before Theano fuses (49), after every rewrite that looks for a tanh
    optdb.register("lenet_ops_activation", ActivationRewrite(), 48.9, *tags)
    # with the other in-place ops, after Theano's fusion (49)
    optdb.register("lenet_ops_inplace", TopoOptimizer(
        local_activation_inplace, failure_callback=TopoOptimizer.warn_inplace),
        76, "inplace", *tags)
