"""What the tutorials of Theano 0.6 and 0.7 call, which 1.0.5 no longer has, or computes slowly.

Modules with these functions are made by old_names.py.
"""

from lenet.theano_start.today.view import Mend


def convolve_as_now(nnet):
    """tensor/nnet/conv.py:36: the old ``conv2d``, whose ConvOp no rewrite makes fast.

    tensor/nnet/opt.py:32 has imported the original by now, and replaces convolutions with it.
    """
    original = nnet.conv.conv2d

    def conv2d(input, filters, image_shape=None, filter_shape=None, border_mode="valid",
               subsample=(1, 1), input_shape=None, **options):
        from theano import tensor

        input, filters = map(tensor.as_tensor_variable, (input, filters))
        image_shape = input_shape if image_shape is None else image_shape
        # Only ConvOp has the options (imshp_logical, unroll_batch, ...) and convolves integers.
        floats = {input.dtype, filters.dtype} in ({"float32"}, {"float64"})
        now = nnet.conv2d if floats and not options else original
        return now(input, filters, image_shape, filter_shape, border_mode, subsample, **options)

    nnet.conv.conv2d = conv2d


def max_pool_2d(input, ds, ignore_border=False, st=None, padding=(0, 0), mode="max"):
    """``theano.tensor.signal.pool.pool_2d`` by its old name, with its old arguments."""
    from theano.tensor.signal import pool

    return pool.pool_2d(input, ds, ignore_border, st, padding, mode)


class DownsampleFactorMax:
    """The op of ``max_pool_2d``: called with images, it gives the pooled ones."""

    def __init__(self, ds, ignore_border=False, st=None, padding=(0, 0), mode="max"):
        self.arguments = ds, ignore_border, st, padding, mode

    def __call__(self, x):
        return max_pool_2d(x, *self.arguments)

    @staticmethod
    def out_shape(imgshape, ds, ignore_border=False, st=None, padding=(0, 0)):
        """The shape of the pooled images."""
        from theano.tensor.signal import pool

        return pool.Pool.out_shape(imgshape, ds, ignore_border, st, padding)


# Their axes: batch, row, column, time, channel; now the channel is second.
TO_SECOND, TO_LAST = (0, 4, 1, 2, 3), (0, 2, 3, 4, 1)


def conv3D(V, W, b, d):
    """The correlation of videos V with filters W of shape (filters, rows, columns, times,
    channels), plus the biases b; d has the strides."""
    from theano import tensor

    maps = tensor.nnet.conv3d(V.dimshuffle(TO_SECOND), W.dimshuffle(TO_SECOND),
                              subsample=to_numbers(d), filter_flip=False)
    return maps.dimshuffle(TO_LAST) + b


def convGrad3D(V, d, WShape, dCdH):
    """The gradient of ``conv3D`` with respect to W, of shape WShape, from that of its result."""
    return take_back(lambda W: conv3D(V, W, 0, d), WShape, dCdH)


def convTransp3D(W, b, d, H, RShape=None):
    """The transpose of ``conv3D``: from its result H to videos with RShape rows, columns and
    times, by default the fewest, plus b."""
    if RShape is None:
        strides = to_numbers(d)
        RShape = [(H.shape[1 + i] - 1) * strides[i] + W.shape[1 + i] for i in range(3)]
    shape = [H.shape[0], RShape[0], RShape[1], RShape[2], W.shape[4]]
    return take_back(lambda V: conv3D(V, W, 0, d), shape, H) + b


def take_back(function, shape, gradient):
    """The gradient of a linear function with respect to its argument of this shape, from that of
    its result."""
    from theano import Lop, tensor

    argument = tensor.alloc(tensor.zeros((), gradient.dtype),
                            *(shape[i] for i in range(gradient.ndim)))
    return Lop(function(argument), argument, gradient)


def to_numbers(strides):
    """Three strides as numbers, which today's convolutions require."""
    from theano import tensor

    strides = tensor.as_tensor_variable(strides)
    return tuple(int(tensor.get_scalar_constant_value(strides[i])) for i in range(3))


def accept_use_cuda(rng_mrg):
    """sandbox/rng_mrg.py:683: ``use_cuda``, which once chose the GPU; today the device does."""
    original = rng_mrg.MRG_RandomStreams.__init__

    def __init__(self, seed=12345, use_cuda=None):
        original(self, seed)

    rng_mrg.MRG_RandomStreams.__init__ = __init__


MENDS = [
    Mend("theano.tensor.nnet", convolve_as_now),
    Mend("theano.sandbox.rng_mrg", accept_use_cuda),
]
