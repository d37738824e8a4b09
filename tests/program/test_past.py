"""Names that Python and its packages once had, as programs see them."""

import builtins
import collections
import importlib
import io
import os
import pickle
import sys
import time

import numpy
import pytest
from PIL import Image

from lenet.program import past

WORK = """
from collections import Iterable, Mapping, Sequence, Container, Callable, OrderedDict
import collections; assert isinstance({}, collections.Mapping)
from collections import *; assert issubclass(list, Sequence); deque
import numpy as np; assert np.bool is bool and np.float is float and np.object is object
import numpy as np; assert np.cast["int8"](3.7).dtype == "int8" and np.asscalar(np.ones(1)) == 1
import numpy as np; assert np.product([2, 3]) == 6 and np.float_(1) == 1 and np.Inf > 0
import numpy as np; assert np.in1d([[1, 2]], [2]).shape == (2,) and np.trapz([1, 1]) == 1
import numpy as np; assert np.find_common_type([np.float32], [np.float64]) == np.float32
import numpy as np; assert np.array([1], copy=False).dtype.kind == "i"
import numpy as np; assert np.vstack(np.ones(2) for i in range(3)).shape == (3, 2)
import numpy.core.multiarray, numpy.random as r, numpy.linalg as la; la.norm(r.rand(3))
from numpy import bool, float_, random, linalg; assert linalg.linalg.norm is linalg.norm
from numpy.lib.function_base import angle
import numpy; numpy.lib.pad, numpy.lib.stride_tricks.as_strided, numpy.math.pi
from numpy import *; import builtins; assert max is builtins.max and bool is builtins.bool; alltrue
import time; assert 0 <= time.clock() < 1e6
import inspect; assert inspect.getargspec(lambda a, b=1, *c: 0) == (["a", "b"], "c", None, (1,))
from fractions import gcd; assert gcd(4, 6) == 2
import imp; imp.find_module("json"); imp.reload(imp)
import sys; reload(sys); sys.setdefaultencoding("utf-8"); assert sys.maxint == sys.maxsize
import cPickle, Queue, StringIO, urllib2; StringIO.StringIO(), Queue.Queue(), cPickle.dumps
import itertools, string; assert list(itertools.izip(string.letters, xrange(1))) == [("a", 0)]
import scipy.misc; assert scipy.misc.logsumexp([0.0]) == 0 and scipy.misc.comb(4, 2) == 6
from scipy import misc, signal, linalg; misc.imread, signal.convolve2d, linalg.kron, misc.imresize
from scipy.signal.signaltools import convolve2d
import scipy; scipy.zeros(3), scipy.integrate.simps
import PIL.Image; PIL.Image.ANTIALIAS
import Image; Image.open
from base64 import encodestring
from cgi import escape; assert escape('<">') == '&lt;"&gt;'
from os import getcwdu; from os.path import join
""".strip().splitlines()


def run(source):
    """The names of a program of these lines."""
    program = {"__builtins__": past.BUILTINS, "__name__": "program"}
    exec(source, program)
    return program


@pytest.mark.parametrize("line", WORK)
def test_line(line):
    run(line)


def test_the_rest_of_the_process_sees_todays_modules():
    run("import numpy, collections, pickle, time, sys; numpy.product, collections.Mapping")
    assert sys.modules["numpy"] is importlib.import_module("numpy") is numpy
    for module, name in ((numpy, "asscalar"), (collections, "asscalar"), (time, "clock"),
                         (sys, "setdefaultencoding"), (builtins, "xrange")):
        assert not hasattr(module, name)
    assert pickle.load.__module__ == "_pickle"


def test_nothing_is_imported_before_the_program_does():
    from conftest import run_python

    code = ("import sys; before = set(sys.modules); from lenet.program import names; "
            "assert 'PIL.Image' in names.NAMES; print('scipy.misc' in sys.modules)")
    assert run_python("-c", code).stdout == "False\n"


def test_ragged_rows_are_objects_and_other_errors_stay():
    array = run("import numpy")["numpy"].array
    ragged = array([[1, 2], [3]])
    assert ragged.dtype == object and list(map(list, ragged)) == [[1, 2], [3]]
    with pytest.raises(ValueError):
        array([[1, 2], [3]], dtype="float32")
    assert array([[1, 2], [3, 4]], "float32").dtype == "float32"


def test_what_a_program_assigns_is_seen_by_others():
    """Programs repair old packages this way before they import them."""
    try:
        run("import collections; collections.Nonsense = 1")
        assert collections.Nonsense == 1
        out = io.StringIO()
        run("import sys; kept = sys.stdout")["sys"].stdout = out
        print("caught")
    finally:
        del collections.Nonsense
        sys.stdout = sys.__stdout__
    assert out.getvalue() == "caught\n"


def test_names_that_were_never_there():
    with pytest.raises(ImportError, match="nonsense"):
        run("from numpy import nonsense")
    with pytest.raises(ModuleNotFoundError, match="numpy.nonsense"):
        run("import numpy.nonsense")
    with pytest.raises(AttributeError, match="nonsense"):
        run("import scipy.misc; scipy.misc.nonsense")


def test_a_module_of_the_programs_own_wins(tmp_path, monkeypatch):
    (tmp_path / "Queue.py").write_text("mine = True")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(past.PAST, "made", {})
    assert run("import Queue")["Queue"].mine
    del sys.modules["Queue"]


def test_pickles_of_python_2():
    """Protocol 0 of a string with bytes of an array, as cPickle wrote it."""
    written = b"S'\\x00\\xff'\np0\n."
    assert run("import cPickle")["cPickle"].loads(written) == "\x00\xff"
    program = run("import pickle")
    assert program["pickle"].load(io.BytesIO(written)) == "\x00\xff"
    assert program["pickle"].Unpickler(io.BytesIO(written)).load() == "\x00\xff"


def test_the_pictures_of_scipy_misc(tmp_path):
    misc = run("import scipy.misc")["scipy"].misc
    grey = numpy.arange(12, dtype="uint8").reshape(3, 4) * 20
    misc.imsave(str(tmp_path / "grey.png"), grey)
    numpy.testing.assert_array_equal(misc.imread(str(tmp_path / "grey.png")), grey)
    flat = misc.imread(str(tmp_path / "grey.png"), flatten=True)
    assert flat.dtype == "float32" and flat[1, 1] == 100
    # Other numbers than bytes are stretched: the least is 0, the greatest 255.
    assert misc.imresize(grey / 1000, 1.0).max() == 255
    numpy.testing.assert_array_equal(misc.bytescale(numpy.array([-1.0, 0.0, 1.0])), [0, 128, 255])
    numpy.testing.assert_array_equal(misc.imresize(grey, (6, 8), "nearest"),
                                     grey.repeat(2, axis=0).repeat(2, axis=1))
    assert misc.imresize(grey, 50).shape == (1, 2)
    numpy.testing.assert_array_equal(misc.imrotate(grey[:3, :3], 90), numpy.rot90(grey[:3, :3]))
    colours = numpy.stack([grey, grey[::-1], grey + 1])
    image = misc.toimage(colours)
    assert (image.size, image.mode) == ((4, 3), "RGB")
    numpy.testing.assert_array_equal(numpy.moveaxis(misc.fromimage(image), 2, 0), colours)
    assert isinstance(misc.toimage(grey, mode="F"), Image.Image)


def test_sklearns_cross_validation():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    program = run("from sklearn.cross_validation import KFold, StratifiedKFold, train_test_split\n"
                  "from sklearn import cross_validation, grid_search, svm\n"
                  "from sklearn.externals import joblib\n"
                  "grid_search.GridSearchCV, joblib.dump")
    folds = program["KFold"](5, n_folds=2)
    assert len(folds) == 2
    assert [(list(train), list(test)) for train, test in folds] == [
        ([3, 4], [0, 1, 2]), ([0, 1, 2], [3, 4])]
    for _, test in program["StratifiedKFold"]([0, 0, 1, 1], n_folds=2):
        assert list(test % 2 == test[0] % 2) == [True, True]


def test_known_packages_get_the_view(tmp_path, monkeypatch):
    package = tmp_path / "blocks"
    os.mkdir(package)
    (package / "__init__.py").write_text("from collections import Mapping")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    past.install()
    blocks = importlib.import_module("blocks")
    assert blocks.Mapping is collections.abc.Mapping
    del sys.modules["blocks"]
