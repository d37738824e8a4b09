"""Everything that must be right before Theano is told to use a GPU, in order.

Each step either finds something, or raises a `CudaError` with the reason in one line and, if there
is one, the command that helps.  The start of Theano (``lenet.theano_start``) needs the reason only;
``scripts/check_gpu.py`` prints what every step found.
"""

import contextlib
import glob
import importlib
import importlib.machinery
import importlib.util
import io
import os
import re
import sys

import numpy

from lenet.gpu import libraries, names
from lenet.gpu.driver import Driver
from lenet.gpu.libraries import CudaError
from lenet.installed import format_version, shell_script

BUILD = shell_script("build_pygpu.sh")
DRIVER_HELP = 'sudo apt-get install nvidia-driver  # on Debian, see docs/gpu.md first'


def find_driver():
    """The driver, started; a `Driver`."""
    try:
        return Driver()
    except OSError as error:
        raise CudaError(str(error), DRIVER_HELP if "no NVIDIA" in str(error) else "nvidia-smi")


def find_device(driver, device):
    """The device that Theano's setting names (``cuda``, ``cuda0``, ``cuda1``, ...); a `Device`."""
    number = device[len("cuda"):]
    if number and not number.isdigit():
        raise CudaError(f"{device!r} is not cuda or cuda followed by a number")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    limited = "" if visible is None else f" (of CUDA_VISIBLE_DEVICES={visible})"
    if not driver.devices:
        raise CudaError(f"the NVIDIA driver finds no GPU{limited}",
                        "unset CUDA_VISIBLE_DEVICES" if limited else
                        "nvidia-smi  # no NVIDIA GPU was found")
    if int(number or 0) >= len(driver.devices):
        raise CudaError(f"this machine has {len(driver.devices)} NVIDIA GPU(s), numbered from 0"
                        f"{limited}", "THEANO_FLAGS=device=gpu0")
    return driver.devices[int(number or 0)]


def find_cuda(driver, device):
    """NVRTC and cuBLAS that fit the driver and the device; a `Cuda`."""
    return libraries.choose(driver.version, device.capability)


def give_names(driver, cuda, cache, compiler):
    """Let libgpuarray find the three libraries by the names that it asks for."""
    paths = {"libcuda.so": driver.path, "libnvrtc.so": cuda.nvrtc.path,
             "libcublas.so": cuda.cublas.path}
    try:
        for name, path in paths.items():
            names.provide(name, path, cache, compiler)
    except OSError as error:
        raise CudaError(f"CUDA's libraries cannot be loaded: {error}")


def find_pygpu():
    """The module pygpu, imported."""
    spec = importlib.util.find_spec("pygpu")
    if spec is None or spec.origin is None:  # None: a folder without files
        raise CudaError("the package pygpu is not installed", BUILD)
    folder = os.path.dirname(spec.origin)
    built = sorted(os.path.basename(f) for f in
                   glob.glob(os.path.join(glob.escape(folder), "gpuarray.*.so")))
    fitting = ["gpuarray" + suffix for suffix in importlib.machinery.EXTENSION_SUFFIXES]
    if built and not set(built) & set(fitting):
        raise CudaError(f"pygpu in {folder} is built for another Python ({', '.join(built)}; "
                        f"this one loads {fitting[0]})", BUILD)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # NumPy's page about one built for NumPy 1
            return importlib.import_module("pygpu")
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        missing = getattr(error, "name", None)
        if re.search(r"numpy\.\S+ size changed|numpy\S* failed to import", reason):
            raise CudaError(f"pygpu in {folder} is built for another NumPy than "
                            f"{numpy.__version__}", BUILD)
        raise CudaError(f"pygpu cannot be imported: {reason}",
                        f"pip install {missing}" if missing in ("mako", "six") else BUILD)


def is_own(pygpu):
    """Whether this pygpu, a module, is the one that scripts/build_pygpu.sh builds."""
    return pygpu.__version__.endswith("+lenet")


def check_generation(device, pygpu):
    """libgpuarray as released misnames devices from compute capability 10.0 on, and relies on the
    driver to wait for the end of a copy to the host."""
    if is_own(pygpu):
        return
    if device.capability >= (10, 0):
        raise CudaError(f"the device has compute capability {format_version(device.capability)}, "
                        "which libgpuarray 0.7.6 as released and in Debian cannot name", BUILD)
    if device.host_pages:
        raise CudaError("the device uses the host's memory as its own, and libgpuarray 0.7.6 as "
                        "released and in Debian may not wait for copies to it", BUILD)


def find_headers():
    """The folder of libgpuarray's C headers, which the compiler is told of if necessary."""
    own = os.path.join(sys.prefix, "include")
    usual = [own, "/usr/include", "/usr/local/include"]
    for folder in usual + os.environ.get("CPATH", "").split(os.pathsep):
        if folder and os.path.exists(os.path.join(folder, "gpuarray", "array.h")):
            break
    else:
        raise CudaError("libgpuarray's C headers (gpuarray/array.h) are missing",
                        "sudo apt-get install libgpuarray-dev")
    if folder == own:
        prepend("CPATH", own)
        prepend("LIBRARY_PATH", os.path.join(sys.prefix, "lib"))
    return folder


def prepend(variable, folder):
    """Put a folder first in a list that GCC and Clang read from the environment."""
    # An empty entry would mean the current folder.
    rest = [f for f in os.environ.get(variable, "").split(os.pathsep) if f and f != folder]
    os.environ[variable] = os.pathsep.join([folder] + rest)


def prepare(device, cache, compiler):
    """Do everything that ``import theano`` with ``device=cuda...`` needs, or raise a `CudaError`.

    The device is Theano's setting: ``cuda``, ``cuda0``, ...; for the cache and the compiler, see
    `names.provide`.
    """
    driver = find_driver()
    found = find_device(driver, device)
    cuda = find_cuda(driver, found)
    give_names(driver, cuda, cache, compiler)
    check_generation(found, find_pygpu())
    find_headers()
