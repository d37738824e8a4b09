"""The C++ compiler, the flags that it is given, and the BLAS that its code calls."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig

from lenet.theano_start.refusal import SetupError, say

# The BLAS routines that Theano calls; in the package scipy-openblas32 each is called scipy_NAME_.
BLAS_ROUTINES = (
    "xerbla "
    "srotg srotmg srot srotm sswap sscal scopy saxpy sdot sgemv sger sgemm ssymm ssyrk strsm "
    "drotg drotmg drot drotm dswap dscal dcopy daxpy ddot dgemv dger dgemm dsymm dsyrk dtrsm "
    "cswap cscal ccopy caxpy cgemv cgerc cgeru cgemm zswap zscal zcopy zaxpy zgemv zgerc "
    "zgeru zgemm"
).split()
BLAS_THREAD_FUNCTIONS = ("openblas_get_num_threads", "openblas_set_num_threads")


def check(user):
    """Refuse a compiler that cannot work.

    A user who sets ``cxx=`` wants graphs to be interpreted, and is told what it means.
    """
    compiler = user.get("cxx")
    if compiler == "":
        say("cxx is empty: Theano interprets graphs, slowly")
        return
    if compiler is None and not find_compiler():
        return  # Theano warns, and interprets graphs
    if compiler is not None and not shutil.which(compiler):
        raise SetupError(f"cxx={compiler}: no such compiler; leave the setting out for g++")
    flags = user.get("gcc.cxxflags")
    if flags:
        check_flags(compiler or find_compiler(), flags)
    header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
    if not os.path.exists(header):
        major, minor = sys.version_info[:2]
        raise SetupError(f"Python's C headers are missing ({header}); install them: "
                         f"sudo apt-get install python{major}.{minor}-dev")


def require(user):
    """Refuse to interpret graphs where the user has not asked for that."""
    if user.get("cxx") is None and not find_compiler():
        raise SetupError("no C++ compiler found; install one: sudo apt-get install g++")


def check_flags(compiler, flags):
    """Refuse flags that the compiler refuses, as it would for each module."""
    command = [compiler] + flags.split() + ["-fsyntax-only", "-x", "c++", os.devnull]
    process = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if process.returncode:
        lines = process.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise SetupError(f"gcc.cxxflags={flags}: {lines[0]}")


def find_compiler():
    """The path of the C++ compiler that Theano chooses by itself, or None."""
    clang = sys.platform == "darwin" or sys.platform.startswith("freebsd")
    return (clang and shutil.which("clang++")) or shutil.which("g++")


def compiler_flags():
    """Flags that make GCC optimise for this processor without changing the arithmetic.

    glibc declares the vector versions of functions like ``tanhf`` (at most 4 ulp) only where
    ``__FAST_MATH__`` is defined, and GCC calls them only where ``errno`` and traps do not matter.
    These flags say just that, and keep NaN, infinities and the order of sums as they are;
    ``-ffast-math`` itself would link code that makes the whole process flush subnormal numbers
    to zero. ``-g0`` undoes Theano's ``-g``: debugging symbols take a fifth of g++'s time and four
    fifths of the folder of compiled graphs.
    """
    flags = ["-O3", "-march=native", "-g0"]
    if sys.platform == "linux" and platform.machine() == "x86_64":
        flags += ["-fno-math-errno", "-fno-trapping-math", "-D__FAST_MATH__"]
    return flags


def blas_flags():
    """Flags that let Theano's C code call the BLAS of the package ``scipy-openblas32``.

    Importing that package loads its library with global symbols, so there is nothing to link:
    it is enough to give Theano's calls the names that the package uses. (``-L`` would not do:
    Theano splits these flags at spaces, which names of folders may contain.) Theano wants at least
    one library before it calls a BLAS from C; libm is always there.
    """
    if importlib.util.find_spec("scipy_openblas32") is None:
        return ["-lblas"]
    import scipy_openblas32  # noqa: F401  (loads the library)

    routines = [name + "_" for name in BLAS_ROUTINES]
    names = routines + list(BLAS_THREAD_FUNCTIONS)
    return [f"-D{name}=scipy_{name}" for name in names] + ["-lm"]
