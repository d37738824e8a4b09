"""The C++ that Theano writes."""

import functools
import hashlib
import os
import tempfile

from lenet.theano_start.today.view import Mend

HEADER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "generated.h")


def put_header_first(cmodule):
    """gof/cmodule.py:1929: let g++ read generated.h before each module."""
    compile_args = cmodule.GCC_compiler.compile_args

    def add_header(march_flags=True):
        return compile_args(march_flags) + ["-include", copy_header(cmodule.config.compiledir)]

    cmodule.GCC_compiler.compile_args = staticmethod(add_header)


def allow_narrowing(cmodule):
    """tensor/elemwise_cgen.py:321 and 358: Clang, unlike g++, refuses a list of ints that is
    initialized with longer integers."""
    compile_args = cmodule.GCC_compiler.compile_args

    def add_narrowing(march_flags=True):
        clang = "clang" in cmodule.config.cxx
        return compile_args(march_flags) + ["-Wno-narrowing"] * clang

    cmodule.GCC_compiler.compile_args = staticmethod(add_narrowing)


@functools.lru_cache(maxsize=None)
def read_header():
    """The text of the header, and a name made from it."""
    with open(HEADER, "rb") as file:
        text = file.read()
    return text, f"generated-{hashlib.sha256(text).hexdigest()[:16]}.h"


def copy_header(folder):
    """The path of the header in the folder of compiled graphs.

    The path is part of each graph's key, so it depends on the text and not on where the package is.
    """
    text, name = read_header()
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(text)
        os.replace(file.name, path)
    return path


def increment_in_python(subtensor):
    """tensor/inc_code.py:112: NumPy 2 hides the iterator that this C uses; the op's ``perform``
    calls ``numpy.add.at``, which does the same."""

    def c_code(self, *args):
        raise NotImplementedError("NumPy 2 hides PyArray_MapIter")

    subtensor.AdvancedIncSubtensor1.c_code = c_code


def cumulate_over_all(extra_ops):
    """tensor/extra_ops.py:262: in C, the axis that means all of them."""
    extra_ops.CumOp.c_axis = property(
        lambda self: extra_ops.np.iinfo("int32").min if self.axis is None else self.axis)


def leave_out_noprefix(conv):
    """tensor/nnet/conv.py:960: numpy/noprefix.h is gone; the code uses nothing of it."""
    conv.ConvOp.c_headers = lambda self: ["<iostream>", "<sstream>"]


MENDS = [
    Mend("theano.gof.cmodule", allow_narrowing),
    Mend("theano.gof.cmodule", put_header_first, numpy=(2, 0)),
    Mend("theano.tensor.nnet.conv", leave_out_noprefix, numpy=(2, 0)),
    Mend("theano.tensor.subtensor", increment_in_python, numpy=(2, 0)),
    Mend("theano.tensor.extra_ops", cumulate_over_all, numpy=(2, 0)),
]
