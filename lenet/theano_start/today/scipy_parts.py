"""SciPy's convolutions and statistics, imported when a graph calls them.

Theano imports both with itself, which takes as long as all the rest of its start, and only graphs
that are interpreted call them: a convolution of tensor/nnet/abstract_conv.py:2187 or conv.py:798,
and the chi-squared distribution of scalar/basic_scipy.py:491.

SciPy 1.8 moved the names that the convolutions ask for, and later versions dropped them; Theano
then takes SciPy for missing.
"""

import importlib
import importlib.util
import types

from lenet.theano_start.today.python import stand_in
from lenet.theano_start.today.view import REPLACED, Mend, copy_module


def show():
    """Give Theano stand-ins for the parts of SciPy."""
    if importlib.util.find_spec("scipy") is None:  # Theano does without
        return
    REPLACED["scipy"] = copy_module(importlib.import_module("scipy"))
    REPLACED["scipy.stats"] = REPLACED["scipy"].stats = Later("scipy.stats")
    REPLACED["scipy.signal"] = REPLACED["scipy"].signal = Later("scipy.signal")
    # How borders are treated: the names of SciPy's functions today, once numbers.
    stand_in("scipy.signal.signaltools", convolve=convolve, _valfrommode=str, _bvalfromboundary=str)
    stand_in("scipy.signal.sigtools", _convolve2d=convolve_images)


class Later(types.ModuleType):
    """A module that is imported when something in it is asked for."""

    def __getattr__(self, name):
        return getattr(importlib.import_module(self.__name__), name)


def convolve(*args):
    """``scipy.signal.convolve``."""
    from scipy import signal
    return signal.convolve(*args)


def convolve_images(x, w, flip, mode, boundary, fill):
    """What SciPy's ``_convolve2d`` was: the convolution of two matrices, or without ``flip`` their
    correlation."""
    from scipy import signal
    return (signal.convolve2d if flip else signal.correlate2d)(x, w, mode, boundary, fill)


def interpret_convolutions(mode):
    """compile/mode.py:381: the mode FAST_COMPILE, which interprets graphs, but has the convolution
    replaced by one that can only be compiled."""
    mode.FAST_COMPILE = mode.FAST_COMPILE.excluding("conv_gemm", "AbstractConvCheck")
    mode.predefined_modes["FAST_COMPILE"] = mode.FAST_COMPILE


MENDS = [Mend("theano.compile.mode", interpret_convolutions)]
