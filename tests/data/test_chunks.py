"""lenet.data.chunks: sets that are seen a chunk at a time give the same numbers as whole ones."""

import gc
import threading

import numpy
import pytest
import theano
import theano.tensor as T

from lenet.data import ChunkedDataset, load_data, shared_dataset
from lenet.data.chunks import MEGABYTE, ChunkedSet, Window
from lenet.errors import DataError, UsageError
from lenet.logistic_sgd import LogisticRegression
from lenet.training.evaluation import compile_error, compile_predictions
from lenet.training.functions import compile_functions

ITEMSIZE = numpy.dtype(theano.config.floatX).itemsize


def count_megabytes(n_examples, n_pixels):
    """What two chunks of so many examples take."""
    return 2 * n_examples * (n_pixels + 1) * ITEMSIZE / MEGABYTE


def train(datasets, batch_size, order):
    """Parameters, costs and errors of a logistic regression after these minibatches."""
    x, y = T.matrix("x"), T.ivector("y")
    model = LogisticRegression(x, n_in=24, n_out=3)
    functions = compile_functions(model, x, y, model.negative_log_likelihood(y), datasets, 0.5,
                                  batch_size)
    numbers = []
    for i, index in enumerate(order):
        numbers.append(float(functions.train_minibatch(index)))
        if i % 7 == 6:
            numbers += [functions.validation_error(), functions.test_error()]
    assert functions.n_train_batches == 53 // batch_size
    return model.W.get_value().tobytes(), model.b.get_value().tobytes(), numbers


@pytest.mark.parametrize("examples_a_chunk", [4, 9, 40])
def test_training_in_chunks_is_training_in_one_piece_bit_by_bit(array_set, examples_a_chunk):
    path, _ = array_set
    # Two epochs; some minibatches out of order; then as a run that is resumed in the middle.
    order = [*range(13), *range(13), 5, 2, 12, 0, *range(7, 13), *range(3)]
    whole = train(load_data(path), 4, order)
    chunked = load_data(ChunkedDataset(path, count_megabytes(examples_a_chunk, 24)))
    assert all(isinstance(a_set, ChunkedSet) for a_set in chunked)
    assert train(chunked, 4, order) == whole


def test_arrays_in_memory_come_in_chunks_likewise(small_dataset):
    whole, chunked = load_data(small_dataset), load_data(
        ChunkedDataset(small_dataset, count_megabytes(20, 784)))
    assert isinstance(chunked[0], ChunkedSet) and chunked.class_names == whole.class_names
    x, y = T.matrix("x"), T.ivector("y")
    model = LogisticRegression(x, n_in=784, n_out=10)
    cost = model.negative_log_likelihood(y)
    f, g = (compile_functions(model, x, y, cost, sets, 1e-30, 10) for sets in (whole, chunked))
    for index in (0, 1, 2, 24, 7):  # with steps that change nothing
        assert f.train_minibatch(index) == g.train_minibatch(index)
    assert f.validation_error() == g.validation_error()
    for sets in (whole, chunked):
        assert (sets[0].n_examples, sets[0].n_pixels) == (250, 784)


def test_each_example_of_a_set_is_seen_once(array_set, rng):
    path, sets = array_set
    chunked = load_data(ChunkedDataset(path, count_megabytes(6, 24)))
    x, y = T.matrix("x"), T.ivector("y")
    model = LogisticRegression(x, n_in=24, n_out=3)
    model.W.set_value(rng.randn(24, 3).astype(theano.config.floatX))
    for a_set, (bytes_x, labels) in zip(chunked, sets):
        scores = (bytes_x.reshape(len(labels), 24) / 256).dot(model.W.get_value())
        predictions = compile_predictions(model, x, a_set, 3)()
        assert predictions.tolist() == scores.argmax(axis=1).tolist()
        assert compile_error(model, x, y, a_set, 3)() == (predictions != labels).sum() / len(labels)


def test_sets_that_fit_are_placed_in_one_piece(array_set):
    path, _ = array_set
    n_bytes = (53 + 17 + 11) * 25 * ITEMSIZE
    for chunk_mb, chunked in (n_bytes / MEGABYTE, False), ((n_bytes - 1) / MEGABYTE, True):
        for a_set in load_data(ChunkedDataset(path, chunk_mb)):
            assert isinstance(a_set, ChunkedSet) == chunked


def test_two_buffers_hold_all_chunks_of_all_sets(array_set):
    path, _ = array_set
    chunk_mb = count_megabytes(8, 24)
    sets = load_data(ChunkedDataset(path, chunk_mb))
    window = sets[0].window
    addresses = set()
    for a_set in [*sets, *sets]:
        for index in range(a_set.n_examples // 4):
            window.show(a_set, index, 4)
            x, y = (variable.get_value(borrow=True)
                    for variable in (window.shared_x, window.shared_y))
            assert x.shape[0] == len(y) <= 8
            # The shared variable holds the buffer itself, not a copy.
            assert any(numpy.shares_memory(x, buffer) for buffer in window.buffers)
            addresses.add(x.ctypes.data)
    assert len(addresses) == 2
    assert sum(buffer.nbytes for buffer in window.buffers) <= chunk_mb * MEGABYTE


def test_the_chunk_that_follows_is_read_meanwhile(array_set):
    path, sets = array_set
    a_set = load_data(ChunkedDataset(path, count_megabytes(8, 24)))[0]
    readers, read = [], a_set.read

    def record_read(start, size, buffer):
        readers.append((start, threading.current_thread()))
        return read(start, size, buffer)

    a_set.read = record_read
    for index in range(14):
        a_set.window.show(a_set, index, 4)
        a_set.window.awaited_result.result()
        # The chunk at hand, and the one that follows; after the last one the first again.
        assert [start for start, _ in readers] == [*range(0, 56, 8), 0][:index // 2 + 2]
    assert all(thread is not threading.main_thread() for _, thread in readers)


@pytest.mark.parametrize("chunk_mb", [0, -1, float("nan"), float("inf")])
def test_no_size_of_chunks(array_set, chunk_mb):
    with pytest.raises(UsageError, match="chunks of .* MB; expected a positive number"):
        load_data(ChunkedDataset(array_set[0], chunk_mb))


def test_too_small_for_two_minibatches(rng):
    x, y = T.matrix("x"), T.ivector("y")
    model = LogisticRegression(x, n_in=9999, n_out=2)
    pair = numpy.zeros((60, 9999), "float32"), numpy.arange(60) % 2

    def compile_in_chunks(chunk_mb):
        window = Window(chunk_mb)
        sets = [ChunkedSet(*pair, window) for _ in range(3)]
        return compile_functions(model, x, y, model.negative_log_likelihood(y), sets, 0.1, 20)

    with pytest.raises(UsageError, match="1 MB; expected at least .* MB, .* of 20 images") as error:
        compile_in_chunks(1)
    least = float(str(error.value).split("at least ")[1].split(" MB")[0])
    # 2 * 20 * 10000 numbers
    assert least == pytest.approx(400000 * ITEMSIZE / MEGABYTE, abs=0.01)
    assert compile_in_chunks(least).n_train_batches == 3


def test_a_file_that_loses_its_end_while_it_is_read(array_set):
    path, _ = array_set
    sets = load_data(ChunkedDataset(path, count_megabytes(8, 24)))
    a_set = sets[0]
    a_set.show(0, 4)
    with open(path + "/train_x.npy", "r+b") as file:
        file.truncate(128 + 30 * 24)
    with pytest.raises(DataError, match="train_x.npy: truncated while it was used"):
        for index in range(13):
            a_set.window.show(a_set, index, 4)
    # The other sets are still there.
    sets[1].show(3, 4)
    assert len(sets[1].window.shared_y.get_value()) == 8  # examples 8 to 15 of 17


def test_the_thread_ends_with_the_sets(array_set):
    def list_readers():
        return [thread for thread in threading.enumerate() if thread.name.startswith("chunks")]

    before = list_readers()
    sets = load_data(ChunkedDataset(array_set[0], count_megabytes(8, 24)))
    sets[0].show(0, 4)
    mine, = set(list_readers()) - set(before)
    del sets
    for _ in range(600):
        gc.collect()
        mine.join(timeout=0.1)
        if not mine.is_alive():
            break
    assert not mine.is_alive()


def test_a_set_as_any_other(rng):
    x, y = rng.rand(5, 4), numpy.arange(5)
    for a_set in (ChunkedSet(x, y, Window(1)), shared_dataset((x, y))):
        assert (a_set.n_examples, a_set.n_pixels) == (5, 4)
        assert a_set.labels().tolist() == y.tolist()
        variables = [T.matrix(), T.ivector()]
        minibatch = a_set.compile(variables, variables, 2)
        for i in range(3):  # the last one has a single example
            found_x, found_y = minibatch(i)
            numpy.testing.assert_array_equal(found_x, x[2 * i:2 * i + 2].astype(found_x.dtype))
            numpy.testing.assert_array_equal(found_y, y[2 * i:2 * i + 2])
