"""What is there for a GPU, what is missing, and what to type next."""

import collections
import os
import subprocess
import sys

from lenet.gpu import libraries, start
from lenet.gpu.libraries import CudaError, text

Finding = collections.namedtuple("Finding", "name text command missing")
Finding.__doc__ = "A line of the report; ``missing`` where the GPU cannot be used for it."


def examine(device, cache, compiler):
    """Look at everything that a GPU needs, from the driver to a first function of Theano's.

    Parameters
    ----------
    device : str
        Theano's setting: ``cuda``, ``cuda0``, ...
    cache : str
        A folder for files of our own.
    compiler : str or None
        The C++ compiler.

    Yields
    ------
    Finding
        Each as soon as it is known.  After one that is missing, what needs it is left out.
    """
    found = {}

    def look(name, search, describe):
        try:
            found[name] = search()
            return Finding(name, describe(found[name]), None, False)
        except CudaError as error:
            return Finding(name, str(error), error.command, True)

    yield look("driver", start.find_driver,
               lambda driver: "supports CUDA %s (%s)" % (text(driver.version), driver.path))
    if "driver" in found:
        driver = found["driver"]
        yield look("device", lambda: start.find_device(driver, device),
                   lambda gpu: "cuda%d: %s, compute capability %s, %d MiB" % (
                       gpu.number, gpu.name, text(gpu.capability), gpu.memory // 2 ** 20))
    if "device" in found:
        yield look("CUDA", lambda: start.find_cuda(driver, found["device"]), describe_cuda)
    else:
        yield Finding("CUDA", describe_all(libraries.folders()), None, False)
    yield look("pygpu", start.find_pygpu,
               lambda pygpu: "%s (%s)" % (pygpu.__version__, os.path.dirname(pygpu.__file__)))
    if "device" in found and "pygpu" in found:
        yield look("libgpuarray", lambda: start.check_generation(found["device"], found["pygpu"]),
                   lambda _: "can name this device")
    yield look("headers", start.find_headers, str)
    yield look("compiler", lambda: find_compiler(compiler), str)
    if not {"CUDA", "compiler"} <= set(found):
        return
    yield look("names", lambda: start.give_names(driver, found["CUDA"], cache, compiler),
               lambda _: "libcuda.so, libnvrtc.so and libcublas.so can be loaded")
    if {"names", "pygpu", "headers"} <= set(found):
        yield look("Theano", lambda: run_first_function("cuda%d" % found["device"].number), str)


def describe_cuda(cuda):
    return "NVRTC of CUDA %s (%s), cuBLAS of CUDA %s (%s)" % (
        text(cuda.nvrtc.version), cuda.nvrtc.path, text(cuda.cublas.version), cuda.cublas.path)


def describe_all(folders):
    """All of NVRTC and cuBLAS, where no device says which of them would do."""
    lines = ["%s of CUDA %s (%s)" % (name, text(library.version), library.path)
             for folder in folders
             for name, found in (("NVRTC", libraries.nvrtc_in(folder)),
                                 ("cuBLAS", libraries.cublas_in(folder)))
             for library in found]
    return ", ".join(dict.fromkeys(lines)) or "no NVRTC, no cuBLAS"


def find_compiler(compiler):
    """The first line of what the compiler says of itself."""
    try:
        process = subprocess.run([compiler or "g++", "--version"], stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise CudaError("no C++ compiler found", "sudo apt-get install g++")
    return process.stdout.decode(errors="replace").splitlines()[0]


def run_first_function(device):
    """Run ``lenet.gpu.first`` on the device in a process of its own; what it says."""
    environment = dict(os.environ)
    flags = environment.get("THEANO_FLAGS", "")
    environment["THEANO_FLAGS"] = ",".join(
        part for part in (flags, "device=" + device, "force_device=True") if part)
    process = subprocess.run([sys.executable, "-m", "lenet.gpu.first"], env=environment,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = (stream.decode(errors="replace").strip().splitlines() or ["no output"]
                      for stream in (process.stdout, process.stderr))
    if process.returncode:
        raise CudaError("a first function on %s failed: %s" % (device, errors[-1]))
    return output[-1]


def report(findings):
    """Print findings; the last line says ``ready``, or what to type next.

    Returns
    -------
    int
        The exit status: 0 where the GPU can be used, else 1.
    """
    missing = []
    for finding in findings:
        print("%-12s %s%s" % (finding.name, "MISSING: " if finding.missing else "", finding.text),
              flush=True)
        missing += [finding] if finding.missing else []
    if not missing:
        print("ready")
        return 0
    commands = [finding.command for finding in missing if finding.command]
    print("next: " + commands[0] if commands else "next: see README.md, \"On a GPU\"")
    return 1
