"""The loop of ``theano.scan``.

Theano runs it in C made by a Cython of 2018 (scan_module/c_code/scan_perform.c), which Python 3.11
and NumPy 2 do not compile. The same loop in Python stands beside it, and is what
scan_module/scan_op.py:953 takes where the module in C cannot be imported; but what a failed
compilation raises is no ImportError.
"""

import sys

from lenet.theano_start.today.view import REFUSED, numpy_version


def refuse_old_cython():
    """Let Theano take the loop in Python."""
    if sys.version_info >= (3, 11) or numpy_version() >= (2, 0):
        REFUSED["theano.scan_module.scan_perform_ext"] = "made by a Cython of 2018"
