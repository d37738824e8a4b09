"""lenet.parallel.shards: each process holds its shards of every minibatch, and nothing else."""

import numpy
import pytest
import theano.tensor as T
from conftest import write_arrays

from lenet.data import ChunkedDataset, load_data
from lenet.data.chunks import ChunkedSet
from lenet.parallel.ranks import SingleProcess
from lenet.parallel.shards import ShardedDataset, Shards


@pytest.fixture
def folder(tmp_path, rng):
    """A folder of arrays with 53, 17 and 11 images of 1 x 2 x 3, and the images as bytes."""
    sets = [(rng.randint(0, 256, (n, 1, 2, 3)).astype("uint8"), numpy.arange(n) % 3)
            for n in (53, 17, 11)]
    return write_arrays(tmp_path / "arrays", sets, ["a", "b", "c"]), sets


@pytest.mark.parametrize("chunk_mb", [None, 5e-4])
@pytest.mark.parametrize("own", [range(0, 4), range(0, 1), range(2, 4), range(3, 4)])
def test_a_process_sees_its_shards_of_each_minibatch(folder, own, chunk_mb):
    path, sets = folder
    source = path if chunk_mb is None else ChunkedDataset(path, chunk_mb)
    datasets = load_data(ShardedDataset(source, Shards(4, 12, own), SingleProcess()))
    train_set = datasets[0]
    assert isinstance(train_set.own_set, ChunkedSet) == (chunk_mb is not None)
    x, y = T.matrix(), T.ivector()
    shard = train_set.own_set.compile([x, y], [x, y], 3)
    bytes_x, labels = sets[0]
    for minibatch in (0, 1, 3, 2, 0):
        for number in own:
            held = minibatch * len(own) + number - own.start
            x, y = shard(held)
            rows = slice(minibatch * 12 + number * 3, minibatch * 12 + number * 3 + 3)
            assert numpy.array_equal(x * 256, bytes_x[rows].reshape(3, 6))
            assert numpy.array_equal(y, labels[rows])
    # 53 examples are 4 minibatches of 12.
    assert train_set.own_set.n_examples == 4 * 3 * len(own)
    assert train_set.n_examples == 53 and train_set.n_pixels == 6
    assert [a_set.n_examples for a_set in datasets[1:]] == [17, 11]
