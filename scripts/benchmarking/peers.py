"""LeNet-5 of this package beside the same network in plain Theano and in PyTorch, in turn.

All compute on the device that Theano has, the processor or a GPU; float32, PyTorch without TF32.

Each peer is a process that stays alive (``worker.py``). All are asked for a few steps in turn,
A B C A B C ..., so that what else happens on the machine meets all of them alike:

    for each number of threads                    (new processes: libraries read it once)
      for each nkerns and size of a minibatch
        all compile, and make the same first steps: their costs have to fall, and to agree
        for each round, for each step (train, evaluate), for each peer: some tenths of a second

The peers have the same data, first parameters, learning rate and order of minibatches. A ratio is
taken within a round, between medians of the round; a row holds the median of the rounds' ratios
with the least and the greatest.

A step's floating-point operations are counted as dense multiplications: 2 for each weight of a
convolution at each position of its maps, 2 for each weight of a matrix product; three times that
for training (forward, gradient of the weights, gradient of the input), twice in the first layer,
whose input needs no gradient. Pooling, tanh, softmax and updates count nothing. "Share of sgemm"
is that number per second over the one of a product of two 2048 x 2048 matrices, measured in turn
with the steps.
"""
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import theano
import theano.tensor as T

from benchmarking.start import environment_of_a_process, machine_name
from lenet.convolutional_mlp import LeNet5, check_nkerns
from lenet.data import load_arrays
from lenet.errors import TrainingError, UsageError
from lenet.theano_start.threads import thread_count

FOLDER = os.path.dirname(os.path.abspath(__file__))
LENET = [sys.executable, "-m", "lenet", os.path.join(FOLDER, "lenet_peer.py")]
STEPS = ("train", "evaluate")
FIRST_STEPS = 12
SGEMM_FLOP = 2 * 2048 ** 3
TORCH = {"torch-nchw": ("nchw", False), "torch-channels_last": ("channels_last", False),
         "torch-compile-nchw": ("nchw", True),
         "torch-compile-channels_last": ("channels_last", True)}
PEERS = ["lenet", "theano"] + sorted(TORCH, key=lambda name: "compile" in name)


def run(peers=None, minibatches=(10, 100, 500, 2000), nkerns=((20, 50), (6, 16)), threads=None,
        rounds=7, seconds=0.3, torch_python=sys.executable, say=lambda line: None):
    """Measure all peers.

    Parameters
    ----------
    peers : list of str, optional
        Some of ``PEERS``; all unless given. One that is not installed is left out, and said so.
    minibatches : sequence of ints
        Examples a minibatch.
    nkerns : sequence of pairs of ints
        Number of filters of each convolution.
    threads : sequence of ints, optional
        Numbers of threads; one and all unless given, on a GPU all.
    rounds : int
        How often each peer gets its turn.
    seconds : float
        Length of a turn; three steps are made even if they take longer.
    torch_python : str
        The Python that has PyTorch.
    say : function of a str
        Is told what happens.

    Returns
    -------
    dict
        ``machine``, a dict of what was measured on, and ``rows``, a list of dicts: ``name`` of the
        peer, ``step``, ``minibatch``, ``nkerns``, ``threads``, ``ms`` (the median of all steps),
        ``ms_quartiles``, ``gflop`` of a step, ``sgemm_share``, and ``ratio``: the time of "lenet"
        over this row's, as (median, least, greatest) of the rounds.

    Raises
    ------
    UsageError
        A peer of another name, or a number that cannot be.
    TrainingError
        A peer fails, or trains another network than the first one.
    """
    peers = list(peers or PEERS)
    on_gpu = theano.config.device != "cpu"
    threads = list(threads or sorted({1, thread_count()})[-1 if on_gpu else 0:])
    check(peers, minibatches, nkerns, threads, rounds)
    peers = installed(peers, torch_python, say)
    machine = {"name": machine_name(), "threads": threads, "sgemm_gflops": {},
               "theano": theano.__version__}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for count in threads:
            workers = {name: Worker(name, count, torch_python) for name in peers}
            try:
                for pair in nkerns:
                    data = write_data(os.path.join(folder, "data.npz"), pair)
                    for size in minibatches:
                        say("minibatches of %d, nkerns %d %d, threads: %d: compiling"
                            % ((size,) + tuple(pair) + (count,)))
                        prepare(workers, minibatch=size, nkerns=list(pair), data=data,
                                first_steps=FIRST_STEPS)
                        say("  measuring")
                        times = in_turn(workers, rounds, seconds)
                        new = to_rows(times, count, pair, size)
                        rows += new
                        for line in table(new):
                            say("  " + line)
                        if "sgemm" in times:
                            speed = machine["sgemm_gflops"].setdefault(str(count), [])
                            speed += [SGEMM_FLOP / 1e6 / statistics.median(turn)
                                      for turn in times["sgemm"]]
            finally:
                for worker in workers.values():
                    worker.stop()
    for worker in workers.values():
        machine.update({key: worker.answer[key] for key in ("torch",) if key in worker.answer})
    for count, speeds in machine["sgemm_gflops"].items():
        machine["sgemm_gflops"][count] = statistics.median(speeds)
    return {"machine": machine, "rows": rows}


def check(peers, minibatches, nkerns, threads, rounds):
    """Raise a UsageError for an argument that cannot work."""
    for name in peers:
        if name not in PEERS:
            raise UsageError("peer %s; expected some of %s" % (name, ", ".join(PEERS)))
    for pair in nkerns:
        check_nkerns(pair)
    for name, values, most in (("minibatches", minibatches, 10000), ("threads", threads, 1024),
                               ("rounds", [rounds], 1000)):
        for value in values:
            if not 1 <= value <= most:
                raise UsageError("%s %s; expected whole numbers from 1 to %d" % (name, value, most))


def installed(peers, torch_python, say):
    """The peers that can be measured; the others are named."""
    wants_torch = [name for name in peers if name in TORCH]
    if wants_torch:
        try:
            code = "import torch, numpy; torch.zeros(1, device=%r)" % torch_device()
            found = subprocess.run([torch_python, "-c", code], capture_output=True).returncode == 0
        except OSError:
            found = False
        if not found:
            for name in wants_torch:
                say("%s is left out: %s has no torch for %s; pip install torch, or "
                    "--torch-python PYTHON" % (name, torch_python, torch_device()))
            peers = [name for name in peers if name not in TORCH]
            if not peers:
                raise UsageError("nothing is left to measure")
    return peers


def torch_device():
    """What PyTorch calls the device that Theano has: cuda0 -> cuda:0."""
    return re.sub(r"(\d+)$", r":\1", theano.config.device)


def write_data(path, nkerns):
    """Write the images, the labels and the first parameters of LeNet-5 for the other peers."""
    (x, y), (valid_x, valid_y), _ = load_arrays("mnist.pkl.gz")
    model = LeNet5(numpy.random.RandomState(23455), T.matrix(), nkerns=nkerns)
    arrays = {"parameter%d" % i: p.get_value() for i, p in enumerate(model.params)}
    for name, images, labels in (("", x, y), ("valid_", valid_x, valid_y)):
        arrays[name + "x"] = numpy.asarray(images, "float32").reshape(-1, 1, 28, 28)
        arrays[name + "y"] = numpy.asarray(labels, "int64")
    numpy.savez(path, **arrays)
    return path


class Worker:
    """The process of a peer."""

    def __init__(self, name, threads, torch_python):
        self.name = name
        self.answer = {}
        environment = environment_of_a_process(OMP_NUM_THREADS=str(threads))
        if name in TORCH:
            layout, compiled = TORCH[name]
            command = [torch_python, os.path.join(FOLDER, "torch_peer.py"), layout,
                       str(int(compiled)), str(threads), torch_device()]
            for setting in ("OMP_WAIT_POLICY", "OPENBLAS_THREAD_TIMEOUT"):  # ours, not PyTorch's
                environment.pop(setting, None)
        else:
            command = LENET
            environment["LENET_OPS"] = "1" if name == "lenet" else "0"
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, env=environment, text=True, stderr=self.errors,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, **request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # receive() says why

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            last = (self.errors.read().strip().splitlines() or ["no message"])[-1]
            raise TrainingError("%s ended: %s" % (self.name, last))
        answer = json.loads(line)
        if "error" in answer:
            raise TrainingError("%s: %s" % (self.name, answer["error"]))
        return answer

    def ask(self, **request):
        self.send(**request)
        return self.receive()

    def stop(self):
        self.process.kill()
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self.errors):
            file.close()


def prepare(workers, **settings):
    """Let all compile, one after the other, and check that they train the same network."""
    for worker in workers.values():
        worker.answer = worker.ask(prepare=settings)
    check_answers({name: worker.answer for name, worker in workers.items()})


def check_answers(answers):
    """Raise a TrainingError unless parameters and costs agree, and the costs fall."""
    first = list(answers)[0]
    for name, answer in answers.items():
        costs = answer["costs"]
        if not statistics.mean(costs[-4:]) < costs[0]:
            raise TrainingError("%s does not learn: costs %s" % (name, costs))
        if answer["parameters"] != answers[first]["parameters"]:
            raise TrainingError("%s has %d parameters, %s has %d" % (
                name, answer["parameters"], first, answers[first]["parameters"]))
        # Sums in another order differ in the seventh digit; twelve steps make a little more of it.
        if not numpy.allclose(costs, answers[first]["costs"], rtol=0.01):
            raise TrainingError("%s has costs %s, %s has %s"
                                % (name, costs, first, answers[first]["costs"]))


def in_turn(workers, rounds, seconds):
    """{(name, step): for each round its milliseconds}, and "sgemm" where lenet is among them."""
    times = {}
    for _ in range(rounds):
        for step in STEPS:
            for name, worker in workers.items():
                time.sleep(0.02)  # threads that wait in a loop fall asleep
                turn = worker.ask(time=step, seconds=seconds)["ms"]
                times.setdefault((name, step), []).append(turn)
        if "lenet" in workers:
            turn = workers["lenet"].ask(time="sgemm", seconds=seconds)["ms"]
            times.setdefault("sgemm", []).append(turn)
    return times


def flop(step, minibatch, nkerns):
    """Floating-point operations of a step; see the top of this file."""
    first, second = nkerns
    forward = [2 * 25 * 24 * 24 * first, 2 * 25 * first * 8 * 8 * second,
               2 * second * 4 * 4 * 500, 2 * 500 * 10]
    if step == "evaluate":
        return minibatch * sum(forward)
    return minibatch * (2 * forward[0] + 3 * sum(forward[1:]))


def to_rows(times, threads, nkerns, minibatch):
    """The rows of one setting, for each step and peer."""
    rows = []
    sgemm = times.get("sgemm")
    for name, step in sorted((key for key in times if key != "sgemm"),
                             key=lambda key: (STEPS.index(key[1]), PEERS.index(key[0]))):
        turns = times[name, step]
        every = [ms for turn in turns for ms in turn]
        work = flop(step, minibatch, nkerns)
        row = {"name": name, "step": step, "minibatch": minibatch, "nkerns": list(nkerns),
               "threads": threads, "ms": statistics.median(every),
               "ms_quartiles": [float(q) for q in numpy.percentile(every, [25, 75])],
               "gflop": work / 1e9}
        if sgemm:
            row["sgemm_share"] = statistics.median(
                work / statistics.median(turn) * statistics.median(multiply) / SGEMM_FLOP
                for turn, multiply in zip(turns, sgemm))
        if ("lenet", step) in times:
            ratios = [statistics.median(own) / statistics.median(turn)
                      for own, turn in zip(times["lenet", step], turns)]
            row["ratio"] = [statistics.median(ratios), min(ratios), max(ratios)]
        rows.append(row)
    return rows


def best_torch(rows):
    """Of rows of one setting and step the one of PyTorch's fastest mode, or None."""
    return min((row for row in rows if row["name"] in TORCH), key=lambda row: row["ms"],
               default=None)


def settings_of(rows):
    """The settings and steps among rows, in their order, each with its rows."""
    groups = {}
    for row in rows:
        key = (row["threads"], tuple(row["nkerns"]), row["minibatch"], row["step"])
        groups.setdefault(key, []).append(row)
    return groups


def table(rows):
    """Lines of text: for each setting and step the peers, and lenet's ratio to the best of torch.

    A ratio stands with the least and the greatest of the rounds.
    """
    lines = []
    for (threads, nkerns, minibatch, step), group in settings_of(rows).items():
        lines.append("%s, minibatches of %d, nkerns %d %d, %d %s"
                     % (step, minibatch, *nkerns, threads, "thread" if threads == 1 else "threads"))
        best = best_torch(group)
        for row in group:
            line = "  %-28s %9.2f ms" % (row["name"], row["ms"])
            if "sgemm_share" in row:
                line += "  %3.0f %% of sgemm" % (100 * row["sgemm_share"])
            if "ratio" in row and row["name"] != "lenet":
                line += "  lenet takes %.2f (%.2f to %.2f) of it" % tuple(row["ratio"])
            lines.append(line + ("  <- PyTorch's best" if row is best else ""))
    return lines
