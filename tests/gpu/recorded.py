"""Call functions on the device again and again while something changes between the calls; print
what came out beside NumPy's, and how each call was made. All numbers are whole: sums are exact."""

import json
import threading

import numpy

import lenet  # noqa: F401  (before Theano, which it gives its settings)

import theano  # isort: skip
import theano.tensor as T  # isort: skip

ROWS, COLUMNS, BATCH = 7, 3, 2  # the last minibatch has one row


def make_rows(n, seed):
    return numpy.random.RandomState(seed).randint(-3, 4, (n, COLUMNS)).astype("float32")


class Step:
    """w <- w - rate * (the sums of a minibatch's columns); its cost is the sum of rows times w."""

    def __init__(self, more_updates=()):
        self.rows, self.w, self.rate = make_rows(ROWS, 0), numpy.ones(COLUMNS, "float32"), 1
        self.shared = theano.shared(self.rows)
        self.shared_w = theano.shared(self.w)
        self.shared_rate = theano.shared(numpy.float32(self.rate))
        index = T.lscalar()
        x = self.shared[index * BATCH:(index + 1) * BATCH]
        cost = (x * self.shared_w).sum()
        self.function = theano.function([index], cost, updates=[
            (self.shared_w, self.shared_w - self.shared_rate * T.grad(cost, self.shared_w)),
            *more_updates])

    def call(self, index):
        """(by the device, by NumPy) and how"""
        how = getattr(getattr(self.function.fn, "next", None), "__name__", "theano")
        found = self.function(index)
        x = self.rows[index * BATCH:(index + 1) * BATCH]
        expected = (x * self.w).sum()
        self.w = self.w - self.rate * x.sum(axis=0)
        return found, expected, how


def run(change, at, step=None):
    """A step called twelve times, with a change before the call number ``at``."""
    step = step or Step()
    calls = []
    for number in range(12):
        if number == at:
            change(step)
        calls.append(step.call(number % 4 if change is none else number % 3))
    # What came back is still what it was then.
    return [[float(found), float(expected), how] for found, expected, how in calls] + [
        [step.shared_w.get_value().tolist(), step.w.tolist(), ""]]


def none(step):
    pass


def another_rate(step):
    step.rate = 2
    step.shared_rate.set_value(numpy.float32(2))


def a_rate_for_each_call(step):
    call = step.call

    def call_with_another_rate(index):
        step.rate += 1
        step.shared_rate.set_value(numpy.float32(step.rate))
        return call(index)

    step.call = call_with_another_rate


def other_parameters(step):
    step.w = numpy.arange(COLUMNS).astype("float32")
    step.shared_w.set_value(step.w)


def another_array(step):
    """Something else lies where the parameters were."""
    step.w = numpy.arange(COLUMNS).astype("float32")
    step.shared_w.container.storage[0] = None
    step.shared_w.set_value(step.w)
    step.other = theano.shared(numpy.full(COLUMNS, 99, "float32"))


def a_larger_set(step):
    step.rows = make_rows(3 * ROWS, 1)
    step.shared.set_value(step.rows)


def a_freed_function(step):
    """``Function.free`` drops what was computed."""
    kept = [(v, v.container.storage[0]) for v in (step.shared, step.shared_w)]
    step.function.free()
    for v, array in kept:
        v.container.storage[0] = array


def another_thread(step):
    step.end = threading.Event()
    threading.Thread(target=step.end.wait, daemon=True).start()


def main():
    found = {change.__name__: run(change, at) for change, at in [
        (none, 0), (another_rate, 5), (a_rate_for_each_call, 0), (other_parameters, 5),
        (another_array, 5), (a_larger_set, 5), (a_freed_function, 5), (another_thread, 0)]}
    count = theano.shared(0)  # on the host
    found["a_count"] = run(another_rate, 5, Step([(count, count + 1)])) + [
        [int(count.get_value()), 12, ""]]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
