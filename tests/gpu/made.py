"""Shared libraries made on the spot, for the tests of lenet.gpu."""

import glob
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))

# The emulator's parts, named like the libraries of CUDA 12.9 from PyPI, and flags to build them.
EMULATED = {"libcuda.so.1": ["-DDRIVER", "-ldl"], "libnvrtc.so.12": ["-DNVRTC"],
            "libcublas.so.12": ["-DCUBLAS", "-ldl"]}


def build_library(folder, name, soname, source, *flags):
    """Compile C ``source`` into the shared library ``folder/name`` with this SONAME."""
    os.makedirs(str(folder), exist_ok=True)
    path = os.path.join(str(folder), name)
    command = [shutil.which("gcc") or "clang", "-xc", "-", "-shared", "-fPIC", "-O1", "-o", path,
               "-Wl,-soname," + soname, *flags]
    subprocess.run(command, input=source, universal_newlines=True, check=True)
    return path


def build_emulator(folder, nvrtc=None):
    """Compile emulator.cc into the libraries of CUDA, in ``folder``; return its path.

    With ``nvrtc``, a lenet.gpu.libraries.Library, that one is used instead of an emulated one.
    """
    emulated = dict(EMULATED)
    if nvrtc is not None:
        emulated[f"libcublas.so.{nvrtc.version[0]}"] = emulated.pop("libcublas.so.12")
        del emulated["libnvrtc.so.12"]
        for path in glob.glob(os.path.join(os.path.dirname(nvrtc.path), "libnvrtc*.so.*")):
            os.symlink(path, os.path.join(str(folder), os.path.basename(path)))
    for name, flags in emulated.items():
        subprocess.run([shutil.which("g++") or "clang++", "-shared", "-fPIC", "-O1", "-std=c++14",
                        "-o", os.path.join(str(folder), name), "-Wl,-soname," + name,
                        os.path.join(HERE, "emulator.cc"), *flags], check=True)
    if nvrtc is None:
        build_library(folder, "libnvrtc-builtins.so.12.9", "libnvrtc-builtins.so.12.9", "")
    return str(folder)
