"""CUDA's compiler (NVRTC) and BLAS (cuBLAS): where they are, and which of them work together.

libgpuarray hands the driver what NVRTC makes of a kernel, in a language (PTX) whose version grows
with CUDA's.  So NVRTC must not be newer than the driver, to the minor version, and has to know the
device's compute capability: CUDA 13 no longer compiles for those below 7.5, CUDA 11 not yet for
those above 9.0.  cuBLAS has to have the same major version.

libnvrtc.so.12, as the packages on PyPI call it, gives the major version alone, and libnvrtc.so.11.2
is the name throughout CUDA 11; so NVRTC's version is read off the file beside it:
libnvrtc-builtins.so.12.9, libnvrtc-builtins.so.11.8.
"""

import collections
import ctypes
import glob
import os
import re
import subprocess
import sys

from lenet.gpu import driver
from lenet.installed import format_version

Library = collections.namedtuple("Library", "path version")
Library.__doc__ = "A file, and the version of CUDA that it belongs to: (12, 9), or (12,)."

Cuda = collections.namedtuple("Cuda", "nvrtc cublas")
Cuda.__doc__ = "Two libraries that work together."

TOOLKITS = ("/usr/local/cuda", "/usr/local/cuda-*", "/opt/cuda", "/usr/lib/cuda")


class CudaError(Exception):
    """The GPU cannot be used. The message is one line, `command` what to type next."""

    def __init__(self, message, command=None):
        super().__init__(message)
        self.command = command


# --- where people have them -----------------------------------------------------------------


def list_folders():
    """Folders that may hold CUDA's libraries, the user's choices first, without duplicates.

    LD_LIBRARY_PATH; the toolkit that CUDA_HOME names; packages of PyPI; Python's own folders, where
    conda puts a toolkit; toolkits in their usual places; what the dynamic linker knows; the
    driver's folders, some of which are the system's.
    """
    found = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    for name in ("CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"):
        found += list_toolkit_folders(os.environ.get(name, ""))
    found += list_package_folders(sys.path)
    found += list_toolkit_folders(sys.prefix) + list_toolkit_folders(sys.base_prefix)
    for pattern in TOOLKITS:
        for root in sorted(glob.glob(pattern), reverse=True):
            found += list_toolkit_folders(root)
    found += list_linker_folders()
    found += driver.FOLDERS
    # /lib is /usr/lib on most systems
    return list(dict.fromkeys(os.path.realpath(f) for f in found if f and os.path.isdir(f)))


def list_toolkit_folders(root):
    """Where a CUDA toolkit keeps its libraries."""
    if not root:
        return []
    return [os.path.join(root, "lib64"), os.path.join(root, "lib")] + sorted(
        glob.glob(os.path.join(glob.escape(root), "targets", "*-linux", "lib")))


def list_package_folders(path):
    """Where the packages nvidia-cuda-nvrtc and nvidia-cublas put them: both in nvidia/cu13/lib for
    CUDA 13, each in a folder of its own for CUDA 11 and 12."""
    found = []
    for entry in path:
        pattern = os.path.join(glob.escape(entry), "nvidia", "*", "lib")
        found += sorted(glob.glob(pattern), reverse=True)
    return found


def list_linker_folders():
    """Folders in the dynamic linker's cache that hold NVRTC or cuBLAS."""
    for program in ("ldconfig", "/sbin/ldconfig"):
        try:
            lines = subprocess.run([program, "-p"], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, timeout=20).stdout
        except (OSError, subprocess.TimeoutExpired):
            continue
        paths = re.findall(r"=> (.*/lib(?:nvrtc|cublas)\.so[.\d]*)$", lines.decode(), re.M)
        return [os.path.dirname(path) for path in paths]
    return []


# --- what a folder holds --------------------------------------------------------------------


def find_newest(folder, stem):
    """{12: (12, 9)}: of the files STEM.so.VERSION in a folder the newest of each major version, the
    newest first."""
    found = {}
    for path in glob.glob(os.path.join(glob.escape(folder), stem + ".so.*")):
        number = path.rpartition(stem + ".so.")[2]
        if re.fullmatch(r"\d+(\.\d+)*", number):
            version = tuple(map(int, number.split(".")))
            found[version[0]] = max(version, found.get(version[0], version))
    return dict(sorted(found.items(), reverse=True))


def library_path(folder, stem, version):
    return os.path.join(folder, f"{stem}.so.{format_version(version)}")


def find_nvrtc(folder):
    """NVRTC of a folder, one of each major version."""
    built_in = find_newest(folder, "libnvrtc-builtins")
    return [Library(library_path(folder, "libnvrtc", version), built_in[major][:2])
            for major, version in find_newest(folder, "libnvrtc").items() if major in built_in]


def find_cublas(folder):
    """cuBLAS of a folder, one of each major version."""
    return [Library(library_path(folder, "libcublas", version), (major,))
            for major, version in find_newest(folder, "libcublas").items()]


def list_capabilities(nvrtc):
    """The compute capabilities that NVRTC compiles for: {(5, 0), ..., (9, 0)}; an OSError if its
    file cannot be loaded."""
    library = ctypes.CDLL(nvrtc.path)
    count = ctypes.c_int(0)
    try:
        library.nvrtcGetNumSupportedArchs(ctypes.byref(count))
        known = (ctypes.c_int * count.value)()
        library.nvrtcGetSupportedArchs(known)
    except AttributeError:
        raise OSError("it has no nvrtcGetSupportedArchs") from None
    return {divmod(number, 10) for number in known}


# --- which work together --------------------------------------------------------------------


def install_command(version, newest=12):
    """The command that installs NVRTC and cuBLAS of a version of CUDA up to ``version``.

    CUDA 12 is the choice wherever the driver supports it: it compiles for almost everything from
    5.0 (Maxwell) on; ``newest`` = 13 is for the rest.
    """
    major = min(version[0], newest)
    limit = f"<{major}.{version[1] + 1}" if version[0] == major else ""
    suffix = package_suffix(major)
    # cuBLAS counts like CUDA in CUDA 12 only: 11.11 belongs to CUDA 11.8, 13.10 to CUDA 13.5.
    cublas_limit = limit if major == 12 else ""
    return (f"pip install 'nvidia-cuda-nvrtc{suffix}{limit}' "
            f"'nvidia-cublas{suffix}{cublas_limit}'")


def package_suffix(major):
    """How the packages of a major version of CUDA end their names."""
    return f"-cu{major}" if major < 13 else ""


def describe_library(library):
    return f"CUDA {format_version(library.version)} ({library.path})"


def choose(driver_version, capability, where=None):
    """The first NVRTC and cuBLAS, in the order of `list_folders`, that work together and here, as
    a `Cuda`; a `CudaError` if there is no such pair.

    Parameters
    ----------
    driver_version : (int, int)
        The newest CUDA that the driver supports.
    capability : (int, int)
        The device's compute capability.
    where : list of str
        The folders; by default those of `list_folders`.
    """
    where = list_folders() if where is None else where
    compilers = [library for folder in where for library in find_nvrtc(folder)]
    products = [library for folder in where for library in find_cublas(folder)]
    help_both = install_command(driver_version)
    if not compilers and not products:
        raise CudaError("CUDA's libraries libnvrtc and libcublas were not found", help_both)
    if not compilers:
        raise CudaError(f"cuBLAS of {describe_library(products[0])} was found, but no NVRTC",
                        help_both)
    old_enough = [library for library in compilers if library.version <= driver_version]
    if not old_enough:
        oldest = min(compilers, key=lambda library: library.version)
        raise CudaError(f"the driver supports CUDA {format_version(driver_version)}, NVRTC is of "
                        f"{describe_library(oldest)}: update the driver or install an older CUDA",
                        help_both)
    reasons = []
    for nvrtc in old_enough:
        cublas = find_partner(nvrtc, products)
        if cublas is None:
            reasons.append(make_partner_error(nvrtc, products))
            continue
        try:
            known = list_capabilities(nvrtc)
        except OSError as error:
            reasons.append(CudaError(f"{nvrtc.path} cannot be loaded: {error}", help_both))
            continue
        if capability in known:
            return Cuda(nvrtc, cublas)
        reasons.append(CudaError(
            f"the device has compute capability {format_version(capability)}, for which NVRTC of "
            f"{describe_library(nvrtc)} does not compile",
            # CUDA 13 knows some later capabilities than 12, and none below 7.5.
            install_command(driver_version, 13 if nvrtc.version[0] == 12 else 12)))
    raise reasons[0]


def find_partner(nvrtc, products):
    """cuBLAS of the same major version, preferably the one beside NVRTC; None without."""
    same = [library for library in products if library.version[0] == nvrtc.version[0]]
    beside = [library for library in same
              if os.path.dirname(library.path) == os.path.dirname(nvrtc.path)]
    return (beside + same + [None])[0]


def make_partner_error(nvrtc, products):
    """The error for an NVRTC without a cuBLAS of its major version."""
    command = f"pip install nvidia-cublas{package_suffix(nvrtc.version[0])}"
    if products:
        return CudaError(f"two CUDA versions: NVRTC is of {describe_library(nvrtc)}, cuBLAS of "
                         f"{describe_library(products[0])}", command)
    return CudaError(f"NVRTC of {describe_library(nvrtc)} was found, but no cuBLAS", command)
