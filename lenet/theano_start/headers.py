"""Let g++ parse the headers of Theano's modules once, which saves a third of a cold start.

A graph is compiled into some fifty small modules, and more than half of the time of each goes into
the same headers: Python's, NumPy's, C++'s. g++ can keep what it made of a header in a file beside
it, NAME.gch (a "precompiled header"), and takes that instead where it was made by the same compiler
with the same options; otherwise it silently reads the header itself, so nothing can go wrong but
the saving. The files lie in Theano's folder of compiled graphs, one for modules with OpenMP and one
for those without, 43 MB each.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import threading

import numpy
import theano
from theano.configdefaults import gcc_version_str
from theano.gof import cmodule

# What every module of a graph begins with, and what most of them go on with.
BEGIN = '#include <Python.h>\n#include <iostream>\n#include "theano_mod_helper.h"\n'
HEADER = BEGIN + """#include <math.h>
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>
#include <vector>
#include <algorithm>
"""


def apply():
    """From now on, give g++ the header with every module of a graph."""
    compile_str = cmodule.GCC_compiler.compile_str
    known, building = {}, {True: threading.Lock(), False: threading.Lock()}

    def compile_with_header(module_name, src_code, location=None, include_dirs=None,
                            lib_dirs=None, libs=None, preargs=None, **others):
        preargs = list(preargs or [])
        if src_code.startswith(BEGIN):
            openmp = "-fopenmp" in preargs
            with building[openmp]:
                if openmp not in known:
                    known[openmp] = precompiled_header(openmp)
            if known[openmp]:
                # g++ takes the precompiled header only where it is the first
                preargs = ["-include", known[openmp]] + preargs
        return compile_str(module_name, src_code, location, include_dirs, lib_dirs, libs, preargs,
                           **others)

    cmodule.GCC_compiler.compile_str = staticmethod(compile_with_header)


def precompiled_header(openmp):
    """The path of the header, which is compiled if it is not there; None if it cannot be.

    Parameters
    ----------
    openmp : bool
        Whether it is for modules that are compiled with ``-fopenmp``.
    """
    compiler = theano.config.cxx
    if sys.platform != "linux" or "clang" in compiler or not compiler:
        return None
    options = cmodule.GCC_compiler.compile_args() + ["-fopenmp"] * openmp
    folders = cmodule.std_include_dirs()
    # Where g++ does not take the .gch, it reads this header before those of the command line.
    before = [path for option, path in zip(options, options[1:]) if option == "-include"]
    text = "".join('#include "%s"\n' % path for path in before) + HEADER
    # The file is not made again when a header changes, so its name says what it was made of.
    made_of = [text, compiler, gcc_version_str, sys.version, numpy.__version__,
               theano.__version__] + options + folders
    name = "lenet-%s.h" % hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:16]
    path = os.path.join(theano.config.compiledir, name)
    if os.path.exists(path + ".gch"):
        return path
    temporary = None
    try:
        with open(path, "w") as file:
            file.write(text)
        with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), delete=False) as file:
            temporary = file.name
        command = [compiler, "-g", "-fvisibility=hidden"] + options
        command += ["-I" + folder for folder in folders]
        done = subprocess.run(command + ["-x", "c++-header", path, "-o", temporary],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode:
            return None
        os.replace(temporary, path + ".gch")
        return path
    except OSError:
        return None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
