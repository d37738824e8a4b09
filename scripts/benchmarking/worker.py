"""A process that is kept alive and measured when it is its turn.

Requests are JSON objects, one a line on standard input; each is answered by one on standard output:

    {"prepare": {"minibatch": 500, ...}}         -> what prepare(minibatch=500, ...) reports
    {"time": "train", "seconds": 0.3}            -> {"ms": [52.1, 51.7, ...]}, one for each step
    anything that fails                          -> {"error": "..."}

Nothing of this package is imported: ``torch_peer.py`` runs in a Python that need not have it.
"""
import json
import os
import sys
import time

LEAST_STEPS = 3


def serve(prepare):
    """Answer requests until the input ends.

    Parameters
    ----------
    prepare : function
        Takes the values of a request and returns a pair: the answer, a dict, and the steps that
        can be timed, a dict of functions of the number of the step.
    """
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    steps = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "prepare" in request:
                steps.clear()
                answer, new = prepare(**request["prepare"])
                steps.update(new)
            else:
                answer = {"ms": time_step(steps[request["time"]], request["seconds"])}
        except Exception as error:
            answer = {"error": "%s: %s" % (type(error).__name__, error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def time_step(step, seconds):
    """Milliseconds of each of as many steps as go into so many seconds, after one not counted."""
    step(0)
    times = []
    end = time.perf_counter() + seconds
    while len(times) < LEAST_STEPS or time.perf_counter() < end:
        begin = time.perf_counter()
        step(len(times) + 1)
        times.append(1e3 * (time.perf_counter() - begin))
    return times
