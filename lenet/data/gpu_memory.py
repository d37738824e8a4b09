"""What a training needs of a GPU's memory, and what to say when that is full."""

import contextlib

import numpy
import theano
from theano.tensor.nnet.abstract_conv import AbstractConv2d

from lenet.errors import DataError, UsageError

# CUDA's own word, and what libgpuarray makes of cuBLAS's.
FULL = ("CUDA_ERROR_OUT_OF_MEMORY", "(cublas) GPU ressource allocation failed")
ADVICE = ("keep the data set on the host and send pieces of it (--chunk-mb 64), or take a smaller "
          "--batch-size")


@contextlib.contextmanager
def explain_full_memory(needs):
    """Turn what does not fit the GPU into an error of one line.

    Parameters
    ----------
    needs : function
        Called in that case: what the GPU was to hold, a dict of text to number of bytes.

    Raises
    ------
    DataError
        The GPU's memory is full.
    UsageError
        A minibatch is larger than the GPU's functions can count.
    """
    try:
        yield
    except Exception as error:
        text = str(error)
        if "take smaller minibatches" in text:
            raise UsageError(text.splitlines()[0] + ": a smaller --batch-size") from None
        if not any(word in text for word in FULL):
            raise
        parts = " and ".join(f"{size / 2 ** 20:.1f} MiB for {what}"
                             for what, size in needs().items())
        raise DataError(f"the GPU's memory is full: needed are {parts}; {ADVICE}") from None


def count_dataset_bytes(datasets):
    """Bytes of the images that lie in shared variables, which sets in chunks have in common."""
    images = {a_set.x: a_set.x.get_value(borrow=True, return_internal_type=True)
              for a_set in datasets}
    return sum(int(value.size) * value.dtype.itemsize for value in images.values())


def count_minibatch_bytes(model, x, batch_size, n_pixels):
    """Bytes of a minibatch's maps, of their gradients, and of the columns of its convolutions.

    Parameters
    ----------
    model
        Has ``p_y_given_x``.
    x : matrix expression
        The images.
    batch_size, n_pixels : int
        The shape of a minibatch.
    """
    maps = [v for v in theano.gof.graph.ancestors([model.p_y_given_x])
            if v.owner and getattr(v, "ndim", 0) in (2, 4)]
    # Only shapes are asked for, which Theano finds on the host, computing no map.
    mode = theano.Mode("py", "fast_run").excluding("gpuarray", "lenet_ops", "inplace")
    shapes = theano.function([x], [v.shape for v in maps], mode=mode, on_unused_input="ignore")
    numbers = 0
    images = numpy.zeros((batch_size, n_pixels), theano.config.floatX)
    for v, shape in zip(maps, shapes(images)):
        numbers += 2 * int(numpy.prod(shape))
        op = v.owner.op
        if isinstance(op, AbstractConv2d) and op.kshp and None not in op.kshp:
            # (channels x rows x columns of a filter) for each position of each image
            numbers += int(shape[0] * shape[2] * shape[3]) * int(numpy.prod(op.kshp[1:]))
    return numbers * images.itemsize
