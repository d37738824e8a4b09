"""The processes of a training: one alone, or the ranks that ``mpiexec`` started.

All ranks run the same program, and wait for each other where they add up gradients. Rank 0 prints
and saves; what one of the others has to say about its end, rank 0 says for it. A rank that waits in
vain ends them all. MPI is imported only under ``mpiexec``.
"""

import contextlib
import importlib.metadata
import io
import logging
import os
import pickle
import platform
import signal
import sys
import time
import traceback

import numpy

from lenet import processors
from lenet.errors import TrainingError, UsageError
from lenet.theano_start import settings

# Up to this number of ranks, each receives all messages and adds them up itself; among more, each
# adds up a part and sends the sum to the others.
FEW = 2

TIMEOUT = 300.0  # seconds

FAILURE_TAG = 1  # marks a message to rank 0: why a rank ends
GRACE_SECONDS = 5.0  # for rank 0 to pass it on


def tree_sum(term, first, n):
    """The sum of terms number ``first``, ``first`` + 1, ..., ``n`` of them, as a binary tree. A
    term is an array of its own, which may be overwritten.

    The left branch has the largest power of two that is less than ``n``:

        5 terms: ((0 + 1) + (2 + 3)) + 4
    """
    if n == 1:
        return term(first)
    left = 1 << (n - 1).bit_length() - 1
    total = tree_sum(term, first, left)
    total += tree_sum(term, first + left, n - left)
    return total


class SingleProcess:
    """One process, which shares nothing; with those methods of ``Ranks`` that it needs."""

    rank, size = 0, 1
    timeout = None

    def sum(self, message_of, shards):
        return tree_sum(message_of, 0, shards.number)

    def share(self, value=None):
        return value

    def sum_counts(self, count):
        return count

    def end(self, status):
        pass


class Ranks:
    """The ranks that ``mpiexec`` started, through the module ``mpi4py.MPI``.

    Attributes
    ----------
    rank, size : int
        The number of this rank, from 0, and how many there are.
    timeout : float
        Seconds to wait for another rank in the training.
    begun : bool
        Whether the training has begun. Until then ``TIMEOUT`` holds, in which all can compile.
    """

    def __init__(self, MPI):
        self.MPI = MPI
        self.comm = MPI.COMM_WORLD
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
        self.on_host = self.comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.host = MPI.Get_processor_name()
        self.timeout, self.begun = TIMEOUT, False
        self.wish, self.stops = False, False

    def sum(self, message_of, shards):
        """The sum of the messages of all shards, as ``tree_sum`` adds them.

        ``message_of`` computes the message of one of this rank's shards, by its number; its last
        number is kept for the wish to stop. ``shards`` are ``lenet.parallel.shards.Shards``.
        """
        # This rank's shards are whole branches of the tree, each of the largest power of two that
        # divides their number: 6 shards are the branches 0-1, 2-3, 4-5.
        n = len(shards.own)
        branch = n & -n
        own = numpy.stack([tree_sum(message_of, first, branch)
                           for first in shards.own[::branch]])
        own[0, -1] = self.wish
        total = self.sum_of_branches(own)
        self.stops = total[-1] > 0
        return total

    def sum_of_branches(self, own):
        """The sum over the rows of all ranks, each of which has an array of the same shape."""
        n, length = own.shape
        if self.size <= FEW:
            rows = numpy.empty((self.size * n, length), own.dtype)
            self.wait(self.comm.Iallgather(own, rows))
            return tree_sum(rows.__getitem__, 0, len(rows))
        # Rank r adds up the part r of all messages, then each receives the sums of all parts.
        width = -(-length // self.size)
        parts = numpy.zeros((n, self.size * width), own.dtype)
        parts[:, :length] = own
        parts = numpy.ascontiguousarray(parts.reshape(n, self.size, width).swapaxes(0, 1))
        rows = numpy.empty((self.size * n, width), own.dtype)
        self.wait(self.comm.Ialltoall(parts, rows))
        total = numpy.empty(self.size * width, own.dtype)
        self.wait(self.comm.Iallgather(tree_sum(rows.__getitem__, 0, len(rows)), total))
        return total[:length]

    def share(self, value=None):
        """The value that rank 0 gives."""
        content = numpy.frombuffer(bytearray(pickle.dumps(value)), "uint8")
        size = numpy.array(len(content))
        self.wait(self.comm.Ibcast(size))
        if self.rank:
            content = numpy.empty(int(size), "uint8")
        self.wait(self.comm.Ibcast(content))
        return pickle.loads(content)

    def gather(self, value):
        """The values that the ranks give, a list."""
        content = pickle.dumps(value)
        sizes = numpy.empty(self.size, int)
        self.wait(self.comm.Iallgather(numpy.array(len(content)), sizes))
        contents = numpy.empty((self.size, sizes.max()), "uint8")
        own = numpy.zeros(sizes.max(), "uint8")
        own[:len(content)] = bytearray(content)
        self.wait(self.comm.Iallgather(own, contents))
        return [pickle.loads(content) for content in contents]

    def sum_counts(self, count):
        """The sum of the whole numbers that the ranks give."""
        return sum(self.gather(count))

    def agree_to_stop(self, wish):
        """Let the next message carry the wish to stop; whether the last ones carried one."""
        self.wish = wish
        return self.stops

    def check_same(self, facts):
        """Raise a UsageError unless all ranks give the same facts, a dict of texts by name."""
        everyones = self.gather((self.host, facts))
        host, expected = everyones[0]
        for rank, (other, found) in enumerate(everyones):
            for name, value in expected.items():
                if found[name] != value:
                    raise UsageError(f"rank {rank} on {other} has {name} {found[name]}; expected "
                                     f"{value}, as of rank 0 on {host}: all ranks have to compute "
                                     "the same")

    def wait_for_turn(self):
        """Wait until the first rank of the host has ended its turn."""
        if self.on_host.Get_rank() != 0:
            self.wait(self.on_host.Ibarrier())

    def end_turn(self):
        """Let the others of the host go on, if this is its first rank."""
        if self.on_host.Get_rank() == 0:
            self.wait(self.on_host.Ibarrier())

    def wait(self, request):
        """Wait until the other ranks have done their part.

        Raises a TrainingError if they have not within ``timeout`` seconds.
        """
        begin = time.monotonic()
        timeout = self.timeout if self.begun else max(self.timeout, TIMEOUT)
        while not request.Test():
            self.pass_on_failures()
            waited = time.monotonic() - begin
            # More ranks than processors have to take turns.
            if waited < 1:
                os.sched_yield()
            else:
                time.sleep(0.001)
            # One after the other, so that the first one speaks for all.
            if waited > timeout + self.rank:
                raise TrainingError(f"no answer from another rank for {timeout:g} s; see that all "
                                    "hosts run and reach each other, or name more (--timeout)")

    def pass_on_failures(self):
        """On rank 0: end all ranks if another one has failed."""
        status = self.MPI.Status()
        if self.rank == 0 and self.comm.Iprobe(tag=FAILURE_TAG, status=status):
            host, text, code = self.comm.recv(source=status.Get_source(), tag=FAILURE_TAG)
            sys.stderr.write(f"rank {status.Get_source()} on {host}: {text}")
            self.end(code)

    def end(self, status):
        """End all ranks, after this one has said why: rank 0 says it for the others."""
        if self.rank:
            text = sys.stderr.getvalue()
            message = self.comm.isend((self.host, text, status), 0, FAILURE_TAG)
            time.sleep(GRACE_SECONDS + self.rank)  # in which rank 0 ends, and this one with it
            message.Test()
            sys.__stderr__.write(f"rank {self.rank} on {self.host}: {text}")
            sys.__stderr__.flush()
        sys.stderr.flush()
        time.sleep(0.2)  # mpiexec may lose what it has not yet passed on when a rank aborts
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # MPI would add lines of its own
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(int(GRACE_SECONDS))  # kills this process, should mpiexec be out of reach
        self.comm.Abort(status)


_world = SingleProcess()


def get_world():
    """The processes of this training: one alone, unless it has joined others."""
    return _world


def join():
    """Join the other ranks if ``mpiexec`` started this process.

    Raises a UsageError if mpi4py is missing, or is that of another MPI than ``mpiexec`` is, or if
    the ranks differ in what their numbers depend on.
    """
    global _world
    expected, rank = (processors.read_mpi_variable(name, default)
                      for name, default in (("SIZE", 1), ("RANK", 0)))
    if not processors.is_under_mpi():
        return
    if rank:
        silence_output()
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise UsageError(f"{expected} processes need the package mpi4py and an MPI ({error}); "
                         "install them: pip install 'lenet-theano[mpi]'") from None
    _world = Ranks(MPI)
    if _world.rank and not rank:
        silence_output()
    if _world.size == 1 and expected > 1:
        library = " ".join(MPI.Get_library_version().splitlines()[0].partition(",")[0].split())
        raise UsageError(f"mpiexec started {expected} processes, but each believes it is alone; "
                         f"call the mpiexec of the MPI that mpi4py uses, which is {library}")
    _world.check_same(list_facts())


def silence_output():
    """Print nothing; what goes to standard error is kept for ``Ranks.end``."""
    logging.getLogger("theano.gof.compilelock").setLevel(logging.WARNING)  # "waiting for ..."
    sys.stdout, sys.stderr = open(os.devnull, "w"), io.StringIO()


def list_facts():
    """What the numbers of a training depend on, but for the dataset: texts by name."""
    import theano
    from theano.configdefaults import gcc_version_str

    import lenet

    model = platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        model = next((line.split(":", 1)[1].strip() for line in lines
                      if line.startswith("model name")), model)
    openblas = ""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        openblas = importlib.metadata.version("scipy-openblas32")
    return {
        "the command line": " ".join([os.path.basename(sys.argv[0]), *sys.argv[1:]]),
        "a processor": f"{model} (instruction sets {settings.processor_key()})",
        "lenet": lenet.__version__,
        "Theano": theano.__version__,
        "NumPy": numpy.__version__,
        "Python": platform.python_version(),
        "scipy-openblas32": openblas,
        "g++": gcc_version_str,
        "floatX": theano.config.floatX,
        "device": theano.config.device.rstrip("0123456789"),
        "OMP_NUM_THREADS": str(processors.thread_count()),
    }


@contextlib.contextmanager
def end_together():
    """End all ranks if the ``with`` block ends with a status other than 0, or with an exception."""
    try:
        yield
    except SystemExit as end:
        if end.code:
            _world.end(end.code)
        raise
    except BaseException:
        if _world.size > 1:
            traceback.print_exc()
            _world.end(1)
        raise
