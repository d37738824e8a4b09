"""A network of this package beside the same one in plain Theano and in PyTorch, in turn.

All compute on the device that Theano has, in float32, PyTorch without TF32, from the same data,
first parameters and order of minibatches. What else happens on the machine affects all alike:

    for each number of threads                    (new processes: libraries read it once)
      for each nkerns and size of a minibatch
        all compile, and make the same first steps: their costs have to agree
        for each round, for each step (train, evaluate), for each peer: some tenths of a second

A ratio is taken within a round, between medians of the round. A step's floating-point operations
are counted as dense multiplications: 2 for each weight of a convolution at each position of its
maps, 2 for each weight of a matrix product; three times that for training (forward, gradient of
the weights, gradient of the input), twice in the first layer, whose input needs no gradient.
"Of sgemm" is their number per second over that of a product of two square matrices, whose turn
comes after the steps. They are counted for the tutorial's LeNet-5 only.
"""
import contextlib
import itertools
import operator
import os
import re
import shlex
import statistics
import subprocess
import tempfile
from functools import partial

import numpy
import theano

from benchmarking.lenet_peer import SGEMM_SIZE, build
from benchmarking.start import machine_name
from benchmarking.worker import Process, ratio, say, take_turns
from lenet.data import load_arrays
from lenet.errors import TrainingError, UsageError
from lenet.lenet5_1998 import TABLE_I, bitmaps
from lenet.processors import thread_count

TORCH = {
    "torch-nchw": {"layout": "contiguous_format", "compiled": False},
    "torch-channels_last": {"layout": "channels_last", "compiled": False},
    "torch-compile-nchw": {"layout": "contiguous_format", "compiled": True},
    "torch-compile-channels_last": {"layout": "channels_last", "compiled": True},
}
if theano.config.device != "cpu":
    TORCH["torch-cuda-graph"] = {"layout": "contiguous_format", "compiled": False, "graph": True}
PEERS = ["lenet", "theano", *TORCH]
# The minibatches that each network is measured with: those of its script, but for LeNet-5.
NETWORKS = {"lenet5": [10, 100, 500, 2000], "network3": [10], "mlp": [20], "lenet5_1998": [10]}
STEPS = ("train", "evaluate", "sgemm")  # only lenet has sgemm
SECONDS_PER_TURN = 0.3  # three steps are made even if they take longer
SGEMM_FLOP = 2 * SGEMM_SIZE ** 3
setting_of = operator.itemgetter("threads", "nkerns", "minibatch", "step")

# The environment that holds all peers to an older instruction set: g++ for Theano and for
# torch.compile, OpenBLAS, PyTorch's kernels, oneDNN, MKL. MKL obeys on Intel's processors only; on
# AMD's it has no product for AVX-512.
ISAS = {"avx2": {
    "THEANO_FLAGS": "{},gcc.cxxflags={}".format(
        os.environ.get("THEANO_FLAGS", ""),
        shlex.quote(theano.config.gcc.cxxflags.replace("-march=native", "-march=haswell"))),
    "TORCHINDUCTOR_CPP_MARCH": "haswell",
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}}


def run(names, minibatches, nkerns, threads, rounds, torch_python, isa=None, network="lenet5"):
    """{"machine": what was measured on, "network": its name, "rows": as of ``make_rows``}"""
    if network != "lenet5":  # these have one size, and their scripts compute with one thread
        nkerns, threads = [[]], threads or [1]
    names = find_installed([name for name in PEERS if name in (names or PEERS)], torch_python)
    if not threads:
        threads = sorted({1, thread_count()})[0 if theano.config.device == "cpu" else -1:]
    machine = {"name": machine_name(), "isa": isa or "native", "threads": threads,
               "sgemm_gflops": {}}
    rows = []
    for count in threads:
        speeds = []
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            peers = {name: stack.enter_context(start_process(name, count, torch_python, isa))
                     for name in names}
            turns = {(name, step): partial(peers[name].ask,
                                           f"time_step(peer.{step}, {SECONDS_PER_TURN})")
                     for step in STEPS for name in names if name == "lenet" or step != "sgemm"}
            for pair in nkerns:
                data = write_data(os.path.join(folder, "data.npz"), pair, network)
                for size in minibatches or NETWORKS[network]:
                    say(" ".join([f"{network}, minibatches of {size}, threads: {count}",
                                  *map(str, pair and ["nkerns", *pair])]))
                    settings = {"minibatch": size, "nkerns": pair, "data": data, "threads": count,
                                "device": torch_device(), "network": network}
                    answers = {}
                    for name, peer in peers.items():
                        own = dict(settings, **TORCH.get(name, {}))
                        answers[name] = peer.ask(f"take_steps(peer := Peer(**{own}), 12)")
                    check_answers(answers, falls=network == "lenet5")
                    times = take_turns(turns, rounds)
                    new = make_rows(times, count, pair, size)
                    say("\n".join(format_table(new)))
                    rows += new
                    speeds += [SGEMM_FLOP / 1e6 / statistics.median(turn)
                               for turn in times.get(("lenet", "sgemm"), [])]
        if speeds:
            machine["sgemm_gflops"][str(count)] = statistics.median(speeds)
    for answer in answers.values():
        machine.update(answer["versions"])
    return {"machine": machine, "network": network, "rows": rows}


def find_installed(names, torch_python):
    """The peers that can be measured; those of PyTorch are left out where it is missing."""
    code = f"import torch, numpy; torch.zeros(1, device={torch_device()!r})"
    torch = [name for name in names if name in TORCH]
    if torch and subprocess.getstatusoutput(shlex.join([torch_python, "-c", code]))[0]:
        say(f"left out: {', '.join(torch)}; {torch_python} has no torch for {torch_device()}; "
            "pip install torch, or --torch-python PYTHON")
        names = [name for name in names if name not in TORCH]
    if not names:
        raise UsageError("nothing is left to measure")
    return names


def torch_device():
    """What PyTorch calls the device that Theano has: cuda0 -> cuda:0."""
    return re.sub(r"(\d+)$", r":\1", theano.config.device)


def write_data(path, nkerns, network="lenet5"):
    """Write the images, the labels and the first parameters of a network for PyTorch."""
    arrays = {}
    for name, (images, labels) in zip(("", "valid_"), load_arrays("mnist.pkl.gz")):
        arrays[name + "x"] = numpy.asarray(images, "float32").reshape(-1, 1, 28, 28)
        arrays[name + "y"] = numpy.asarray(labels, "int64")
    parameters = [p.get_value() for p in build(network, nkerns)[0].params]
    if network == "lenet5":  # the tutorial's list begins with the last layer: W, b, W, b, ...
        parameters = [p for i in (6, 4, 2, 0) for p in parameters[i:i + 2]]
    for i, p in enumerate(parameters):
        # PyTorch does not rotate filters by 180 degrees, and multiplies by the transposed matrix.
        arrays[f"parameter{i}"] = p[:, :, ::-1, ::-1] if p.ndim == 4 else p.T
    if network == "lenet5_1998":
        arrays["mask"] = numpy.array([[[[m in maps]] for m in range(6)] for maps in TABLE_I],
                                     "float32")
        arrays["centres"] = bitmaps()
    numpy.savez(path, **arrays)
    return path


def start_process(name, threads, torch_python, isa=None):
    """The process of a peer, held to one of ``ISAS`` or not."""
    own = dict(ISAS.get(isa, {}), OMP_NUM_THREADS=str(threads))
    if name in TORCH:  # without the settings that lenet made for Theano
        return Process(name, "torch_peer", [torch_python], **own, OMP_WAIT_POLICY=None,
                       OPENBLAS_THREAD_TIMEOUT=None)
    return Process(name, "lenet_peer", **own, LENET_OPS="1" if name == "lenet" else "0")


def check_answers(answers, falls=True):
    """Raise a TrainingError unless parameters and costs agree, and the costs fall; those of the
    other networks take longer to."""
    first, expected = next(iter(answers.items()))
    for name, answer in answers.items():
        costs = answer["costs"]
        if falls and not statistics.mean(costs[-4:]) < costs[0]:
            raise TrainingError(f"{name} does not learn: costs {costs}")
        if answer["parameters"] != expected["parameters"]:
            raise TrainingError(f"{name} has {answer['parameters']} parameters, "
                                f"{first} has {expected['parameters']}")
        # Sums in another order differ in the seventh digit; twelve steps make a little more of it.
        if not numpy.allclose(costs, expected["costs"], rtol=0.01):
            raise TrainingError(f"{name} has costs {costs}, {first} has {expected['costs']}")


def count_flop(step, minibatch, nkerns):
    """Floating-point operations of a step."""
    first, second = nkerns
    forward = [2 * 25 * 24 * 24 * first, 2 * 25 * first * 8 * 8 * second,
               2 * second * 4 * 4 * 500, 2 * 500 * 10]
    if step == "evaluate":
        return minibatch * sum(forward)
    return minibatch * (2 * forward[0] + 3 * sum(forward[1:]))


def make_rows(times, threads, nkerns, minibatch):
    """A dict for each step and peer; its ratio is that of the time of "lenet" to its own."""
    rows = []
    for (name, step), turns in times.items():
        if step == "sgemm":
            continue
        lower, ms, upper = statistics.quantiles(sum(turns, []), method="inclusive")
        row = {"name": name, "step": step, "minibatch": minibatch, "nkerns": list(nkerns),
               "threads": threads, "ms": ms, "ms_quartiles": [lower, upper]}
        if nkerns:
            work = count_flop(step, minibatch, nkerns)
            row["gflop"] = work / 1e9
            if ("lenet", "sgemm") in times:
                row["sgemm_share"] = work / SGEMM_FLOP * ratio(times["lenet", "sgemm"], turns)[0]
        if ("lenet", step) in times:
            row["ratio"] = ratio(times["lenet", step], turns)
        rows.append(row)
    return rows


def format_table(rows):
    """Lines of text: for each setting and step the peers, and lenet's ratio to each."""
    lines = []
    for (threads, nkerns, minibatch, step), group in itertools.groupby(rows, setting_of):
        filters = f"nkerns {nkerns[0]} {nkerns[1]}, " if nkerns else ""
        lines.append(f"{step}, minibatches of {minibatch}, {filters}"
                     f"{threads} thread{'s' * (threads > 1)}")
        group = list(group)
        best = min((row["ms"] for row in group if row["name"] in TORCH), default=None)
        for row in group:
            line = "  {name:28} {ms:9.2f} ms".format(**row)
            if "sgemm_share" in row:
                line += f"  {100 * row['sgemm_share']:3.0f} % of sgemm"
            if "ratio" in row and row["name"] != "lenet":
                line += "  lenet takes {:.2f} ({:.2f} to {:.2f}) of it".format(*row["ratio"])
            if row["name"] in TORCH and row["ms"] == best:
                line += "  <- PyTorch's best"
            lines.append(line)
    return lines
