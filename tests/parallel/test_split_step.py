"""lenet.parallel.split_step: a minibatch in shards, in one process."""

import numpy
import pytest
import theano
import theano.tensor as T
from scipy import stats
from theano.sandbox.rng_mrg import MRG_RandomStreams

from lenet.convolutional_mlp import LeNet5
from lenet.data import load_data
from lenet.errors import UsageError
from lenet.logistic_sgd import LogisticRegression
from lenet.parallel.ranks import SingleProcess, tree_sum
from lenet.parallel.shards import ShardedDataset, split_minibatches
from lenet.parallel.split_step import N_STREAMS, draw_state
from lenet.training.functions import compile_functions, find_random_states
from lenet.training.noise import apply_dropout
from lenet.training.updates import Momentum, RateByEpoch


def load_shards(dataset, number, batch_size):
    return load_data(ShardedDataset(dataset, split_minibatches(number, batch_size, SingleProcess()),
                                    SingleProcess()))


def pairwise(terms):
    """The sum of neighbours, again and again; an odd last one waits."""
    while len(terms) > 1:
        pairs = [a + b for a, b in zip(terms[::2], terms[1::2])]
        terms = pairs + terms[len(pairs) * 2:]
    return terms[0]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 12, 13])
def test_the_order_of_the_sum(rng, n):
    # Of very different sizes, so that any other order gives other bits.
    terms = list((rng.randn(n, 100) * 10.0 ** rng.randint(-4, 4, (n, 100))).astype("float32"))
    total = tree_sum(lambda i: terms[i].copy(), 0, n)
    assert total.tobytes() == pairwise(terms).tobytes()


@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("number", [2, 5, 10])
def test_shards_make_the_step_of_the_whole_minibatch(small_dataset, small_sets, number, momentum):
    (images, labels), (valid_x, valid_y), _ = small_sets
    x, y = T.matrix("x"), T.ivector("y")
    model = LogisticRegression(x, n_in=784, n_out=10)
    by_epoch = RateByEpoch(lambda epoch: 0.5 ** epoch)
    cost = model.negative_log_likelihood(y) + 0.01 * (model.W ** 2).sum()
    datasets = load_shards(small_dataset, number, 50)
    optimiser = Momentum(by_epoch.rate, momentum) if momentum else by_epoch.rate
    functions = compile_functions(model, x, y, cost, datasets, optimiser, 50)
    assert functions.n_train_batches == 5

    # The same in float64: the gradient of the softmax is its output minus 1 at the label.
    W, b, last = numpy.zeros((784, 10)), numpy.zeros(10), (0.0, 0.0)
    for step, index in enumerate((0, 3, 4, 3)):
        by_epoch.epoch_begins(step + 1)
        batch, expected = images[index * 50:][:50], labels[index * 50:][:50]
        p = numpy.exp(batch @ W + b)
        p /= p.sum(axis=1, keepdims=True)
        of_batch = (-numpy.log(p[range(50), expected]).mean() + 0.01 * (W ** 2).sum())
        assert functions.train_minibatch(index) == pytest.approx(of_batch, rel=1e-5)
        p[range(50), expected] -= 1
        gradients = batch.T @ p / 50 + 0.02 * W, p.mean(axis=0)
        last = [momentum * v - 0.5 ** (step + 1) * g for v, g in zip(last, gradients)]
        W, b = W + last[0], b + last[1]
    # Sums of 50 and 784 float32 terms.
    assert numpy.allclose(model.W.get_value(), W, atol=1e-5)
    assert numpy.allclose(model.b.get_value(), b, atol=1e-5)
    wrong = (valid_x @ W + b).argmax(axis=1) != valid_y
    assert functions.validation_error() == wrong.sum() / 130


def test_the_mask_of_a_shard_depends_on_its_number_and_the_minibatch(small_dataset, rng):
    x, y = T.matrix("x"), T.ivector("y")
    model = LeNet5(numpy.random.RandomState(0), x, nkerns=(2, 3), n_hidden=8)
    model.layer3.W.set_value(rng.randn(8, 10).astype(theano.config.floatX))
    cost = apply_dropout(model.negative_log_likelihood(y), model.layer2.output, 0.5, rng)
    datasets = load_shards(small_dataset, 2, 20)
    random_state, = find_random_states(cost)
    before = random_state.get_value()
    # At a rate of almost nothing, costs differ by their masks only.
    functions = compile_functions(model, x, y, cost, datasets, 1e-30, 20)
    costs = [functions.train_minibatch(0) for _ in range(3)]
    assert len(set(costs)) == 3
    random_state.set_value(before)
    assert [functions.train_minibatch(0) for _ in range(3)] == costs
    assert not numpy.array_equal(draw_state(before, 0), draw_state(before, 1))


def test_the_random_numbers_of_shards_are_uniform_and_independent():
    n = T.iscalar()
    streams = MRG_RandomStreams(1)
    draw = theano.function([n], streams.uniform((n,), dtype="float64"))
    state = streams.state_updates[0][0]
    seed = state.get_value()
    drawn = []
    for number in (0, 1):
        state.set_value(draw_state(seed, number))
        drawn.append(draw(100 * N_STREAMS))  # 25,600 numbers
    for numbers in drawn:
        assert stats.kstest(numbers, "uniform").pvalue > 1e-3
    # The standard deviation of a correlation of n independent pairs is 1 / sqrt(n).
    assert abs(numpy.corrcoef(*drawn)[0, 1]) < 4 / 160


@pytest.mark.parametrize("number, batch_size", [(0, 500), (-1, 500), (3, 500), (500, 0), (8, 4)])
def test_shards_of_different_sizes_are_refused(number, batch_size):
    with pytest.raises(UsageError, match=f"--shards {number} "):
        split_minibatches(number, batch_size, SingleProcess())
