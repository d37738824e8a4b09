"""How many threads to compute with, said to OpenMP and OpenBLAS."""

import contextlib
import os

from lenet.theano_start.refusal import SetupError

MOST_THREADS = 1024  # each needs a stack; many more than processors help nobody


def thread_count():
    """How many threads to compute with: ``OMP_NUM_THREADS``, or the processors we may use."""
    try:
        return max(1, int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0]))
    except ValueError:
        return usable_processors()


def usable_processors():
    """The processors that this process may use: its affinity mask, cut by its control group."""
    if hasattr(os, "sched_getaffinity"):
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 1
    quota = control_group_quota()
    return processors if quota is None else max(1, min(processors, int(quota)))


def control_group_quota(root="/sys/fs/cgroup", membership="/proc/self/cgroup"):
    """The processor time a second that Linux's control groups allow, or None without a limit.

    Version 2 keeps ``quota period`` in ``cpu.max``, version 1 in two files; the tightest limit on
    the way from this process's group up to the root holds.
    """
    try:
        with open(membership) as lines:
            groups = [line.strip().split(":", 2) for line in lines]
    except OSError:
        return None
    quotas = []
    for _, controllers, path in (group for group in groups if len(group) == 3):
        if controllers == "":
            top, read = root, quota_v2
        elif "cpu" in controllers.split(","):
            top, read = os.path.join(root, "cpu"), quota_v1
        else:
            continue
        # Inside a container the path may be that of the host, where only the root exists.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts), -1, -1):
            with contextlib.suppress(OSError, ValueError):
                quotas.append(read(os.path.join(top, *parts[:depth])))
    return min((quota for quota in quotas if quota is not None), default=None)


def quota_v2(folder):
    """Processors allowed by a version 2 control group, None if it sets no limit."""
    with open(os.path.join(folder, "cpu.max")) as file:
        quota, period = file.read().split()
    return None if quota == "max" else int(quota) / int(period)


def quota_v1(folder):
    """Processors allowed by a version 1 control group, None if it sets no limit."""
    with open(os.path.join(folder, "cpu.cfs_quota_us")) as file:
        quota = int(file.read())
    with open(os.path.join(folder, "cpu.cfs_period_us")) as file:
        period = int(file.read())
    return None if quota < 0 else quota / period


def limit():
    """Tell OpenMP and OpenBLAS how many threads there are, where the user has not.

    Both keep threads of their own, one for each processor, and a thread that has nothing to do
    waits for work in a loop, which takes the processor from the other library's threads. Passive
    waiting halves the time of a minibatch (README, "Speed"), on a machine that does other things
    as well even more. OpenBLAS gives up after 2 ** 4 processor cycles, the least it accepts.
    """
    if thread_count() > MOST_THREADS:
        raise SetupError("OMP_NUM_THREADS=%s; expected 1 to %d"
                         % (os.environ["OMP_NUM_THREADS"], MOST_THREADS))
    os.environ.setdefault("OMP_NUM_THREADS", str(thread_count()))
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
