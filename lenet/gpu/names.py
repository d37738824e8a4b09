"""The plain names by which libgpuarray asks for CUDA's libraries.

libgpuarray calls ``dlopen("libcuda.so")``, ``dlopen("libnvrtc.so")``, ``dlopen("libcublas.so")``.
A machine without the development files has none of these: the driver's file is libcuda.so.1, those
of the packages on PyPI end in .so.12 and are in folders that the dynamic linker does not search
(nor does it read LD_LIBRARY_PATH again once a process runs).

But before it searches, it compares the name with the SONAME of every library that is already
loaded.  That of libcublas.so.12 is libcublas.so.12.  So we load a library of our own beside it that
holds nothing but the SONAME ``libcublas.so`` and the need for libcublas.so.12:

    dlopen("libcublas.so") --SONAME--> ours --NEEDED--> libcublas.so.12 (loaded by its path)

A symbol that is looked up in ours is found in what it needs.  The linker writes ours once, in
0.1 s, into a cache folder.
"""

import ctypes
import glob
import hashlib
import os
import subprocess
import tempfile

# Files in a library's folder that it asks for by name, and that have to be loaded before it.
BEFORE = {"libcublas.so": "libcublasLt.so.*", "libnvrtc.so": "libnvrtc-builtins.so.*"}

# A function of each that libgpuarray looks up, as proof that the name leads to it.
PROOF = {"libcuda.so": "cuInit", "libnvrtc.so": "nvrtcCompileProgram",
         "libcublas.so": "cublasSgemm_v2"}


def provide(name, path, cache, compiler):
    """Let ``dlopen(name)`` give the library at ``path`` from now on, in this process; return it as
    a ``ctypes.CDLL``, or raise an OSError if that cannot be done.

    The name is libcuda.so, libnvrtc.so or libcublas.so; the library is loaded if necessary. The
    cache is the folder for our own libraries, which is made if necessary, and the compiler the C++
    compiler, whose linker is used.
    """
    folder = os.path.dirname(path)
    for other in sorted(glob.glob(os.path.join(glob.escape(folder), BEFORE.get(name, "/")))):
        if major_version(other) == major_version(path) and ".alt." not in other:
            ctypes.CDLL(other)
    ctypes.CDLL(path)
    ctypes.CDLL(build_forwarder(name, path, cache, compiler))
    found = ctypes.CDLL(name)
    if not hasattr(found, PROOF[name]):
        raise OSError(f"{path} lacks {PROOF[name]}")
    return found


def major_version(path):
    """The first number of a library's version, as text."""
    return os.path.basename(path).partition(".so.")[2].partition(".")[0]


def build_forwarder(name, path, cache, compiler):
    """The path of the library with the SONAME ``name`` that needs the one at ``path``."""
    time = os.path.getmtime(path) if os.path.isabs(path) else ""
    folder = os.path.join(cache, hashlib.sha256(f"{path} {time}".encode()).hexdigest()[:12])
    kept = os.path.join(folder, name)
    if os.path.exists(kept):
        return kept
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        made = os.path.join(work, name)
        link_forwarder(name, path, made, compiler)
        os.replace(made, kept)
    return kept


def link_forwarder(name, path, made, compiler):
    """Write the forwarder. A library without a folder is found by the linker's own search."""
    library = [path] if os.path.isabs(path) else ["-l:" + path]
    # --no-as-needed: keep the need for a library of which no symbol is used.
    # --allow-shlib-undefined: do not look for what that library itself needs.
    # noexecstack: glibc 2.41 loads nothing that may run code on the stack.
    command = [compiler, "-shared", "-nostdlib", "-Wl,-soname," + name, "-Wl,--no-as-needed",
               "-Wl,--allow-shlib-undefined", "-Wl,-z,noexecstack", "-o", made] + library
    process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if process.returncode or not os.path.exists(made):
        lines = process.stdout.decode(errors="replace").strip().splitlines() or ["no output"]
        raise OSError(f"{name} cannot be linked to {path}: {lines[-1]}")
