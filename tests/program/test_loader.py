"""``python -m lenet PROGRAM``: the program's modules, and the processes that it starts."""

import os

import pytest
from conftest import REPOSITORY, assert_refused, run_python

FILES = {
    "program.py": """
        import sys
        sys.path.append('more')
        import helper, modern, further, package.first
        from package import first
        try:
            import installed
        except SyntaxError, e:
            print 'not translated:', e.filename[-12:]
        print helper.half(7), modern.half(7), further.half(7), first.second.half(7)
        print sys.argv[1:], __name__, __package__, __file__ == sys.path[0] + '/program.py'
        """,
    "helper.py": "'\\d'\ndef half(x):\n\tif x is None:\n\t\tprint 'none'\n\treturn x / 2\n",
    "modern.py": "import cPickle\ndef half(x): return [x / 2 for _ in xrange(1)]\n",
    "more/further.py": "def half(x):\n    return x / 2\n    print 'never'\n",
    "first.py": "print 'another one'",
    "package/__init__.py": "",
    "package/first.py": "import second\nprint second.__name__",
    "package/second.py": "def half(x): return `x / 2`\n",
    ".venv/lib/site-packages/installed.py": "print 'old'\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = text.strip("\n").split("\n")
        indentation = len(lines[0]) - len(lines[0].lstrip(" "))
        path.write_text("".join(line[indentation:] + "\n" for line in lines))
    return tmp_path


def list_files(folder):
    return {os.path.join(path, name) for path, _, names in os.walk(str(folder)) for name in names}


def test_the_program_s_own_modules_are_translated(folder):
    before = list_files(folder)
    path = os.pathsep.join([REPOSITORY, str(folder / ".venv/lib/site-packages")])
    process = run_python("-m", "lenet", "program.py", "-x", cwd=str(folder), PYTHONPATH=path)
    assert process.stdout.splitlines() == [
        "package.second", "not translated: installed.py", "3 [3.5] 3 3",
        "['-x'] __main__  True"], process.stderr
    assert process.stderr.splitlines() == [
        "lenet: translated from Python 2: program.py, helper.py",
        "lenet: translated from Python 2: more/further.py",
        "lenet: translated from Python 2: package/first.py",
        "lenet: translated from Python 2: package/second.py"]
    written = list_files(folder) - before
    assert {os.path.basename(name).split(".")[0] for name in written} <= {"modern", "__init__"}


def test_a_program_of_neither_python(tmp_path):
    (tmp_path / "program.py").write_text("print 'a'\nprint(1, file=x) 2\n")
    process = run_python("-m", "lenet", tmp_path / "program.py", PYTHONPATH=REPOSITORY)
    lines = process.stderr.splitlines()
    assert process.returncode == 1 and "program.py\", line 1" in lines[1]
    assert "program.py is no Python 2 either: line 2: unexpected '='" in lines[0]
    assert lines[-1].startswith("SyntaxError: Missing parentheses")
    assert "Traceback" not in process.stderr


def test_no_such_program():
    process = run_python("-m", "lenet", "no.py", PYTHONPATH=REPOSITORY)
    assert_refused(process, 2, "no.py is not a file")


POOL = """
import multiprocessing, sys
from helper import half

def compute(i):
    return half(i), __name__, __file__ == sys.argv[1], half.func_code.co_name

if __name__ == '__main__':
    multiprocessing.set_start_method('spawn')
    pool = multiprocessing.Pool(1)
    print pool.map(compute, range(6, 8))
    pool.close()
    pool.join()
"""


@pytest.mark.parametrize("start", [["-m", "lenet"], [os.path.join(REPOSITORY, "lenet")]])
def test_processes_that_do_not_fork(folder, start):
    """They run the program as it runs, also where the package is not installed."""
    path = folder / "pool.py"
    path.write_text(POOL)
    process = run_python(*start, path, path, PYTHONPATH=REPOSITORY if start[0] == "-m" else None)
    assert process.stdout == "[(3, '__mp_main__', True, 'half'), (3, '__mp_main__', True, " \
        "'half')]\n", process.stderr
    assert len(process.stderr.splitlines()) == 1  # one says what is translated, once
