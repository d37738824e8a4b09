"""lenet.theano_start.headers: g++ takes the precompiled header, or does without."""

import os
import subprocess
import sys

import pytest
import theano
from conftest import run_python
from theano.gof import cmodule

from lenet.theano_start import headers

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="made on Linux only")


@linux_only
@pytest.mark.parametrize("openmp", [False, True])
def test_the_compiler_takes_it(tmp_path, openmp):
    path = headers.compile_header(openmp)
    source = tmp_path / "module.cpp"
    source.write_text(headers.BEGIN)
    command = [theano.config.cxx, "-g", "-fvisibility=hidden", "-include", path]
    command += cmodule.GCC_compiler.compile_args() + ["-fopenmp"] * openmp
    command += ["-I" + folder for folder in cmodule.std_include_dirs()]
    # -H lists the headers that are read, with "!" before a precompiled one and "x" before one
    # that does not fit.
    process = subprocess.run(command + ["-H", "-c", "-o", tmp_path / "module.o", source],
                             capture_output=True, text=True)
    assert process.returncode == 0
    assert f"! {path}.gch" in process.stderr.splitlines()


@linux_only
def test_it_is_made_once(monkeypatch):
    path = headers.compile_header(False)
    monkeypatch.setattr(subprocess, "run", None)
    assert headers.compile_header(False) == path


@linux_only
@pytest.mark.parametrize("compiler", ["", "clang++", "false", "no-such-compiler"])
def test_none_without_gcc(monkeypatch, compiler):
    monkeypatch.setattr(type(theano.config), "cxx", compiler)
    assert headers.compile_header(False) is None


def test_other_sources_are_compiled_as_they_are(monkeypatch):
    calls = []
    monkeypatch.setattr(cmodule.GCC_compiler, "compile_str",
                        staticmethod(lambda *arguments, **others: calls.append(arguments)))
    monkeypatch.setattr(headers, "compile_header", lambda openmp: f"header{openmp:d}.h")
    headers.apply()
    for source in "int i;", headers.BEGIN:
        for options in [], ["-fopenmp"]:
            cmodule.GCC_compiler.compile_str("name", source, preargs=options)
    assert [call[6] for call in calls] == [
        [], ["-fopenmp"], ["-include", "header0.h"], ["-include", "header1.h", "-fopenmp"]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_while_another_thread_makes_it():
    process = run_python("-c", """
import os, signal, threading
import lenet, theano
from lenet.theano_start import headers
from theano.gof import cmodule
cmodule.GCC_compiler.compile_str = staticmethod(lambda *arguments, **others: arguments[6])
begun, done, parent = threading.Event(), threading.Event(), os.getpid()
def compile_header(openmp):
    if os.getpid() == parent:
        begun.set()
        done.wait()
    return "header.h"
headers.compile_header = compile_header
headers.apply()
def compile_module():
    return cmodule.GCC_compiler.compile_str("name", headers.BEGIN)
thread = threading.Thread(target=compile_module)
thread.start()
begun.wait()
child = os.fork()
if child == 0:
    signal.alarm(100)
    print(*compile_module(), flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1])
done.set()
""")
    assert process.stdout == "-include header.h\n0\n", process.stderr
