"""Max-pooling before the activation: pool(f(conv + b)) -> f(pool(conv) + b).

Most programs pool last, among them those written for Keras and Lasagne. A function that never
falls, such as tanh, keeps the order of the elements of a window, and a bias is the same for all of
them, so that both can wait for the maximum: there are fewer elements then, and what is left of the
pattern is that of `ConvPool`.

    a = f(conv + b)                             p = Pool(conv)
    z = Pool(a)                                 z = f(p + b)

    g = MaxPoolGrad(a, z, gz)                   e = gz * f'(p + b)
    d = g * f'(conv + b)                        d = MaxPoolGrad(conv, p, e)
    gb = d.sum((0, 2, 3))                       gb = d.sum((0, 2, 3))

What lies between conv and a, and between g and d, may be any element-wise expression, as long as
the former never falls and the latter is linear in g: it is built again on the pooled maps, with p
in the place of conv and gz in that of g. Keras has the channels last by default, so that there may
be transpositions as well; on the pooled maps there are none.

Where elements of a window are equal, all of them receive its gradient, on the left as on the
right. The one difference is rounding: unequal elements of conv may have equal values in a. There,
on the left, all of them receive gz * f', but only the largest does on the right. This is zero
where f is constant (ReLU below 0, a tanh of 1); elsewhere it takes elements that differ by less
than a rounding of conv + b or f.
"""

from theano import scalar, tensor
from theano.tensor.nnet.abstract_conv import AbstractConv2d_gradInputs, AbstractConv2d_gradWeights
from theano.tensor.nnet.sigm import ScalarSigmoid, ScalarSoftplus
from theano.tensor.signal.pool import MaxPoolGrad

MAPS = (0, 1, 2, 3)  # the axes of maps: images, channels, rows, columns
INCREASING = (scalar.Tanh, ScalarSigmoid, ScalarSoftplus)


class NoPattern(Exception):
    """The graph does not have the pattern."""


def find_replacements(pool, is_conv, nodes):
    """Pairs (variable, its replacement) for the pattern that ends in a node `pool`, or None.

    Parameters
    ----------
    pool : Apply
        A max-pooling.
    is_conv : function of a variable
        Whether the pooling is wanted at this variable, further up the graph.
    nodes : list of Apply
        The whole graph, sorted.
    """
    conv = find_conv(pool.inputs[0], is_conv)
    if conv is None or conv is pool.inputs[0]:
        return None
    unpooled = UnpooledPart(pool, conv)
    try:
        for node in nodes:
            if any(v in unpooled.pooled for v in node.inputs):
                unpooled.follow(node)
        return unpooled.make_pairs()
    except NoPattern:
        return None


def find_conv(v, is_conv):
    """The convolution that `v` never falls with, element by element, or None."""
    axes = MAPS
    while not (is_conv(v) and axes == MAPS):
        if v.owner is None:
            return None
        if is_transposition(v.owner):
            order = v.owner.op.new_order
            v, axes = v.owner.inputs[0], tuple(axes[order.index(i)] for i in range(4))
        else:
            v = find_argument(v.owner, axes)
        if v is None:
            return None
    return v


def find_argument(node, axes):
    """The input that the output of an element-wise node never falls with, or None."""
    if not isinstance(node.op, tensor.Elemwise):
        return None
    op = node.op.scalar_op
    x = [v for v in node.inputs if not is_same_in_window(v, axes)]
    if len(x) == 1:
        others = [v for v in node.inputs if v is not x[0]]
        if (isinstance(op, INCREASING + (scalar.Add, scalar.Maximum, scalar.Minimum)) or
                isinstance(op, (scalar.Sub, scalar.Clip)) and x[0] is node.inputs[0] or
                isinstance(op, scalar.Mul) and all(is_positive(v) for v in others)):
            return x[0]
    # ReLU, which Theano writes 0.5 * (x + abs(x))
    if len(x) == len(node.inputs) == 2 and isinstance(op, scalar.Add):
        for v, absolute in (x, x[::-1]):
            if (absolute.owner is not None and absolute.owner.inputs == [v] and
                    isinstance(absolute.owner.op, tensor.Elemwise) and
                    isinstance(absolute.owner.op.scalar_op, scalar.Abs)):
                return v
    return None


def is_same_in_window(v, axes):
    """Whether an input of an element-wise node is broadcast along rows and columns."""
    return all(v.broadcastable[axes.index(i)] for i in (2, 3))


def is_positive(v):
    return all(v.broadcastable) and getattr(tensor.extract_constant(v), "ndim", 1) == 0 and \
        tensor.extract_constant(v) > 0


def is_transposition(node):
    """Whether a node permutes the four axes of maps."""
    return isinstance(node.op, tensor.DimShuffle) and sorted(map(str, node.op.new_order)) == \
        ["0", "1", "2", "3"] and node.inputs[0].ndim == 4


class UnpooledPart:
    """The part of a graph that is computed on unpooled maps, and what it becomes on pooled ones.

    Attributes
    ----------
    pooled : dict of variables
        From the unpooled to the pooled, whose axes are `MAPS`.
    axes : dict from variables to tuples of 4 ints
        The place among `MAPS` of each axis of an unpooled variable.
    gradients : set of variables
        The unpooled variables that are linear in a gradient: zero except at a maximum.
    ends : list of pairs (variable, Apply)
        The gradients, and the nodes that take them further: those of a convolution or a bias.
    """

    def __init__(self, pool, conv):
        self.pool, self.conv = pool, conv
        self.pooled = {conv: pool.op(conv, *pool.inputs[1:])}
        self.axes = {conv: MAPS}
        self.gradients = set()
        self.ends = []

    def follow(self, node):
        """Go on to a node that has unpooled inputs."""
        x = next(v for v in node.inputs if v in self.pooled)
        axes = self.axes[x]
        if node is self.pool:
            return
        if isinstance(node.op, MaxPoolGrad):
            maps, z, gz = node.inputs[:3]
            if maps is not self.pool.inputs[0] or z is not self.pool.outputs[0] or \
                    gz in self.pooled or node.inputs[3:] != self.pool.inputs[1:] or \
                    node.op.ignore_border != self.pool.op.ignore_border:
                raise NoPattern
            self.add(node, gz, MAPS, linear=True)
        elif is_transposition(node):
            self.add(node, self.pooled[x], tuple(axes[i] for i in node.op.new_order),
                     x in self.gradients)
        elif isinstance(node.op, tensor.Elemwise):
            linear = self.is_linear(node)
            inputs = [self.find_pooled(v, axes) for v in node.inputs]
            self.add(node, node.op(*inputs), axes, linear)
        elif x in self.gradients and self.is_end(node, axes):
            self.ends.append((x, node))
        else:
            raise NoPattern

    def add(self, node, pooled, axes, linear):
        v, = node.outputs
        if any(client == "output" for client, _ in v.clients):
            raise NoPattern
        self.pooled[v], self.axes[v] = pooled, axes
        if linear:
            self.gradients.add(v)

    def is_linear(self, node):
        """Whether an element-wise node is linear in a gradient; it must be if it uses one."""
        op = node.op.scalar_op
        linear = [v in self.gradients for v in node.inputs]
        if not any(linear):
            return False
        if (isinstance(op, (scalar.Add, scalar.Sub, scalar.Neg)) and all(linear) or
                isinstance(op, scalar.Mul) and sum(linear) == 1 or
                isinstance(op, scalar.TrueDiv) and linear == [True, False] or
                isinstance(op, scalar.Switch) and not linear[0] and
                all(v in self.gradients or tensor.extract_constant(v) == 0
                    for v in node.inputs[1:])):
            return True
        raise NoPattern

    def find_pooled(self, v, axes):
        """What takes the place of an input of an element-wise node."""
        if v in self.pooled:
            if self.axes[v] != axes:
                raise NoPattern
            return self.pooled[v]
        if not is_same_in_window(v, axes):
            raise NoPattern
        order = [axes.index(i) for i in range(4)]
        if axes == MAPS or all(v.broadcastable):
            return v
        if v.owner is not None and isinstance(v.owner.op, tensor.DimShuffle):
            v, order = v.owner.inputs[0], [v.owner.op.new_order[i] for i in order]
        return v.dimshuffle(order)

    @staticmethod
    def is_end(node, axes):
        """Whether a node is the gradient of a convolution, or the sum that is that of a bias."""
        if isinstance(node.op, tensor.Sum):
            return node.op.axis is not None and \
                sorted(axes[i] for i in node.op.axis) == [0, 2, 3]
        return axes == MAPS and isinstance(node.op, (AbstractConv2d_gradWeights,
                                                     AbstractConv2d_gradInputs))

    def make_pairs(self):
        z, = self.pool.outputs
        pairs = [(z, self.pooled[self.pool.inputs[0]])]
        for v, node in self.ends:
            if self.pooled[v].dtype != self.conv.dtype:
                raise NoPattern
            # the op of a gradient of the pooling
            d = MaxPoolGrad(self.pool.op.ignore_border)(
                self.conv, self.pooled[self.conv], self.pooled[v], *self.pool.inputs[1:])
            if isinstance(node.op, tensor.Sum):
                op = tensor.Sum((0, 2, 3), dtype=node.op.dtype, acc_dtype=node.op.acc_dtype)
                pairs.append((node.outputs[0], op(d)))
            else:
                pairs.append((v, d))
        return pairs
