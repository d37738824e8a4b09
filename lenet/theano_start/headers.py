"""Parse the headers of Theano's modules once, which saves a third of a cold start.

A graph is compiled into some fifty small modules, and more than half of the time of each goes into
the same headers: Python's, NumPy's, C++'s. g++ can keep a parsed header in a file beside it,
NAME.gch (a "precompiled header"). It uses that only if it was made by the same compiler with the
same options, and otherwise reads the header itself. The files are in Theano's folder of compiled
graphs, one for modules with OpenMP and one for those without, 43 MB each.
"""

import functools
import hashlib
import os
import subprocess
import sys
import uuid

import numpy
import theano
from theano.configdefaults import gcc_version_str
from theano.gof import cmodule

from lenet.theano_start.threads import make_thread_safe

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
    find_header = functools.lru_cache(maxsize=None)(compile_header)
    # One lock each: modules of both kinds are compiled side by side.
    finders = {openmp: make_thread_safe(find_header) for openmp in (False, True)}

    def compile_with_header(module_name, src_code, location=None, include_dirs=None,
                            lib_dirs=None, libs=None, preargs=None, **others):
        preargs = list(preargs or [])
        if src_code.startswith(BEGIN):
            openmp = "-fopenmp" in preargs
            header = finders[openmp](openmp)
            if header:
                # g++ uses a precompiled header only if it comes first
                preargs = ["-include", header] + preargs
        return compile_str(module_name, src_code, location, include_dirs, lib_dirs, libs, preargs,
                           **others)

    cmodule.GCC_compiler.compile_str = staticmethod(compile_with_header)


def compile_header(openmp):
    """The path of the header, which is compiled if it is missing; None if it cannot be.

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
    # Where g++ does not use the .gch, it reads this header before those of the command line.
    before = [path for option, path in zip(options, options[1:]) if option == "-include"]
    text = "".join(f'#include "{path}"\n' for path in before) + HEADER
    # The file is not made again when a header changes, so its name says what it was made of.
    made_of = [text, compiler, gcc_version_str, sys.version, numpy.__version__,
               theano.__version__] + options + folders
    name = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:16]
    path = os.path.join(theano.config.compiledir, f"lenet-{name}.h")
    if os.path.exists(path + ".gch"):
        return path
    made = f"{path}.{uuid.uuid4().hex}"  # g++ removes it if it fails
    command = [compiler, "-g", "-fvisibility=hidden"] + options
    command += ["-I" + folder for folder in folders]
    try:
        with open(path, "w") as file:
            file.write(text)
        subprocess.run(command + ["-x", "c++-header", path, "-o", made], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.replace(made, path + ".gch")
    except (OSError, subprocess.CalledProcessError):
        return None
    return path
