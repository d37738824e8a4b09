"""lenet.training.loop: the loop, driven by made-up errors."""

import math
import operator

from lenet.training.loop import Functions, Observer, early_stopping


class Log(Observer):
    """Writes down what it is told."""

    def __init__(self, stop_after=None):
        self.events = []
        self.stop_after = stop_after
        self.n_minibatches = 0

    def minibatch_begins(self, iteration):
        self.events.append(("begins", iteration))

    def minibatch_ends(self, result):
        self.n_minibatches += 1

    def validated(self, epoch, minibatch, error):
        self.events.append(("validated", epoch, minibatch, error))

    def improved(self, epoch, minibatch, error):
        self.events.append(("improved", epoch, minibatch, error))

    def wants_to_stop(self):
        return self.n_minibatches == self.stop_after


def run(validation_errors, n_train_batches=4, n_epochs=100, costs=None, log=None, **early):
    """Run the loop over these validation errors; the test error is always twice as large."""
    errors = iter(validation_errors)
    last = []

    def validation_error():
        last.append(next(errors))
        return last[-1]

    trained = []

    def train_minibatch(index):
        trained.append(index)
        return costs[len(trained) - 1] if costs else 0.5

    log = log or Log()
    functions = Functions(train_minibatch, validation_error, lambda: 2 * last[-1], n_train_batches)
    result = early_stopping(functions, n_epochs, observers=[log], **early)
    return result, trained, [event for event in log.events if event[0] != "begins"]


def test_all_epochs():
    result, trained, events = run([0.5, 0.25, 0.3], n_epochs=3)
    assert trained == [0, 1, 2, 3] * 3
    assert events == [
        ("validated", 1, 4, 0.5), ("improved", 1, 4, 1.0),
        ("validated", 2, 4, 0.25), ("improved", 2, 4, 0.5),
        ("validated", 3, 4, 0.3),
    ]
    assert result.stopped == "n_epochs"
    assert (result.best_validation_error, result.best_iteration) == (0.25, 7)
    assert (result.test_error, result.iteration) == (0.5, 11)


def test_patience_runs_out():
    # Validation after iterations 3, 7, 11, ...; the only improvement, at iteration 3, leaves
    # patience at max(10, 2 * 3) = 10, and the loop ends at iteration 10.
    result, trained, _ = run([0.5] * 9, patience=10)
    assert len(trained) == 11 and result.stopped == "patience"


def test_the_least_patience_validates_after_each_minibatch():
    result, trained, _ = run([0.5] * 9, patience=1)
    assert trained == [0, 1] and result.stopped == "patience"


def test_patience_grows_with_an_improvement():
    # At iteration 7 the error falls enough: patience becomes max(10, 2 * 7) = 14.
    result, trained, _ = run([0.5, 0.4] + [0.4] * 9, patience=10)
    assert len(trained) == 15 and result.best_iteration == 7


def test_a_small_improvement_is_a_new_best_but_buys_no_patience():
    # 0.4995 is below 0.5 but not below 0.995 * 0.5 = 0.4975.
    result, trained, events = run([0.5, 0.4995] + [0.5] * 9, patience=10)
    assert len(trained) == 11
    assert result.best_validation_error == 0.4995 and result.test_error == 0.999
    assert events[3][0] == "improved"


def test_patience_increase_and_improvement_threshold():
    # 0.4995 < 0.9999 * 0.5: patience becomes 3 * 7 = 21.
    _, trained, _ = run([0.5, 0.4995] + [0.5] * 9, patience=10, patience_increase=3,
                        improvement_threshold=0.9999)
    assert len(trained) == 22


def test_short_patience_validates_more_often_than_once_an_epoch():
    # min(8, 6 // 2) = 3: after iterations 2 and 5, which are minibatches 3 and 6 of 8.
    _, _, events = run([0.5] * 9, n_train_batches=8, patience=6)
    assert [event[1:3] for event in events if event[0] == "validated"] == [(1, 3), (1, 6)]


def test_the_default_patience_is_the_tutorials():
    # 10000 minibatches of 100 an epoch, with one improvement in the first epoch.
    result, trained, _ = run([0.5] * 200, n_train_batches=100, n_epochs=200)
    assert len(trained) == 10001 and result.stopped == "patience"


def test_a_cost_that_is_not_finite_stops_at_once():
    for cost in (math.nan, math.inf):
        result, trained, _ = run([0.5], costs=[1.0, 2.0, 3.0, 4.0, cost, 5.0])
        assert len(trained) == 5 and result.stopped == "diverged"
        assert result.iteration == 4 and not math.isfinite(result.cost)
        assert result.best_validation_error == 0.5


def test_the_observer_can_stop_after_a_minibatch():
    result, trained, _ = run([0.5, 0.4], log=Log(stop_after=6))
    assert len(trained) == 6 and result.stopped == "interrupted"
    assert result.best_validation_error == 0.5


def test_before_the_first_validation():
    result, _, _ = run([], log=Log(stop_after=1))
    assert result.best_validation_error == math.inf and result.test_error == 0


def test_each_minibatch_is_announced():
    log = Log()
    run([0.5], n_epochs=1, log=log)
    assert log.events[:4] == [("begins", i) for i in range(4)]


def test_of_equal_errors_the_first_or_the_last_is_the_best():
    errors = [0.5, 0.25, 0.25, 0.5]
    assert run(errors, n_epochs=4)[0].best_iteration == 2 * 4 - 1
    assert run(errors, n_epochs=4, better=operator.le)[0].best_iteration == 3 * 4 - 1


def test_endless_patience_validates_once_an_epoch():
    # At 4 minibatches an epoch, the default patience of 10000 ends after epoch 2500.
    result, _, events = run([0.5] + [0.9] * 2599, n_epochs=2600, patience=math.inf)
    assert (result.stopped, result.iteration) == ("n_epochs", 2600 * 4 - 1)
    assert len(events) == 2600 + 1


def test_each_epoch_is_announced_before_its_first_minibatch():
    class EpochLog(Log):
        def epoch_begins(self, epoch):
            self.events.append(("epoch", epoch))

    log = EpochLog()
    run([0.5] * 2, n_train_batches=2, n_epochs=2, log=log)
    assert [event for event in log.events if event[0] in ("epoch", "begins")] == [
        ("epoch", 1), ("begins", 0), ("begins", 1), ("epoch", 2), ("begins", 2), ("begins", 3),
    ]
