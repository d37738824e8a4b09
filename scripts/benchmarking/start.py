"""Measure the training of LeNet-5: how soon it starts, how fast it runs, how much it needs.

Every figure comes from a process of its own, so that nothing that was measured before warms
the next one up.
"""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import theano
import theano.tensor as T

from lenet import commands
from lenet.convolutional_mlp import LeNet5, check_nkerns
from lenet.data import load_data
from lenet.errors import TrainingError, UsageError
from lenet.gpu.libraries import text
from lenet.gpu.start import find_cuda, find_device, find_driver
from lenet.training.functions import check_batch_size, compile_functions

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WARM_UP, COUNTED = 5, 30


def run(batch_size=500, nkerns=(20, 50), cold=True, say=lambda line: None):
    """Measure everything, each part in a process of its own.

    Parameters
    ----------
    batch_size : int
        Examples a minibatch.
    nkerns : sequence of 2 ints
        Number of filters of each convolution.
    cold : bool
        Whether to measure the cold start, which takes about half a minute.
    say : function of a str
        Is told what is measured next.

    Returns
    -------
    dict
        ``cold_start_s`` and ``warm_start_s``, seconds from the command to the end of the process
        that trains on one minibatch, in an empty folder of compiled graphs and then again in the
        same (without ``cold``, in the user's own folder); ``train_ms`` and ``evaluate_ms``,
        medians of 30 minibatches after 5; ``peak_mb``, most resident memory of the training
        process, in units of 2 ** 20 bytes; and ``machine``, ``batch_size``, ``nkerns``.
    """
    check_nkerns(nkerns)
    check_batch_size(batch_size, [])
    result = {
        "machine": "%s, %s threads" % (machine_name(), os.environ.get("OMP_NUM_THREADS")),
        "batch_size": batch_size,
        "nkerns": list(nkerns),
    }
    arguments = "%d, %r" % (batch_size, tuple(nkerns))
    say("cold start, about half a minute, and warm start" if cold else "warm start")
    with tempfile.TemporaryDirectory() as empty:
        folder = empty if cold else None
        first = timed_start(arguments, folder)
        result["warm_start_s"] = timed_start(arguments, folder)
    if cold:
        result["cold_start_s"] = first
    say("training and evaluation")
    result.update(json.loads(in_a_process("measure(%s)" % arguments)))
    return result


def timed_start(arguments, compile_cache=None):
    """Seconds that a process takes to start, train on one minibatch and end."""
    begin = time.perf_counter()
    in_a_process("first_minibatch(%s)" % arguments, compile_cache)
    return time.perf_counter() - begin


def in_a_process(call, compile_cache=None, module="start", **variables):
    """Run one function of a module of this package in a new process; what it printed."""
    environment = environment_of_a_process(**variables)
    if compile_cache is not None:
        flags = environment.get("THEANO_FLAGS", "")
        environment["THEANO_FLAGS"] = flags + ",base_compiledir=" + compile_cache
    code = (
        "import json; from lenet import commands; from benchmarking import %s; "
        "commands.run(lambda: print(json.dumps(%s.%s)))" % (module, module, call)
    )
    process = subprocess.run(
        [sys.executable, "-c", code], env=environment, text=True, capture_output=True
    )
    if process.returncode:
        failure = UsageError if process.returncode == commands.WRONG_USAGE else TrainingError
        raise failure(process.stderr.strip().partition(": ")[2])
    return process.stdout


def environment_of_a_process(**variables):
    """This process's environment with ``variables``, for a process that starts Theano anew."""
    # Theano marks the environment of a process that has a GPU: one forked from it could not use it.
    kept = {name: value for name, value in os.environ.items()
            if name != "THEANO_GPU_IS_ALREADY_ACTIVE"}
    # This package lies beside the script that is run.
    path = os.pathsep.join([FOLDER] + [kept[name] for name in ("PYTHONPATH",) if name in kept])
    return dict(kept, PYTHONPATH=path, **variables)


def compiled_lenet5(batch_size, nkerns):
    """The tutorial's network and functions; validation and test sets are cut to a minibatch."""
    datasets = load_data()
    for i in (1, 2):
        set_x, set_y = datasets[i]
        part_x = theano.shared(set_x.get_value(borrow=True)[:max(1, batch_size)])
        datasets[i] = part_x, set_y[:batch_size]
    x, y = T.matrix("x"), T.ivector("y")
    model = LeNet5(numpy.random.RandomState(23455), x, nkerns=nkerns)
    return model, compile_functions(model, x, y, datasets, 0.1, batch_size)


def first_minibatch(batch_size, nkerns):
    """Train on one minibatch; its cost."""
    _, functions = compiled_lenet5(batch_size, nkerns)
    return float(functions.train_minibatch(0))


def measure(batch_size, nkerns):
    """Milliseconds a minibatch and peak memory, measured in this process."""
    _, functions = compiled_lenet5(batch_size, nkerns)
    n_batches = functions.n_train_batches
    return {
        "train_ms": median_ms(lambda i: functions.train_minibatch(i % n_batches)),
        "evaluate_ms": median_ms(lambda i: functions.validation_error()),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def median_ms(step):
    """Median time of ``step(i)`` in milliseconds, of 30 calls after 5."""
    times = []
    for i in range(WARM_UP + COUNTED):
        begin = time.perf_counter()
        step(i)
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times[WARM_UP:])


def machine_name():
    """What Theano computes on: the processor, or the GPU with its driver's CUDA and its own."""
    device = theano.config.device
    if device == "cpu":
        return processor_name()
    driver = find_driver()
    gpu = find_device(driver, device)
    cuda = find_cuda(driver, gpu)
    return "%s, compute capability %s, driver for CUDA %s, NVRTC of CUDA %s" % (
        gpu.name, text(gpu.capability), text(driver.version), text(cuda.nvrtc.version))


def processor_name():
    """The processor's own name, where the system tells it."""
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
