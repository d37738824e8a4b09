"""Products of matrices that are too small for two threads get one.

OpenBLAS divides a product among all its threads from some 2 ** 18 multiplications on, which take
five microseconds. It takes longer to wake a thread up and, on a busy machine, as long as a time
slice of whatever occupies its processor. products.h, which goes with Theano's declarations of BLAS,
sets OpenBLAS's number of threads for the time of a small product.

How a product is divided decides its last digits. The numbers of this package's trainings are
published, so its modules switch the setting ``lenet.small_products`` off: it is for other people's
programs.
"""

import hashlib

import theano
from theano.configparser import AddConfigVar, BoolParam
from theano.tensor import blas, blas_c, blas_headers
from theano.tensor.nnet import corr, corr3d

from lenet.ops.compiled import read_source

TEXT, VERSION = blas.blas_header_text, blas.blas_header_version


def register():
    """Add the setting ``lenet.small_products``, on by default; a second call does nothing."""
    if hasattr(theano.config, "lenet"):
        return
    AddConfigVar("lenet.small_products", "One thread for small products of matrices",
                 BoolParam(True), in_c_key=False)
    header = read_source("products.h")
    key = int(hashlib.sha1(header.encode("utf-8")).hexdigest()[:8], 16)

    def make_text():
        # A module of C++ may have several operations with this text.
        return (f"#ifndef LENET_BLAS\n{TEXT()}\n{header}#endif\n"
                if theano.config.lenet.small_products else TEXT())

    def make_version():
        return (*VERSION(), *[key] * theano.config.lenet.small_products)

    for module in blas_headers, blas, blas_c, corr, corr3d:
        module.blas_header_text, module.blas_header_version = make_text, make_version
