"""lenet.training.shuffle: another order in each epoch, the same one after an interruption."""

from lenet.training.loop import Functions, Observer, early_stopping
from lenet.training.shuffle import EpochShuffle


class Orders:
    """A training set of 195 examples that remembers its orders."""

    n_examples = 195

    def __init__(self):
        self.orders = []

    def set_order(self, order):
        self.orders.append(order.tolist())


class Continuation(Observer):
    """An earlier process ended after this minibatch."""

    def __init__(self, done):
        self.done = done

    def training_begins(self, functions, n_epochs, result):
        result.iteration = self.done


def train(n_epochs, seed=3, done=-1):
    """The orders of a training in minibatches of 20."""
    train_set, shuffle = Orders(), EpochShuffle(seed)
    shuffle.model_built(None, [train_set, None, None])
    functions = Functions(lambda index: 1.0, lambda: 0.5, lambda: 0.5, 9)
    early_stopping(functions, n_epochs, observers=[Continuation(done), shuffle])
    return train_set.orders


def test_each_epoch_has_all_examples_in_an_order_of_its_own():
    orders = train(5)
    assert len(orders) == 5
    assert all(sorted(order) == list(range(195)) for order in orders)
    assert len(set(map(tuple, orders))) == 5
    # 9 minibatches of 20 leave 15 examples out, each time others.
    assert set.intersection(*(set(order[180:]) for order in orders)) == set()
    assert train(5, seed=4) != orders


def test_an_epoch_that_was_interrupted_goes_on_in_its_order():
    assert train(5, done=9 * 2 + 4) == train(5)[2:]
