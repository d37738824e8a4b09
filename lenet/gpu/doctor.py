"""What is there for a GPU, what is missing, and what to type next."""

import collections
import os
import subprocess
import sys

from lenet.gpu import libraries, start
from lenet.gpu.libraries import CudaError, describe_library
from lenet.installed import PACKAGE, format_version

Finding = collections.namedtuple("Finding", "name text command missing")
Finding.__doc__ = "A line of the report; ``missing`` if the GPU cannot be used because of it."


def examine(device, cache, compiler):
    """Look at everything that a GPU needs, from the driver to a first function of Theano's.

    Yields each Finding as soon as it is known. What needs something that is missing is left out.

    Parameters
    ----------
    device, cache, compiler : str
        As for `lenet.gpu.start.prepare`; ``compiler`` may be None.
    """
    found = {}

    def look(name, search, describe):
        try:
            found[name] = search()
            return Finding(name, describe(found[name]), None, False)
        except CudaError as error:
            return Finding(name, str(error), error.command, True)

    yield look("driver", start.find_driver,
               lambda driver: f"supports CUDA {format_version(driver.version)} ({driver.path})")
    if "driver" in found:
        driver = found["driver"]
        yield look("device", lambda: start.find_device(driver, device),
                   lambda gpu: f"cuda{gpu.number}: {gpu.name}, compute capability "
                               f"{format_version(gpu.capability)}, {gpu.memory // 2 ** 20} MiB")
    if "device" in found:
        yield look("CUDA", lambda: start.find_cuda(driver, found["device"]), describe_cuda)
    else:
        yield Finding("CUDA", describe_all(libraries.list_folders()), None, False)
    yield look("pygpu", start.find_pygpu,
               lambda pygpu: f"{pygpu.__version__} ({os.path.dirname(pygpu.__file__)})")
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
        yield look("Theano", lambda: run_first_function(f"cuda{found['device'].number}"), str)


def describe_cuda(cuda):
    return f"NVRTC of {describe_library(cuda.nvrtc)}, cuBLAS of {describe_library(cuda.cublas)}"


def describe_all(folders):
    """Every NVRTC and cuBLAS, where no device says which of them would do."""
    found = [f"{name} of {describe_library(library)}"
             for folder in folders
             for name, search in (("NVRTC", libraries.find_nvrtc),
                                  ("cuBLAS", libraries.find_cublas))
             for library in search(folder)]
    return ", ".join(found) or "no NVRTC, no cuBLAS"


def find_compiler(compiler):
    """The first line of what the compiler says of itself."""
    try:
        process = subprocess.run([compiler or "g++", "--version"], stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise CudaError("no C++ compiler found", "sudo apt-get install g++")
    return process.stdout.decode(errors="replace").splitlines()[0]


def run_first_function(device):
    """Run ``lenet.gpu.first`` on the device in a process of its own; the line that it prints."""
    flags = f"{os.environ.get('THEANO_FLAGS', '')},device={device},force_device=True"
    process = subprocess.run([sys.executable, PACKAGE, os.path.join(PACKAGE, "gpu", "first.py")],
                             capture_output=True, env=dict(os.environ, THEANO_FLAGS=flags))
    output, errors = (stream.decode(errors="replace").strip().splitlines() or ["no output"]
                      for stream in (process.stdout, process.stderr))
    if process.returncode:
        raise CudaError(f"a first function on {device} failed: {errors[-1]}")
    return output[-1]


def report(findings):
    """Print findings; the last line says ``ready``, or what to type next. The exit status: 0 if the
    GPU can be used, else 1."""
    missing = []
    for finding in findings:
        print(f"{finding.name:<12} {'MISSING: ' if finding.missing else ''}{finding.text}",
              flush=True)
        if finding.missing:
            missing.append(finding.command)
    if not missing:
        print("ready")
        return 0
    print("next:", next(filter(None, missing), 'see docs/gpu.md'))
    return 1
