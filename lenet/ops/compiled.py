"""What the compiled ops share: their C code is in files, and Theano's flag switches OpenMP."""

import hashlib
import os

from theano.gof import OpenMPOp


def read_source(*names):
    """The concatenated text of files in this folder."""
    text = []
    for name in names:
        with open(os.path.join(os.path.dirname(__file__), name)) as source:
            text.append(source.read())
    return "\n".join(text)


class CompiledOp(OpenMPOp):
    """An op with kernels in `source_files` and its Python in `python_file`."""

    source_files = ()
    python_file = ""

    def c_support_code(self):
        self.update_self_openmp()
        openmp = "#define LENET_OPENMP 1\n" if self.openmp else ""
        return openmp + read_source(*self.source_files)

    def c_code_cache_version(self):
        # a module in Theano's cache is valid until one of these files changes
        self.update_self_openmp()
        text = read_source(self.python_file, *self.source_files).encode("utf-8")
        return (int(hashlib.sha1(text).hexdigest()[:8], 16), bool(self.openmp))
