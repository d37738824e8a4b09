"""Modules that Python 3.12 and current setuptools and NumPy no longer have, as far as Theano calls
them. Where they are still there, importing them would take a tenth of the time of its start."""

import importlib.util
import shutil
import sys
import sysconfig
import types

import numpy

from lenet.theano_start.today.view import REPLACED


def show():
    """Give Theano stand-ins for what is gone."""
    replace_distutils()
    replace_numpy_distutils()
    if sys.version_info >= (3, 12):
        replace_imp()
    if importlib.util.find_spec("pkg_resources") is None:
        replace_pkg_resources()


def stand_in(name, **functions):
    """Let Theano import a module of these functions under a dotted name."""
    module = types.ModuleType(name)
    vars(module).update(functions)
    REPLACED[name] = module
    package, _, last = name.rpartition(".")
    if package:
        setattr(REPLACED[package], last, module)


def replace_distutils():
    """gof/cmodule.py:20 and configdefaults.py:531; gone since Python 3.12."""
    stand_in("distutils")
    stand_in(
        "distutils.sysconfig",
        get_config_var=sysconfig.get_config_var,
        get_config_h_filename=sysconfig.get_config_h_filename,
        get_python_inc=lambda plat_specific=False: sysconfig.get_path(
            "platinclude" if plat_specific else "include"),
        get_python_lib=lambda plat_specific=False, standard_lib=False: sysconfig.get_path(
            "stdlib" if standard_lib else "platlib" if plat_specific else "purelib"),
        get_python_version=sysconfig.get_python_version,
    )
    stand_in("distutils.spawn", find_executable=shutil.which)


def replace_imp():
    """tests/breakpoint.py:3, which theano.scan needs; gone since Python 3.12."""

    def find_module(name):
        if importlib.util.find_spec(name) is None:
            raise ImportError(f"No module named {name!r}")
        return True

    stand_in("imp", find_module=find_module)


def replace_numpy_distutils():
    """gof/cmodule.py:1624, tensor/blas.py:134; gone since Python 3.12."""
    stand_in("numpy.distutils")
    stand_in("numpy.distutils.__config__")
    stand_in("numpy.distutils.misc_util", get_numpy_include_dirs=lambda: [numpy.get_include()])


def replace_pkg_resources():
    """gpuarray/linalg.py:5 and 31; gone since setuptools 82."""
    stand_in("pkg_resources", DistributionNotFound=type("DistributionNotFound", (Exception,), {}))
