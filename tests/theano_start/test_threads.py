"""lenet.theano_start.threads: threads that share a function, and processes that fork."""

import os
import threading
import time

import pytest
import theano
import theano.tensor as T
from conftest import run_python

from lenet.theano_start.threads import make_thread_safe

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

# A network that is large enough for several processors, and its minibatches.
NETWORK = """
import multiprocessing, os, signal, sys, threading
import lenet, numpy, theano, theano.tensor as T
from lenet.convolutional_mlp import LeNet5
x, y = T.matrix("x"), T.ivector("y")
model = LeNet5(numpy.random.RandomState(0), x, nkerns=(2, 3), n_hidden=20)
rng = numpy.random.RandomState(1)
images = rng.uniform(size=(400, 784)).astype("float32")
labels = rng.randint(0, 10, 400).astype("int32")
"""

PREDICT = NETWORK + """
predict = theano.function([x], model.p_y_given_x)
features = theano.function([x], model.layer0.output.sum(axis=(2, 3)))
expected = predict(images), features(images)

def differs(function, expected, found):
    return not numpy.allclose(function(images[found]), expected[found], rtol=1e-4, atol=1e-5)
"""

TRAIN = NETWORK + """
cost = model.negative_log_likelihood(y)
step = theano.function([x, y], cost, updates=[
    (p, p - numpy.float32(0.1) * g) for p, g in zip(model.params, T.grad(cost, model.params))])

def train():
    signal.alarm(100)  # what hangs, ends
    return [float(step(images, labels)) for _ in range(2)]

train()
"""


def test_threads_share_functions():
    """Twice as many threads as sizes of minibatches, since the processors are few."""
    process = run_python("-c", PREDICT + """
wrong = []
def work(size):
    for function, values in zip((predict, features), expected):
        for start in range(0, 400 - size, 13):
            wrong.extend([size] * differs(function, values, slice(start, start + size)))

threads = [threading.Thread(target=work, args=(size,)) for size in (1, 3, 64, 130, 300) * 2]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(wrong)
""", OMP_NUM_THREADS="2")
    assert (process.stdout, process.returncode) == ("[]\n", 0), process.stderr


def test_one_thread_compiles_at_a_time():
    inside, most = [], []

    class Recorder(theano.gof.opt.Optimizer):
        """Does nothing, while others could compile."""

        def apply(self, fgraph):
            inside.append(fgraph)
            time.sleep(0.05)
            most.append(len(inside))
            inside.remove(fgraph)

    def compile_one():
        x = T.scalar()
        theano.function([x], x + 1, mode=theano.Mode("py", Recorder()))

    threads = [threading.Thread(target=compile_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 4


def test_make_thread_safe():
    inside, most = [], []

    @make_thread_safe
    def work(number, again=True):
        """Works."""
        inside.append(number)
        time.sleep(0.01)
        most.append(len(inside))
        if again:
            work(number, again=False)  # its own thread may come in
        inside.remove(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 2] * 4 and work.__doc__ == "Works."


def test_a_copied_function_has_its_own_lock():
    x = T.scalar()
    function = theano.function([x], x, mode=theano.Mode("py", None))
    copied = function.copy()
    assert function(3) == copied(3) == [3] and function.lock is not copied.lock


@forks
def test_fork_after_a_prediction():
    process = run_python("-c", PREDICT + """
def in_child(function):
    values = dict(zip((predict, features), expected))[function]
    return differs(function, values, slice(None))

def both(_):
    return in_child(predict) or in_child(features)

with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map_async(both, range(4)).get(100))
""", OMP_NUM_THREADS="2")
    assert (process.stdout, process.returncode) == ("[False, False, False, False]\n", 0), \
        process.stderr


@forks
def test_fork_after_training_steps():
    """A child and its own child go on with the training, as the parent does afterwards."""
    process = run_python("-c", TRAIN + """
def fork(depth):
    child = os.fork()
    if child == 0:
        costs.append(train())
        if depth: fork(depth - 1)
        print(*costs[-1], flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

costs = []
fork(1)
print(*train() + train())
""", OMP_NUM_THREADS="2")
    assert process.returncode == 0, process.stderr
    second, first, both = [list(map(float, line.split())) for line in process.stdout.splitlines()]
    # Sums in another order: those of a BLAS with one thread.
    assert first + second == pytest.approx(both, rel=1e-4)
    assert both == sorted(both, reverse=True)


@forks
def test_a_lock_that_another_thread_holds_is_free_in_a_child():
    process = run_python("-c", """
import os, signal, threading
import lenet, theano, theano.tensor as T
x = T.scalar()
f = theano.function([x], 2 * x)
held, done = threading.Event(), threading.Event()
def hold():
    with f.lock, theano.compile.function_module.FunctionMaker.lock:
        held.set()
        done.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(100)
    print(f(3), theano.function([x], 2 * x)(4), flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1])
done.set()
""")
    assert process.stdout == "6.0 8.0\n0\n", process.stderr


@forks
@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs Linux's /proc")
def test_a_fork_loads_no_openmp():
    process = run_python("-c", """
import os, lenet
if os.fork() == 0:
    print("libgomp" in open("/proc/self/maps").read(), flush=True)
    os._exit(0)
print(os.wait()[1], "libgomp" in open("/proc/self/maps").read())
""")
    assert process.stdout == "False\n0 False\n", process.stderr
