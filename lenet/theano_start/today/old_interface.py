"""What the tutorials of Theano 0.6 and 0.7 call, which 1.0.5 no longer has, or computes slowly."""

import sys
import types

from lenet.theano_start.today.view import Mend


def convolve_as_now(nnet):
    """tensor/nnet/conv.py:36: the old ``conv2d``, whose ConvOp no rewrite makes fast.

    tensor/nnet/opt.py:32 has imported the original by now, and replaces convolutions with it.
    """
    original = nnet.conv.conv2d

    def conv2d(input, filters, image_shape=None, filter_shape=None, border_mode="valid",
               subsample=(1, 1), **options):
        from theano import tensor

        input, filters = map(tensor.as_tensor_variable, (input, filters))
        # Only ConvOp has the options (imshp_logical, unroll_batch, ...) and convolves integers.
        floats = {input.dtype, filters.dtype} in ({"float32"}, {"float64"})
        now = nnet.conv2d if floats and not options else original
        return now(input, filters, image_shape, filter_shape, border_mode, subsample, **options)

    nnet.conv.conv2d = conv2d


def restore_downsample(signal):
    """tensor/signal/downsample.py, gone since 1.0: its functions are in tensor/signal/pool.py."""
    name = "theano.tensor.signal.downsample"
    signal.downsample = sys.modules[name] = module = types.ModuleType(name)
    module.max_pool_2d = max_pool_2d


def max_pool_2d(input, ds, ignore_border=False, st=None, padding=(0, 0), mode="max"):
    """``theano.tensor.signal.pool.pool_2d`` by its old name, with its old arguments."""
    from theano.tensor.signal import pool

    return pool.pool_2d(input, ds, ignore_border, st, padding, mode)


MENDS = [
    Mend("theano.tensor.nnet", convolve_as_now),
    Mend("theano.tensor.signal", restore_downsample),
]
