"""CUDA's compiler (NVRTC) and BLAS (cuBLAS): where they are, and which of them go together.

libgpuarray hands the driver what NVRTC makes of a kernel, in a language (PTX) whose version grows
with CUDA's.  So NVRTC may not be newer than the driver, to the minor version; and it has to know
the device's compute capability: CUDA 13 no longer compiles for what is older than 7.5, CUDA 11 not
yet for what is newer than 9.0.  cuBLAS has to be of the same major version.

Versions are read off the names of files, since those of the packages on PyPI end in the major
version alone: libnvrtc.so.12 stands beside libnvrtc-builtins.so.12.9, and libnvrtc.so.11.2 (the
name that all of CUDA 11 uses) beside libnvrtc-builtins.so.11.8.
"""

import collections
import ctypes
import glob
import os
import re
import subprocess
import sys

from lenet.gpu import driver

Library = collections.namedtuple("Library", "path version")
Library.__doc__ = "A file, and the version of CUDA that it belongs to: (12, 9), or (12,)."

Cuda = collections.namedtuple("Cuda", "nvrtc cublas")
Cuda.__doc__ = "Two libraries that go together."

TOOLKITS = ("/usr/local/cuda", "/usr/local/cuda-*", "/opt/cuda", "/usr/lib/cuda")


class CudaError(Exception):
    """CUDA's libraries cannot be used; the message is one line, `command` what to type."""

    def __init__(self, message, command=None):
        super().__init__(message)
        self.command = command


# --- where people have them -----------------------------------------------------------------


def folders():
    """Folders that may hold CUDA's libraries, the user's choices first, none of them twice.

    LD_LIBRARY_PATH; the toolkit that CUDA_HOME names; the packages of PyPI; Python's own folders,
    where conda has a toolkit; toolkits in their usual places; what the dynamic linker knows; the
    driver's folders, of which some are the system's.
    """
    found = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    for name in ("CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"):
        found += toolkit_folders(os.environ.get(name, ""))
    found += package_folders(sys.path)
    found += toolkit_folders(sys.prefix) + toolkit_folders(sys.base_prefix)
    for pattern in TOOLKITS:
        for root in sorted(glob.glob(pattern), reverse=True):
            found += toolkit_folders(root)
    found += linker_folders()
    found += driver.FOLDERS
    # /lib is /usr/lib on most systems
    return list(dict.fromkeys(os.path.realpath(f) for f in found if f and os.path.isdir(f)))


def toolkit_folders(root):
    """Where a CUDA toolkit keeps its libraries."""
    if not root:
        return []
    return [os.path.join(root, "lib64"), os.path.join(root, "lib")] + sorted(
        glob.glob(os.path.join(glob.escape(root), "targets", "*-linux", "lib")))


def package_folders(path):
    """Where the packages nvidia-cuda-nvrtc and nvidia-cublas put them: CUDA 13 both in
    nvidia/cu13/lib, CUDA 11 and 12 each in a folder of its own."""
    found = []
    for entry in path:
        pattern = os.path.join(glob.escape(entry), "nvidia", "*", "lib")
        found += sorted(glob.glob(pattern), reverse=True)
    return found


def linker_folders():
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


def numbers(path, stem):
    """The version at the end of a library's name: libNAME.so.12.9 -> (12, 9); None without."""
    match = re.match(re.escape(stem) + r"\.so\.(\d+(?:\.\d+)*)$", os.path.basename(path))
    return tuple(int(n) for n in match.group(1).split(".")) if match else None


def versions(folder, stem):
    """Pairs (path, version) of the files STEM.so.VERSION in a folder, the newest first."""
    paths = glob.glob(os.path.join(glob.escape(folder), stem + ".so.*"))
    pairs = [(path, numbers(path, stem)) for path in paths]
    return sorted((pair for pair in pairs if pair[1]), key=lambda pair: pair[1], reverse=True)


def nvrtc_in(folder):
    """NVRTC of a folder, the newest of each major version."""
    built_in = {}
    for _, version in versions(folder, "libnvrtc-builtins"):
        built_in.setdefault(version[0], version[:2])
    found = {}
    for path, version in versions(folder, "libnvrtc"):
        if version[0] in built_in:
            found.setdefault(version[0], Library(path, built_in[version[0]]))
    return list(found.values())


def cublas_in(folder):
    """cuBLAS of a folder, one of each major version."""
    found = {}
    for path, version in versions(folder, "libcublas"):
        found.setdefault(version[0], Library(path, version[:1]))
    return list(found.values())


def capabilities(nvrtc):
    """The compute capabilities that NVRTC compiles for: {(5, 0), ..., (9, 0)}.

    Raises
    ------
    OSError
        The file cannot be loaded.
    """
    library = ctypes.CDLL(nvrtc.path)
    count = ctypes.c_int(0)
    try:
        library.nvrtcGetNumSupportedArchs(ctypes.byref(count))
        known = (ctypes.c_int * count.value)()
        library.nvrtcGetSupportedArchs(known)
    except AttributeError:
        raise OSError("it has no nvrtcGetSupportedArchs") from None
    return {divmod(number, 10) for number in known}


# --- which go together ----------------------------------------------------------------------


def text(version):
    return ".".join(map(str, version))


def install(version, newest=12):
    """The command that installs NVRTC and cuBLAS of a version of CUDA up to ``version``.

    Packages of CUDA 12 are the choice wherever the driver has it: they compile for almost
    everything from 5.0 (Maxwell) on; ``newest``, 13, for the rest.
    """
    major = min(version[0], newest)
    limit = "<%d.%d" % (major, version[1] + 1) if version[0] == major else ""
    suffix = "-cu%d" % major if major < 13 else ""
    # cuBLAS counts like CUDA in CUDA 12 alone: 11.11 belongs to CUDA 11.8, 13.10 to CUDA 13.5.
    return "pip install 'nvidia-cuda-nvrtc%s%s' 'nvidia-cublas%s%s'" % (
        suffix, limit, suffix, limit if major == 12 else "")


def choose(driver_version, capability, where=None):
    """The first NVRTC and cuBLAS, in the order of `folders`, that work together and here.

    Parameters
    ----------
    driver_version : (int, int)
        The newest CUDA that the driver supports.
    capability : (int, int)
        The device's compute capability.
    where : list of str
        The folders; by default those of `folders`.

    Returns
    -------
    Cuda

    Raises
    ------
    CudaError
        There is no such pair; the reason in one line, and the command that helps.
    """
    where = folders() if where is None else where
    compilers = [library for folder in where for library in nvrtc_in(folder)]
    products = [library for folder in where for library in cublas_in(folder)]
    help_both = install(driver_version)
    if not compilers and not products:
        raise CudaError("CUDA's libraries libnvrtc and libcublas were not found", help_both)
    if not compilers:
        raise CudaError("cuBLAS of CUDA %s was found (%s), but no NVRTC"
                        % (text(products[0].version), products[0].path), help_both)
    old_enough = [library for library in compilers if library.version <= driver_version]
    if not old_enough:
        oldest = min(compilers, key=lambda library: library.version)
        raise CudaError("the driver supports CUDA %s, NVRTC (%s) is of CUDA %s: update the driver "
                        "or install an older CUDA" % (text(driver_version), oldest.path,
                                                      text(oldest.version)), help_both)
    reasons = []
    for nvrtc in old_enough:
        cublas = partner(nvrtc, products)
        if cublas is None:
            reasons.append(without_partner(nvrtc, products, driver_version))
            continue
        try:
            known = capabilities(nvrtc)
        except OSError as error:
            reasons.append(CudaError("%s cannot be loaded: %s" % (nvrtc.path, error), help_both))
            continue
        if capability in known:
            return Cuda(nvrtc, cublas)
        reasons.append(CudaError(
            "the device has compute capability %s, for which NVRTC of CUDA %s (%s) does not compile"
            % (text(capability), text(nvrtc.version), nvrtc.path),
            # CUDA 13 has some later capabilities than 12, and lacks those before 7.5.
            install(driver_version, 13 if nvrtc.version[0] == 12 else 12)))
    raise reasons[0]


def partner(nvrtc, products):
    """cuBLAS of the same major version, the one that lies beside NVRTC before others."""
    same = [library for library in products if library.version[0] == nvrtc.version[0]]
    beside = [library for library in same
              if os.path.dirname(library.path) == os.path.dirname(nvrtc.path)]
    return (beside + same + [None])[0]


def without_partner(nvrtc, products, driver_version):
    """What to say about an NVRTC that has no cuBLAS of its major version."""
    major = nvrtc.version[0]
    command = "pip install nvidia-cublas" + ("-cu%d" % major if major < 13 else "")
    if products:
        return CudaError(
            "two CUDA versions: NVRTC is of CUDA %s (%s), cuBLAS of CUDA %s (%s)"
            % (text(nvrtc.version), nvrtc.path, text(products[0].version), products[0].path),
            command)
    return CudaError("NVRTC of CUDA %s was found (%s), but no cuBLAS"
                     % (text(nvrtc.version), nvrtc.path), command)
