"""How steps are timed, and the processes that they run in.

A ``Process`` is ``python worker.py MODULE``, kept alive while others have their turn. Each line
that it is sent is an expression, with the names of the module and of this one, and is answered by
its value as a line of JSON. PyTorch's Python need not have lenet, which is not imported here.
"""
import contextlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import time

SCRIPTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Starts Theano before the worker, whether lenet is installed or not.
WITH_LENET = (sys.executable, os.path.join(SCRIPTS, "lenet.py"))


class Process(subprocess.Popen):
    """A worker; ``environment`` changes this process's, and None takes a variable away."""

    def __init__(self, name, module, python=WITH_LENET, **environment):
        self.name = name
        # Theano marks the environment of a process that has a GPU, which a child cannot share.
        changed = dict(os.environ, THEANO_GPU_IS_ALREADY_ACTIVE=None, **environment)
        super().__init__([*python, __file__, module], text=True, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, start_new_session=True,  # Ctrl-C is for us alone
                         env={name: value for name, value in changed.items() if value is not None})

    def ask(self, expression):
        """Its value, or a TrainingError where the worker fails."""
        with contextlib.suppress(BrokenPipeError):
            print(expression, file=self.stdin, flush=True)
        answer = self.stdout.readline()
        if not answer:
            from lenet.errors import TrainingError

            raise TrainingError(f"{self.name} ended; its message is above")
        return json.loads(answer)

    def __exit__(self, kind, *details):
        if kind:
            self.kill()
        with contextlib.suppress(BrokenPipeError):
            super().__exit__(kind, *details)  # closes its input, so that it ends


def main(name):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # stray prints must not mix with the answers
    sys.path[0] = SCRIPTS
    names = {**globals(), **vars(importlib.import_module("benchmarking." + name))}
    for line in sys.stdin:
        print(json.dumps(eval(line, names)), file=answers, flush=True)


def take_steps(peer, n):
    """Their costs, and facts about the peer."""
    return dict(peer.facts, costs=[peer.train(i) for i in range(n)])


def time_step(step, seconds, least=3):
    """Milliseconds of each of at least three steps within some seconds, after one not counted."""
    step(0)
    times = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        begin = time.perf_counter()
        step(len(times) + 1)
        times.append(1e3 * (time.perf_counter() - begin))
    return times


def take_turns(turns, rounds):
    """{name: for each round its milliseconds}, of functions that return those of a turn."""
    times = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            time.sleep(0.02)  # threads that wait in a loop fall asleep
            times[name].append(turn())
    return times


def ratio(times, others):
    """The ratio of the medians of a round: its median, least and greatest value in all rounds."""
    ratios = [statistics.median(a) / statistics.median(b) for a, b in zip(times, others)]
    return [statistics.median(ratios), min(ratios), max(ratios)]


def say(line):
    """Tell a person who waits what is going on."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
