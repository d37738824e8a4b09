"""The loop of ``theano.scan``.

Theano's version in C was made by a Cython of 2018 (scan_module/c_code/scan_perform.c) and does not
compile with Python 3.11 or NumPy 2. scan_module/scan_op.py:953 uses the version in Python beside it
if importing the one in C raises an ImportError; but a failed compilation raises another error.
"""

import sys

from lenet.installed import numpy_version
from lenet.theano_start.today.view import REFUSED


def refuse_old_cython():
    """Let Theano use the loop in Python."""
    if sys.version_info >= (3, 11) or numpy_version() >= (2, 0):
        REFUSED["theano.scan_module.scan_perform_ext"] = "made by a Cython of 2018"
