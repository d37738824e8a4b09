"""Rounding errors of the transforms of the convolutions."""

import os

import numpy
import pytest
import theano
import theano.tensor as T
from conftest import REPOSITORY
from numpy.lib.stride_tricks import sliding_window_view
from test_convpool import reference, types

from lenet.convolutional_mlp import LeNet5
from lenet.data import load_arrays
from lenet.ops.convpool import ConvPool, ConvPoolGrad

pytestmark = pytest.mark.skipif(
    os.environ.get("LENET_OPS") == "0", reason="LENET_OPS=0 switches the ops off"
)


def compute(x, w, gz, record):
    """z and, with a record, the gradient of the filters by the ops."""
    images, filters, gradient = types(str(x.dtype), "x", "w", "gz")
    if not record:
        outputs = [ConvPool((2, 2))(images, filters)]
    else:
        z, bits = ConvPool((2, 2), record=True)(images, filters)
        outputs = [z, ConvPoolGrad((2, 2), wrt=("filters",))(images, filters, gradient, bits)]
    function = theano.function([images, filters, gradient], outputs, on_unused_input="ignore",
                               mode=theano.Mode("cvm", None))
    return function(x, w, gz)


def direct_sum(x, w):
    """Pooled maps in float32, one tap after the other, as a convolution without a transform."""
    oh, ow = x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1
    maps = numpy.zeros((len(x), len(w), oh, ow), "float32")
    for c, i, j in numpy.ndindex(*w.shape[1:]):
        maps += w[:, c, -1 - i, -1 - j, None, None] * x[:, c, None, i:i + oh, j:j + ow]
    return maps.reshape(len(x), len(w), oh // 2, 2, ow // 2, 2)


@pytest.fixture(scope="module")
def trained_values():
    """500 images, their maps of layer 0, and the filters of both layers after 200 steps."""
    images, labels = load_arrays(os.path.join(REPOSITORY, "data", "mnist.pkl.gz"))[0]
    images = numpy.asarray(images, "float32")
    x, y = T.matrix(), T.ivector()
    model = LeNet5(numpy.random.RandomState(23455), x)
    cost = model.negative_log_likelihood(y)
    gradients = T.grad(cost, model.params)
    updates = [(p, p - numpy.float32(.1) * g) for p, g in zip(model.params, gradients)]
    step = theano.function([x, y], cost, updates=updates)
    for start in range(0, 10000, 50):
        step(images[start:start + 50], labels[start:start + 50].astype("int32"))
    maps = theano.function([x], model.layer0.output)(images[:500])
    return {"layer 0": (images[:500].reshape(-1, 1, 28, 28), model.layer0.W.get_value()),
            "layer 1": (maps, model.layer1.W.get_value())}


def cases(trained_values):
    yield from trained_values.values()
    rng = numpy.random.RandomState(8)
    for width in range(2, 8):
        for channels in 1, 6, 20:
            shape = (20, channels, 6, 12 + width - 1)
            yield (rng.randn(*shape).astype("float32"),
                   rng.randn(9, channels, 3, width).astype("float32"))


def test_errors_are_at_most_three_times_those_of_a_direct_sum(trained_values):
    """Root of the mean square, against sums in float64."""
    for x, w in cases(trained_values):
        exact = reference(x, w, (2, 2), True)
        own = direct_sum(x, w).max(axis=(3, 5)) - exact
        for record in False, True:
            gz = numpy.zeros(exact.shape, "float32")
            error = compute(x, w, gz, record)[0] - exact
            assert (error ** 2).mean() <= 9 * (own ** 2).mean(), (x.shape, w.shape, record)


def test_winners_of_real_windows(trained_values):
    """In at most one of 100,000 windows of layer 1 is the maximum elsewhere than in float64."""
    images, filters = types("float32", "x", "w")
    pooled = theano.function([images, filters], ConvPool((2, 2), record=True)(images, filters))
    # As in training, which keeps the ties of layer 0: flat places stay flat.
    maps = numpy.tanh(pooled(*trained_values["layer 0"])[0])
    weights = trained_values["layer 1"][1]
    _, record = pooled(maps, weights)

    patches = sliding_window_view(maps.astype("float64"), (5, 5), axis=(2, 3))
    sums = numpy.einsum("nchwij,mcij->nmhw", patches, weights[:, :, ::-1, ::-1].astype("float64"),
                        optimize=True)
    # (500, 50, 8, 8) -> (500, 50, 4, 4, 4): the elements of each window in the order of the bits.
    windows = sums.reshape(500, 50, 4, 2, 4, 2).transpose(0, 1, 2, 4, 3, 5)
    windows = windows.reshape(500, 50, 4, 4, 4)
    largest = windows == windows.max(axis=-1, keepdims=True)
    expected = (largest << numpy.arange(4)).sum(axis=-1)
    assert record.shape == (500, 50, 4, 4) and (largest.sum(axis=-1) > 1).any()
    assert (record != expected).sum() <= record.size / 100000
