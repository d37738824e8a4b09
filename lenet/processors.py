"""How many threads OpenMP and OpenBLAS may use, and what mpiexec says of this process."""

import contextlib
import os
import sys


def thread_count():
    """How many threads to compute with: ``OMP_NUM_THREADS``, or the processors we may use; with
    MPI, by default, one."""
    try:
        return max(1, int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0]))
    except ValueError:
        return 1 if is_under_mpi() else usable_processors()


def is_under_mpi():
    """Whether ``mpiexec`` started this process, or it uses mpi4py."""
    return sys.modules.get("mpi4py") is not None or read_mpi_variable("SIZE", 0) > 0


def read_mpi_variable(name, otherwise):
    """What ``mpiexec`` says of a process: its "RANK", "SIZE" or, on its host, "LOCAL_RANK".

    MPICH and its relatives set the first variable, Open MPI the second one.
    """
    for variable in ("MPI_LOCALRANKID" if name == "LOCAL_RANK" else f"PMI_{name}",
                     f"OMPI_COMM_WORLD_{name}"):
        with contextlib.suppress(KeyError, ValueError):
            return int(os.environ[variable])
    return otherwise


def usable_processors():
    """The processors that this process may use: its affinity mask, cut by its control group."""
    if hasattr(os, "sched_getaffinity"):
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 1
    quota = control_group_quota()
    return processors if quota is None else max(1, min(processors, int(quota)))


def control_group_quota(root="/sys/fs/cgroup", membership="/proc/self/cgroup"):
    """The processors that Linux's control groups allow, such as 1.5, or None without a limit.

    Quota and period are in one file in version 2 (``max 100000``: no limit) and in two files in
    version 1 (quota -1: no limit). The tightest limit from this process's group up to the root
    holds.
    """
    try:
        with open(membership) as lines:
            groups = [line.strip().split(":", 2) for line in lines if line.count(":") >= 2]
    except OSError:
        return None
    quotas = []
    for _, controllers, path in groups:
        if not controllers:
            top, names = root, ["cpu.max"]
        elif "cpu" in controllers.split(","):
            top, names = os.path.join(root, "cpu"), ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        # Inside a container the path may be the host's, of which only the root exists.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts) + 1):
            folder = os.path.join(top, *parts[:depth])
            with contextlib.suppress(OSError, ValueError):  # no such file; "max"
                quota, period = " ".join(read_file(folder, name) for name in names).split()
                quotas.append(int(quota) / int(period))
    return min((quota for quota in quotas if quota > 0), default=None)


def read_file(folder, name):
    with open(os.path.join(folder, name)) as file:
        return file.read()


def limit_threads():
    """Tell OpenMP and OpenBLAS how many threads there are, where the user has not.

    Each library keeps threads of its own, one per processor, and an idle thread waits for work in a
    loop, which takes the processor from the other library's threads. Passive waiting halves the
    time of a minibatch, and saves more on a machine that is busy with other things. OpenBLAS gives
    up waiting after 2 ** 4 processor cycles, the least that it accepts.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(thread_count()))
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
