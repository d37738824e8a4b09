"""lenet.theano_start.cache: a second process compiles nothing."""

import copy
import pickle
import warnings

import pytest
import theano
import theano.tensor as T
from conftest import make_home, run_python
from theano.gof.op import OpenMPOp
from theano.scalar.basic import Composite

from lenet.theano_start import cache

COMPILE = """
import lenet, theano, theano.tensor as T, numpy
from theano.gof import cmodule
compile_str = cmodule.GCC_compiler.compile_str
names = []
def spy(*args, **kwargs):
    names.append(args)
    return compile_str(*args, **kwargs)
cmodule.GCC_compiler.compile_str = staticmethod(spy)
x, y, i = T.matrix(), T.ivector(), T.lscalar()
W = theano.shared(numpy.zeros((3, 2), theano.config.floatX))
cost = -T.mean(T.log(T.nnet.softmax(T.dot(x[i:i + 2].reshape((2, 3)), W)))[T.arange(2), y])
theano.function([x, y, i], cost, updates=[(W, W - T.grad(cost, W))])
print(len(names), T.DimShuffle((False, False), (1, 0)).c_code_cache_version())
"""


def test_a_second_process_compiles_nothing(tmp_path):
    home = make_home(tmp_path)

    def compile_with_seed(seed):
        process = run_python("-c", COMPILE, HOME=home, PYTHONHASHSEED=seed)
        assert process.returncode == 0, process.stderr
        number, _, version = process.stdout.partition(" ")
        return int(number), version

    (first, version), (second, same_version) = compile_with_seed("1"), compile_with_seed("2")
    assert first > 0 and second == 0
    assert version == same_version and "(" in version


def test_operations_of_a_class_without_properties_stay_equal():
    assert T.Dot() == T.Dot() and hash(T.Dot()) == hash(T.Dot())
    assert str(theano.tensor.blas.Dot22()) == "Dot22"
    assert T.Dot() != theano.tensor.blas.Dot22()


def test_a_folder_that_another_process_has_tidied_up():
    code = (
        "import lenet, theano, theano.tensor as T; from theano.gof import cmodule; "
        "x = T.scalar(); theano.function([x], x + 1); "
        "cmodule.ModuleCache.clear_old = lambda self: [print('tidied up'), sorted(None)]"
    )
    process = run_python("-c", code)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout == "tidied up\n"  # it is what Theano calls at the end


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda op: pickle.loads(pickle.dumps(op))])
def test_a_scalar_graph_is_read_without_being_built(copied):
    x, y = theano.scalar.float64(), theano.scalar.float64()
    op = Composite([x, y], [x * 2 + y])
    c_code = hash(op)  # writes it
    again = copied(copied(op))
    assert (again == op, hash(again)) == (True, c_code)
    assert not {"fgraph", "_impls"} & set(vars(again))
    assert again.impl(3.0, 4.0) == 10 and again.fgraph.outputs
    assert not hasattr(again, "nonsense")


def test_openmp_is_tried_until_it_compiles(tmp_path, monkeypatch):
    monkeypatch.setattr(type(theano.config), "compiledir", str(tmp_path))
    answers = iter([False, True, True])
    asked = [cache.check_openmp(lambda: next(answers)) for _ in range(4)]
    assert asked == [False, True, True, True] and next(answers) is True
    monkeypatch.setattr(type(theano.config), "cxx", "another")
    assert not cache.check_openmp(lambda: False)


@pytest.mark.parametrize("compiler, hint", [("/usr/bin/clang++-19", "libomp"), ("icpc", "g++")])
def test_no_openmp_is_one_line(compiler, hint, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(type(theano.config), "compiledir", str(tmp_path))
    monkeypatch.setattr(type(theano.config), "cxx", compiler)
    monkeypatch.setattr(OpenMPOp, "test_gxx_support", lambda: cache.check_openmp(lambda: False))
    monkeypatch.setattr(OpenMPOp, "gxx_support_openmp", None)
    monkeypatch.setattr(theano.config, "openmp", True)
    with warnings.catch_warnings(record=True) as warned:
        assert OpenMPOp(openmp=True).c_compile_args() == []
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and compiler in lines[0] and hint in lines[0]
    assert not warned
