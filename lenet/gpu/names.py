"""The plain names by which libgpuarray asks for CUDA's libraries.

libgpuarray calls ``dlopen("libcuda.so")``, ``dlopen("libnvrtc.so")``, ``dlopen("libcublas.so")``.
A machine without the development files has none of these: the driver's file is libcuda.so.1, those
of the packages on PyPI end in .so.12 and lie in folders that the dynamic linker does not search
(nor does it read LD_LIBRARY_PATH again once a process runs).

What it does do, before any search: compare the name with the SONAME of every library that is
loaded already.  Loading libcublas.so.12 is therefore not enough, since that is its SONAME.  So we
load a library of our own beside it that holds nothing but the SONAME ``libcublas.so`` and the need
of libcublas.so.12:

    dlopen("libcublas.so") --SONAME--> ours --NEEDED--> libcublas.so.12 (loaded by its path)

and a symbol that is looked up in ours is found in what it needs.  It takes the linker 0.1 s to
write, once; it is kept in a cache folder of the package's own.
"""

import ctypes
import glob
import hashlib
import os
import subprocess
import tempfile

# What has to be loaded before a library: other files in its folder that it asks for by name.
BEFORE = {"libcublas.so": "libcublasLt.so.*", "libnvrtc.so": "libnvrtc-builtins.so.*"}

# A function of each that libgpuarray looks up, to prove that the name leads to it.
PROOF = {"libcuda.so": "cuInit", "libnvrtc.so": "nvrtcCompileProgram",
         "libcublas.so": "cublasSgemm_v2"}


def provide(name, path, cache, compiler):
    """Let ``dlopen(name)`` give the library at ``path`` from now on, in this process.

    Parameters
    ----------
    name : str
        libcuda.so, libnvrtc.so or libcublas.so.
    path : str
        The library, loaded if it is not yet.
    cache : str
        The folder for our own libraries; made if need be.
    compiler : str
        The C++ compiler, whose linker is used.

    Returns
    -------
    ctypes.CDLL

    Raises
    ------
    OSError
        It cannot be done; the message is one line.
    """
    folder = os.path.dirname(path)
    for other in sorted(glob.glob(os.path.join(glob.escape(folder), BEFORE.get(name, "/")))):
        if major(other) == major(path) and ".alt." not in other:
            ctypes.CDLL(other)
    ctypes.CDLL(path)
    ctypes.CDLL(forwarder(name, path, cache, compiler))
    found = ctypes.CDLL(name)
    if not hasattr(found, PROOF[name]):
        raise OSError("%s lacks %s" % (path, PROOF[name]))
    return found


def major(path):
    """The first number of a library's version, as text."""
    return os.path.basename(path).partition(".so.")[2].partition(".")[0]


def forwarder(name, path, cache, compiler):
    """The path of the library with the SONAME ``name`` that needs the one at ``path``."""
    key = hashlib.sha256(("%s %s" % (path, os.path.getmtime(path) if os.path.isabs(path) else "")
                          ).encode()).hexdigest()[:12]
    folder = os.path.join(cache, key)
    kept = os.path.join(folder, name)
    if os.path.exists(kept):
        return kept
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        made = os.path.join(work, name)
        link(name, path, made, compiler)
        os.replace(made, kept)
    return kept


def link(name, path, made, compiler):
    """Write the forwarder; a file name without a folder is looked for as the linker does."""
    library = [path] if os.path.isabs(path) else ["-l:" + path]
    # --no-as-needed: keep the need of a library of which no symbol is used.
    # --allow-shlib-undefined: what that library needs itself is not looked for.
    # noexecstack: glibc 2.41 loads nothing that wants to run code on the stack.
    command = [compiler, "-shared", "-nostdlib", "-Wl,-soname," + name, "-Wl,--no-as-needed",
               "-Wl,--allow-shlib-undefined", "-Wl,-z,noexecstack", "-o", made] + library
    process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if process.returncode or not os.path.exists(made):
        lines = process.stdout.decode(errors="replace").strip().splitlines() or ["no output"]
        raise OSError("%s cannot be linked to %s: %s" % (name, path, lines[-1]))
