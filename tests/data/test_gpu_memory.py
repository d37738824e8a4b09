"""lenet.data.gpu_memory: a full GPU is one line, with what was needed."""

import numpy
import pytest
import theano.tensor as T

from lenet.convolutional_mlp import LeNet5
from lenet.data import gpu_memory, shared_dataset
from lenet.errors import DataError, UsageError


class PygpuError(Exception):
    """As pygpu raises it."""


@pytest.mark.parametrize("text", [
    "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY: out of memory\nApply node that ...",
    "cublasCreate: (cublas) GPU ressource allocation failed.\n",
])
def test_a_full_memory_is_one_line(text):
    with pytest.raises(DataError) as error:
        with gpu_memory.explain_full_memory(
                lambda: {"the data set": 3 << 20, "a minibatch": 1 << 19}):
            raise PygpuError(text)
    assert str(error.value) == (
        "the GPU's memory is full: needed are 3.0 MiB for the data set and 0.5 MiB for a "
        "minibatch; " + gpu_memory.ADVICE)
    assert "--chunk-mb" in gpu_memory.ADVICE


def test_a_minibatch_that_is_too_large_to_count():
    with pytest.raises(UsageError, match="^9 numbers; take smaller minibatches: .* --batch-size$"):
        with gpu_memory.explain_full_memory(dict):
            raise ValueError("9 numbers; take smaller minibatches\nApply node that ...")


def test_other_errors_pass():
    with pytest.raises(PygpuError, match="^other$"):
        with gpu_memory.explain_full_memory(dict):
            raise PygpuError("other")


def test_what_a_minibatch_needs(rng):
    x = T.matrix("x")
    model = LeNet5(rng, x, (1, 16, 16), nkerns=(2, 3), n_hidden=20, filter_size=(3, 3))
    found = gpu_memory.count_minibatch_bytes(model, x, 10, 256)
    # The maps of an image: convolved 2 x 14 x 14 and 3 x 5 x 5, pooled 2 x 7 x 7 and 3 x 2 x 2; the
    # columns of its convolutions: 9 x 14 x 14 and 18 x 5 x 5.
    maps = 2 * 14 * 14 + 3 * 5 * 5 + 2 * 7 * 7 + 3 * 2 * 2
    columns = 9 * 14 * 14 + 18 * 5 * 5
    itemsize = numpy.dtype(x.dtype).itemsize
    least = 10 * itemsize * (2 * maps + columns)
    # Sums with the bias, activations and the dense layers come on top, each of a map's size.
    assert least < found < 3 * least


def test_what_datasets_need(rng):
    pairs = [shared_dataset((rng.uniform(size=(n, 6)), numpy.zeros(n))) for n in (5, 3, 2)]
    itemsize = pairs[0][0].get_value().itemsize
    assert gpu_memory.count_dataset_bytes(pairs) == 10 * 6 * itemsize
