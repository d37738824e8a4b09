"""The device: the tutorial's ``device=gpu``, and the CPU where no GPU can be used."""

import contextlib
import logging
import os

from lenet import processors
from lenet.theano_start import compiler
from lenet.theano_start.refusal import SetupError, say
from lenet.theano_start.settings import find_compile_cache

# What Theano's first GPU back end called a device, as the tutorials do, and today's name.
OLD_DEVICE, NEW_DEVICE = "gpu", "cuda"


def choose(user):
    """Translate the tutorial's ``device=gpu`` and fall back to the CPU where no GPU can be used."""
    named = user.get("device", "cpu")
    device = present_name(named)
    if device != named:
        say(f"device={named} is called device={device} since Theano 1.0")
        user.override("device", device)
    if not device.startswith(NEW_DEVICE):
        return
    if device == NEW_DEVICE and processors.is_under_mpi():
        device = device_of_rank()
        user.override("device", device)
    problem = find_gpu_problem(device, user.get("cxx"))
    if problem:
        report_no_gpu(user, device, problem)
        user.override("device", "cpu")


def present_name(device):
    """What Theano 1.0 calls a device: gpu0 -> cuda0."""
    if device.startswith(OLD_DEVICE):
        return NEW_DEVICE + device[len(OLD_DEVICE):]
    return device


def device_of_rank():
    """The GPU of a rank that ``mpiexec`` started: on each host, the ranks take one in turn."""
    from lenet.gpu.driver import Driver

    try:
        n_devices = len(Driver().devices)
    except OSError:  # ``find_gpu_problem`` says why
        n_devices = 0
    return f"{NEW_DEVICE}{processors.read_mpi_variable('LOCAL_RANK', 0) % max(1, n_devices)}"


def find_gpu_tools(cxx=None):
    """The folder for the names of CUDA's libraries, and the C++ compiler: by default Theano's."""
    return os.path.join(find_compile_cache(), "cuda_names"), cxx or compiler.find_compiler()


def find_gpu_problem(device, cxx=None):
    """Prepare for the GPU ``device``; why it cannot be used, in a few words, or None if it can."""
    from lenet.gpu import start

    try:
        start.prepare(device, *find_gpu_tools(cxx))
    except start.CudaError as error:
        return str(error)
    return None


def report_no_gpu(user, device, problem):
    """Say that there is no GPU; refuse to start if the user requires one (``force_device``)."""
    if user.is_true("force_device"):
        raise SetupError(f"device={device}: {problem}; force_device=True, so nothing is run")
    say(f"device={device}: {problem}; running on the CPU")


@contextlib.contextmanager
def shorten_gpu_failures(user):
    """Turn the traceback that Theano logs when a GPU does not start into one line."""
    problems = []

    class Collect(logging.Filter):
        def filter(self, record):
            error = record.exc_info[1] if record.exc_info else None
            problems.append(first_line(error or record.getMessage()))
            return False

    collect = Collect()
    logger = logging.getLogger("theano.gpuarray")
    logger.addFilter(collect)
    try:
        yield
    finally:
        logger.removeFilter(collect)
    if problems:
        report_no_gpu(user, user.get("device", "cpu"), "; ".join(problems))


def first_line(error):
    """The first line of an error's text; pygpu's errors hold it as bytes."""
    text = error.args[0] if getattr(error, "args", None) else error
    text = text.decode(errors="replace") if isinstance(text, bytes) else str(error)
    return text.strip().splitlines()[0]
