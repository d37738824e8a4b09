"""The NVIDIA driver and its devices, through ``libcuda.so.1``."""

import collections
import contextlib
import ctypes
import glob
import os

# The driver's folders that the dynamic linker may not know: containers, WSL, NixOS, Debian.
FOLDERS = (
    "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
    "/usr/lib/x86_64-linux-gnu/nvidia/current", "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib",
)
FILE = "libcuda.so.1"
# The driver's parts that it opens by name to make machine code of PTX.
PARTS = ("libnvidia-gpucomp.so.*", "libnvidia-nvvm.so.*", "libnvidia-ptxjitcompiler.so.*")

# From cuda.h: the attributes for the compute capability and for whether the device uses the host's
# memory without a copy; the error of cuInit where there is a driver but no device.
CAPABILITY_MAJOR, CAPABILITY_MINOR, PAGEABLE_MEMORY_ACCESS = 75, 76, 88
NO_DEVICE = 100

Device = collections.namedtuple("Device", "number name capability memory host_pages")
Device.__doc__ = ("A GPU: its number, name, (major, minor), memory in bytes, and whether it uses "
                  "the host's memory as well.")


class Driver:
    """The driver, started; an OSError if there is none, or if it does not start.

    Attributes
    ----------
    path : str
        What was loaded, for the names in ``names.py``.
    version : (int, int)
        The newest CUDA that it supports.
    devices : list of Device
    """

    def __init__(self):
        self.path, self.library = self.load()
        status = self.library.cuInit(0)
        if status not in (0, NO_DEVICE):
            raise OSError(f"the NVIDIA driver does not start (cuInit: error {status}); "
                          "see whether nvidia-smi works")
        version = self.read("cuDriverGetVersion")
        self.version = (version // 1000, version % 1000 // 10)
        count = 0 if status else self.read("cuDeviceGetCount")
        self.devices = [self.describe(number) for number in range(count)]

    @staticmethod
    def load():
        """(path, library): by name where the linker knows it, else from its usual folders."""
        for path in [FILE] + [os.path.join(folder, FILE) for folder in FOLDERS]:
            try:
                library = ctypes.CDLL(path)
            except OSError:
                continue
            if path == FILE:
                return find_loaded_file(path), library
            load_parts(os.path.dirname(path))
            return path, library
        raise OSError(f"no NVIDIA driver found ({FILE} cannot be loaded)")

    def read(self, name, *arguments, kind=ctypes.c_int):
        """The number that a function of the driver writes to the address of its first argument."""
        value = kind(0)
        getattr(self.library, name)(ctypes.byref(value), *arguments)
        return value.value

    def describe(self, number):
        handle = self.read("cuDeviceGet", number)
        name = ctypes.create_string_buffer(256)
        self.library.cuDeviceGetName(name, len(name), handle)
        memory = self.read("cuDeviceTotalMem_v2", handle, kind=ctypes.c_size_t)
        *capability, host_pages = [
            self.read("cuDeviceGetAttribute", attribute, handle)
            for attribute in (CAPABILITY_MAJOR, CAPABILITY_MINOR, PAGEABLE_MEMORY_ACCESS)]
        return Device(number, name.value.decode(), tuple(capability), memory, bool(host_pages))


def load_parts(folder):
    """Load the driver's other parts, which the linker would not find by name in ``folder``."""
    for pattern in PARTS:
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), pattern))):
            with contextlib.suppress(OSError):
                ctypes.CDLL(path)


def find_loaded_file(path):
    """The file that was mapped into this process when ``libcuda.so.1`` was loaded."""
    with contextlib.suppress(OSError), open("/proc/self/maps") as maps:
        for line in maps:
            name = line.rstrip("\n").partition("/")[2]
            if os.path.basename(name).startswith("libcuda.so"):
                return "/" + name
    return path
