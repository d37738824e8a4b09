"""lenet.theano_start.ahead: the same modules, compiled by other threads beforehand."""

import os

import numpy
import pytest
import theano
import theano.tensor as T
from conftest import make_home, run_python

from lenet import processors
from lenet.theano_start import ahead

# Compiles a graph of three operations at least, and prints its values, how many g++ the main
# thread waited for, and how many the others.
COMPILE = """
import os
os.sched_getaffinity = lambda process: range(%d)
import threading, lenet, numpy, theano, theano.tensor as T
from theano.gof import cmodule
popen, by_main_thread = cmodule.output_subprocess_Popen, []
def spy(command):
    by_main_thread.append(threading.current_thread() is threading.main_thread())
    return popen(command)
x = T.matrix()
theano.function([x], T.sin(x[0]))  # with what Theano compiles before all others
cmodule.output_subprocess_Popen = spy
f = theano.function([x], [T.exp(x).sum(), T.dot(x, x.T), %s])
print([numpy.asarray(y).tolist() for y in f(numpy.ones((1, 2), theano.config.floatX))])
print(by_main_thread.count(True), by_main_thread.count(False))
"""


def compile_graph(home, processors=2, output="-x"):
    process = run_python("-c", COMPILE % (processors, output), HOME=home)
    assert (process.returncode, process.stderr) == (0, "")
    values, counts = process.stdout.splitlines()
    return values, [int(count) for count in counts.split()]


@pytest.mark.skipif(processors.control_group_quota() is not None,
                    reason="a control group limits the processors")
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="affinity is Linux's")
def test_the_modules_are_those_of_theano_alone(tmp_path):
    homes = [make_home(tmp_path / name) for name in "12"]
    alone, counts = compile_graph(homes[0], processors=1)
    assert counts[0] >= 3 and counts[1] == 0
    side_by_side, (by_theano, by_others) = compile_graph(homes[1])
    assert side_by_side == alone
    assert by_others >= 3 and by_theano <= 1  # one constant, worked out before the graph is ready
    # What is on disk is not compiled again.
    assert compile_graph(homes[1])[1] == [0, 0]
    by_theano, by_others = compile_graph(homes[1], output="x[::2]")[1]
    assert by_theano == 0 and 1 <= by_others < counts[0]


def make_graph():
    x = T.matrix()
    return theano.gof.FunctionGraph([x], [T.cosh(x) * 2])


@pytest.fixture
def empty_cache(monkeypatch):
    monkeypatch.setattr(ahead, "is_on_disk", lambda linker: False)


def test_what_g_plus_plus_refuses_is_left_for_theano(empty_cache, tmp_path):
    def compile_str(name, source, folder, *options, py_module):
        assert os.path.isdir(folder) and not py_module
        folders.append(folder)
        raise RuntimeError("no")

    folders = []
    modules = ahead.GraphModules(make_graph(), compile_str, processors=2)
    modules.start()
    assert len(modules.results) >= 2
    for name, options in list(modules.results):
        assert modules.take(name, eval(options), str(tmp_path)) is None
    assert modules.take("another", ([], [], [], []), str(tmp_path)) is None
    modules.close()
    assert len(folders) >= 2 and not any(map(os.path.exists, folders))


def test_a_module_is_taken_once(empty_cache, tmp_path):
    modules = ahead.GraphModules(make_graph(), ahead.GCC_compiler.compile_str, processors=2)
    modules.start()
    name, options = list(modules.results)[0]
    assert modules.take(name, eval(options), str(tmp_path)) is not None
    assert modules.take(name, eval(options), str(tmp_path)) is None
    modules.close()


def test_an_operation_without_c_code_is_left_for_theano(empty_cache):
    @theano.compile.ops.as_op([T.dmatrix], [T.dmatrix])
    def halves(x):
        return x / 2

    x = T.dmatrix()
    modules = ahead.GraphModules(theano.gof.FunctionGraph([x], [halves(x)]), None, processors=2)
    modules.start()
    assert modules.results == {}
    modules.close()
    assert theano.function([x], halves(x))(numpy.ones((1, 1))) == 0.5


def test_one_processor_compiles_nothing_ahead(tmp_path):
    modules = ahead.GraphModules(make_graph(), None, processors=1)
    assert modules.take("any", ([], [], [], []), str(tmp_path)) is None
    assert modules.pool is None
    modules.close()


def test_nowhere_to_write(monkeypatch, tmp_path):
    def refuse(**options):
        raise OSError("no room")

    monkeypatch.setattr(ahead.tempfile, "TemporaryDirectory", refuse)
    modules = ahead.GraphModules(make_graph(), None, processors=2)
    assert modules.take("any", ([], [], [], []), str(tmp_path)) is None
    modules.close()


def test_an_error_of_the_compiler_is_theanos(tmp_path):
    code = ("import lenet, theano, theano.tensor as T\n"
            "class Broken(T.extra_ops.CpuContiguous):\n"
            "    def c_code(self, *arguments): return 'no C'\n"
            "    def c_code_cache_version(self): return ()\n"
            "x = T.matrix()\n"
            "theano.function([x], Broken()(x))")
    process = run_python("-c", code, HOME=make_home(tmp_path), TMPDIR=str(tmp_path))
    assert process.returncode == 1 and "Compilation failed" in process.stderr
    assert not [name for name in os.listdir(tmp_path) if name.startswith("lenet-modules-")]
