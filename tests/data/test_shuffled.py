"""lenet.data.shuffled: minibatches of the examples that an order names."""

import numpy
import pytest
import theano.tensor as T

from lenet.data import ChunkedDataset, ShuffledDataset, StandardizedDataset, load_data
from lenet.data.chunks import MEGABYTE, ChunkedSet


def read_minibatches(a_set, batch_size, n_batches):
    """What a function of a minibatch's number is given: the images as bytes, and the labels."""
    x, y = T.matrix("x"), T.ivector("y")
    read = a_set.compile((x, y), [x, y], batch_size)
    return [(numpy.rint(256 * numpy.asarray(images)).astype("uint8"), labels.tolist())
            for images, labels in map(read, range(n_batches))]


@pytest.mark.parametrize("examples_a_chunk", [None, 6, 10])
def test_minibatches_in_the_order_that_was_set(array_set, rng, examples_a_chunk):
    path, sets = array_set
    source = path
    if examples_a_chunk is not None:
        source = ChunkedDataset(path, 2 * examples_a_chunk * 25 * 4 / MEGABYTE)
    datasets = load_data(ShuffledDataset(source))
    assert isinstance(datasets[0], ChunkedSet) == (examples_a_chunk is not None)
    x, y = sets[0][0].reshape(53, 24), sets[0][1]
    for order in (numpy.arange(53), rng.permutation(53), rng.permutation(53)):
        datasets[0].set_order(order)
        for i, (images, labels) in enumerate(read_minibatches(datasets[0], 3, 17)):
            rows = order[3 * i:3 * i + 3]
            assert images.tolist() == x[rows].tolist() and labels == y[rows].tolist()
    # The other sets keep their order.
    for a_set, (x, _) in zip(datasets[1:], sets[1:]):
        found = read_minibatches(a_set, 2, 2)
        assert numpy.concatenate([images for images, _ in found]).tolist() == (
            x[:4].reshape(4, 24).tolist())


def test_arrays_in_memory_are_seen_in_the_order_in_chunks_too(small_dataset, rng):
    whole = load_data(ShuffledDataset(small_dataset))[0]
    chunked = load_data(ShuffledDataset(ChunkedDataset(small_dataset, 0.3)))[0]
    order = rng.permutation(250)
    for a_set in (whole, chunked):
        a_set.set_order(order)
    for (x, y), (other_x, other_y) in zip(read_minibatches(whole, 10, 25),
                                          read_minibatches(chunked, 10, 25)):
        assert (x == other_x).all() and y == other_y


def test_a_standardized_set_in_another_order(array_set, rng):
    path, _ = array_set
    plain = load_data(StandardizedDataset(path))
    shuffled = load_data(ShuffledDataset(StandardizedDataset(path)))
    assert shuffled.pixels == plain.pixels and shuffled.fingerprint == plain.fingerprint
    order = rng.permutation(53)
    shuffled[0].set_order(order)
    x = T.matrix("x")
    found = numpy.concatenate(shuffled[0].compile_all((x,), x, 5)())
    assert (found == plain[0].x.get_value()[order]).all()
