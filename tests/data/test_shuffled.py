"""lenet.data.shuffled: minibatches of the examples that an order names."""

import numpy
import pytest
import theano.tensor as T
from conftest import write_arrays

from lenet.data import ChunkedDataset, ShuffledDataset, StandardizedDataset, load_data
from lenet.data.chunks import MEGABYTE, ChunkedSet


@pytest.fixture
def folder(tmp_path, rng):
    """A folder with 23, 5 and 4 images of 1 x 3 x 4 of 3 classes, and its arrays."""
    sets = [(rng.randint(0, 256, (n, 1, 3, 4)).astype("uint8"), numpy.arange(n) % 3)
            for n in (23, 5, 4)]
    return write_arrays(tmp_path / "arrays", sets, ["a", "b", "c"]), sets


def read_minibatches(a_set, batch_size, n_batches):
    """What a function of a minibatch's number is given: the images as bytes, and the labels."""
    x, y = T.matrix("x"), T.ivector("y")
    read = a_set.compile((x, y), [x, y], batch_size)
    return [(numpy.rint(256 * numpy.asarray(images)).astype("uint8"), labels.tolist())
            for images, labels in map(read, range(n_batches))]


@pytest.mark.parametrize("examples_a_chunk", [None, 6, 10])
def test_minibatches_in_the_order_that_was_set(folder, rng, examples_a_chunk):
    path, sets = folder
    source = path
    if examples_a_chunk is not None:
        source = ChunkedDataset(path, 2 * examples_a_chunk * 13 * 4 / MEGABYTE)
    datasets = load_data(ShuffledDataset(source))
    assert isinstance(datasets[0], ChunkedSet) == (examples_a_chunk is not None)
    x, y = sets[0][0].reshape(23, 12), sets[0][1]
    for order in (numpy.arange(23), rng.permutation(23), rng.permutation(23)):
        datasets[0].set_order(order)
        for i, (images, labels) in enumerate(read_minibatches(datasets[0], 3, 7)):
            rows = order[3 * i:3 * i + 3]
            assert images.tolist() == x[rows].tolist() and labels == y[rows].tolist()
    # The other sets keep their order.
    for a_set, (x, _) in zip(datasets[1:], sets[1:]):
        found = read_minibatches(a_set, 2, 2)
        assert numpy.concatenate([images for images, _ in found]).tolist() == (
            x[:4].reshape(4, 12).tolist())


def test_arrays_in_memory_are_seen_in_the_order_in_chunks_too(small_dataset, rng):
    whole = load_data(ShuffledDataset(small_dataset))[0]
    chunked = load_data(ShuffledDataset(ChunkedDataset(small_dataset, 0.3)))[0]
    order = rng.permutation(250)
    for a_set in (whole, chunked):
        a_set.set_order(order)
    for (x, y), (other_x, other_y) in zip(read_minibatches(whole, 10, 25),
                                          read_minibatches(chunked, 10, 25)):
        assert (x == other_x).all() and y == other_y


def test_a_standardized_set_in_another_order(folder, rng):
    path, _ = folder
    plain = load_data(StandardizedDataset(path))
    shuffled = load_data(ShuffledDataset(StandardizedDataset(path)))
    assert shuffled.pixels == plain.pixels and shuffled.fingerprint == plain.fingerprint
    order = rng.permutation(23)
    shuffled[0].set_order(order)
    x = T.matrix("x")
    found = numpy.concatenate(shuffled[0].compile_all((x,), x, 5)())
    assert (found == plain[0].x.get_value()[order]).all()
