"""Products of matrices that are too small for two threads get one.

OpenBLAS divides a product among all its threads from some 2 ** 18 multiplications on, which take
five microseconds. It takes longer to wake a thread up and, on a busy machine, as long as a time
slice of whatever occupies its processor. products.h, which goes with Theano's declarations of BLAS,
sets OpenBLAS's number of threads for the time of a small product.

How a product is divided decides its last digits, so this is for other people's programs, and not
for the trainings of this package, whose numbers are published.
"""

import hashlib

from theano.tensor import blas, blas_c, blas_headers
from theano.tensor.nnet import corr, corr3d

from lenet.ops.compiled import read_source

TEXT, VERSION = blas.blas_header_text, blas.blas_header_version


def register():
    """From now on, compile Theano's products with the header."""
    header = read_source("products.h")
    key = int(hashlib.sha1(header.encode("utf-8")).hexdigest()[:8], 16)
    for module in blas_headers, blas, blas_c, corr, corr3d:
        # A module of C++ may have several operations with this text.
        module.blas_header_text = lambda: f"#ifndef LENET_BLAS\n{TEXT()}\n{header}#endif\n"
        module.blas_header_version = lambda: (*VERSION(), key)  # in Theano's cache, not the plain
