"""How data-parallel training scales: measured on 1 and 2 ranks, predicted for more.

A step on minibatches in K shards of s examples, on n ranks, takes

    K / n (a + b s)      gradients of the own shards: a call, and each example
    + c(n)               the sum over the ranks
    + u                  the update

The message has N floats: all gradients, the cost and the wish to stop. Up to ``ranks.FEW`` ranks,
each sends it to each other one; among more, each sends its n parts to the others, adds up one, and
sends the sum to the others. With a latency L, a bandwidth W and G seconds per float added:

    c(n) = (n - 1) (L + 4 N / W + N G)                                     n <= FEW
    c(n) = 2 (n - 1) (L + 4 N / (n W)) + (n - 1) N G / n                   otherwise

Nothing is hidden behind the gradients, all hosts send at the same time at full speed, and nobody
has to wait for a slower one.
"""
import json
import os
import shutil
import subprocess
import sys

import numpy
import scipy.optimize

from benchmarking.start import machine_name
from benchmarking.worker import say
from lenet.errors import TrainingError, UsageError
from lenet.figures import plots
from lenet.parallel import ranks

N_FLOATS = 431082  # LeNet-5's 431,080 parameters, the cost, the wish to stop
ALONE = ["16/2", "64/2", "250/2", "250/1", "500/2", "500/4", "1000/2"]
TWO = ["250/2", "500/2", "500/4", "1000/4"]
RANKS = [2 ** k for k in range(11)]
GIGABITS = [1, 10, 100]
LATENCY = 17e-6  # seconds to exchange a number by TCP, measured between two network namespaces


def run():
    """{"machine", "alone", "two", "model": a, b, u, G in seconds, "rows": predictions}"""
    say("measuring: 1 rank, then 2, about a minute")
    alone, two = measure_ranks(1, ALONE), measure_ranks(2, TWO)
    model = fit(alone["steps"])
    return {"machine": machine_name(), "alone": alone, "two": two, "model": model,
            "rows": [row for kind in ("strong", "weak") for row in predict_steps(kind, model)]}


def measure_ranks(n, cases):
    """What ``ranked.py`` measures on ``n`` ranks, with one thread each."""
    python = [sys.executable]
    if n > 1:
        mpiexec = shutil.which("mpiexec", path=os.path.dirname(sys.executable)) or "mpiexec"
        python = [mpiexec, "-n", str(n), sys.executable, "-m", "mpi4py"]
    folders = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
               *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = dict(os.environ, OMP_NUM_THREADS="1", PYTHONPATH=os.pathsep.join(folders))
    try:
        process = subprocess.run([*python, "-m", "benchmarking.ranked", *cases], text=True,
                                 stdout=subprocess.PIPE, env=environment)
    except FileNotFoundError:
        raise UsageError("no mpiexec found; install one: pip install 'lenet-theano[mpi]'") from None
    if process.returncode:
        raise TrainingError(f"the steps on {n} rank(s) failed; the message is above")
    return json.loads(process.stdout)


def fit(steps):
    """a, b, u and G from the steps of one rank: least squares of the relative errors."""
    rows, times = [], []
    for case, (ms, _) in steps.items():
        batch_size, number = map(int, case.split("/"))
        if number > 1:
            rows.append([number, batch_size, 1])
            times.append(ms / 1e3)
    rows, times = numpy.array(rows, float), numpy.array(times)
    (a, b, u), _ = scipy.optimize.nnls(rows / times[:, None], numpy.ones(len(times)))
    return {"a": a, "b": b, "u": u, "G": measure_sum()}


def measure_sum():
    """Seconds to add a float to another, in vectors of the length of a message."""
    import timeit

    total, term = numpy.zeros((2, N_FLOATS), "float32")
    return min(timeit.repeat(lambda: numpy.add(total, term, out=total), number=10)) / 10 / N_FLOATS


def message_seconds(n, gigabits, model, latency=LATENCY):
    """c(n), at so many gigabits per second."""
    sending = 32 * N_FLOATS / (gigabits * 1e9)
    adding = N_FLOATS * model["G"]
    if n <= ranks.FEW:
        return (n - 1) * (latency + sending + adding)
    return 2 * (n - 1) * (latency + sending / n) + (n - 1) * adding / n


def predict_steps(kind, model):
    """A row for each number of ranks: images per second alone, and at each bandwidth.

    "strong": minibatches of 8,192 in 1,024 shards of 8, whoever computes them; "weak": one shard
    of 125 images for each rank.
    """
    for n in RANKS:
        size = 8 if kind == "strong" else 125
        number = 1024 if kind == "strong" else n
        computing = number / n * (model["a"] + model["b"] * size)
        yield {"kind": kind, "ranks": n, "batch_size": number * size,
               "compute_ms": 1e3 * computing,
               "step_ms": {g: 1e3 * (computing + message_seconds(n, g, model) + model["u"])
                           for g in GIGABITS}}


def speedup(rows, row, gigabits):
    """Images per second over those of one rank."""
    first = next(other for other in rows if other["kind"] == row["kind"])
    return (row["batch_size"] / row["step_ms"][gigabits]
            / (first["batch_size"] / first["step_ms"][gigabits]))


def format_table(result):
    """Lines of text."""
    model, rows = result["model"], result["rows"]
    lines = [result["machine"],
             "a call takes {:.2f} ms, an example {:.4f} ms, an update {:.2f} ms, a sum {:.2f} ms"
             .format(*(1e3 * model[name] for name in "abu"), 1e3 * N_FLOATS * model["G"]),
             "ranks  minibatch/shards  ms per step  of which the sum over the ranks"]
    for n, measured in ((1, result["alone"]), (2, result["two"])):
        lines += [f"{n:5}  {case:>16} {ms:12.2f} {message:12.2f}"
                  for case, (ms, message) in measured["steps"].items()]
    lines.append("floats added up on 2 ranks: " + ", ".join(
        f"{size}: {ms:.3f} ms" for size, ms in result["two"]["messages"].items()))
    for kind in ("strong", "weak"):
        lines.append(f"{kind} scaling: ms per step and speedup at "
                     + ", ".join(f"{g} Gbit/s" for g in GIGABITS))
        for row in rows:
            if row["kind"] == kind:
                lines.append(f"{row['ranks']:5} ranks, minibatches of {row['batch_size']:6}"
                             + "".join(f" {row['step_ms'][g]:9.1f} {speedup(rows, row, g):7.1f}"
                                       for g in GIGABITS))
    return lines


def draw(result):
    """A figure: the speedup over one rank, strong and weak scaling, at each bandwidth."""
    rows = result["rows"]
    figure = plots.new_figure(10, 4)
    titles = {"strong": "strong: minibatches of 8,192", "weak": "weak: 125 images per rank"}
    for axes, (kind, title) in zip(figure.subplots(1, 2), titles.items()):
        own = [row for row in rows if row["kind"] == kind]
        axes.plot(RANKS, RANKS, color="0.8", label="ideal")
        for gigabits in GIGABITS:
            axes.plot(RANKS, [speedup(rows, row, gigabits) for row in own], marker=".",
                      label=f"{gigabits} Gbit/s")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel("ranks")
        axes.set_ylabel("images per second, over one rank's")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
