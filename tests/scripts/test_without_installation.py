"""Scripts in a clone that is not installed: they find the package beside them, and say in one line
which dependency is missing."""

import os

import numpy
import pytest
import theano
from conftest import REPOSITORY, assert_refused, run_python

SCRIPTS, LENET = (os.path.join(REPOSITORY, name) for name in ("scripts", "lenet"))


@pytest.fixture(scope="module")
def python(bare_python, tmp_path_factory):
    """A function that runs a Python which has all dependencies, but not the package."""
    packages = sorted({os.path.dirname(os.path.dirname(module.__file__))
                       for module in (numpy, theano)})
    site = tmp_path_factory.mktemp("site")
    # The folders alone: what their .pth files add, such as this clone, is left out.
    (site / "sitecustomize.py").write_text(f"import sys\nsys.path += {packages!r}\n")

    def run(*arguments, **options):
        return run_python(*arguments, python=bare_python, PYTHONPATH=str(site), **options)

    process = run("-c", "import lenet", cwd=str(site))
    if "No module named 'lenet'" not in process.stderr:
        pytest.skip("the package itself is among the packages of this Python")
    return run


@pytest.mark.parametrize("folder, script", [
    (REPOSITORY, "scripts/convolutional_mlp.py"), (SCRIPTS, "convolutional_mlp.py"),
    ("/", os.path.join(SCRIPTS, "convolutional_mlp.py"))])
def test_a_script_finds_the_package(python, folder, script):
    process = python(script, "--help", cwd=folder)
    assert (process.returncode, process.stderr) == (0, "")
    assert "example: python scripts/convolutional_mlp.py" in process.stdout


def test_a_script_trains(python, small_dataset, tmp_path):
    process = python(os.path.join(SCRIPTS, "logistic_sgd.py"), "--dataset", small_dataset,
                     "--batch-size", 50, "--n-epochs", 1, cwd=str(tmp_path))
    assert process.returncode == 0, process.stderr
    assert "Optimization complete" in process.stdout


def test_scripts_as_a_program(python, tmp_path):
    process = python(SCRIPTS, "train", "--help", cwd=str(tmp_path))
    assert process.stdout.startswith("usage: convolutional_mlp.py"), process.stderr


def test_benchmarks_find_what_lies_beside_them(python, tmp_path):
    process = python(os.path.join(SCRIPTS, "benchmark.py"), "--help", cwd=str(tmp_path))
    assert "--network3" in process.stdout, process.stderr


WHERE = """
import importlib.util, lenet
print(lenet.__file__)
print([importlib.util.find_spec(name) is None for name in ("page", "benchmarking")])
"""


@pytest.mark.parametrize("folder, missing", [(SCRIPTS, [True, False]), (LENET, [True, True])])
def test_python_typed_in_a_folder_of_the_clone(python, folder, missing):
    """The package is found, but its modules do not stand for others."""
    lines = python("-c", WHERE, cwd=folder).stdout.splitlines()
    assert lines == [os.path.join(LENET, "__init__.py"), str(missing)]
    assert_refused(python("-m", "lenet", cwd=folder), 2, "usage: python -m lenet program.py")


def test_the_package_as_a_program(python, tmp_path):
    (tmp_path / "program.py").write_text("import theano, sys; print(theano.__version__, sys.argv)")
    process = python(LENET, "program.py", "1", cwd=str(tmp_path))
    assert process.stdout == "1.0.5 ['program.py', '1']\n", process.stderr


def test_a_clone_uses_its_own_package(tmp_path):
    (tmp_path / "lenet").mkdir()
    (tmp_path / "lenet" / "__init__.py").write_text("raise SystemExit('another one')")
    process = run_python(os.path.join(SCRIPTS, "maxpool_demo.py"), "--help",
                         PYTHONPATH=str(tmp_path))
    assert process.returncode == 0, process.stderr


SPAWN = """
import multiprocessing, sys
sys.path.insert(0, sys.argv[1])
from lenet.processors import usable_processors

context = multiprocessing.get_context("spawn")
with context.Pool(1) as pool:
    print(pool.apply(usable_processors) == usable_processors())
"""


def test_a_process_that_a_script_spawns(python, tmp_path):
    process = python("-c", SPAWN, SCRIPTS, cwd=str(tmp_path))
    assert process.stdout == "True\n", process.stderr


def test_importing_every_module_changes_nothing():
    code = ("import importlib, sys, lenet; before = sys.path[:]\n"
            "for name in 'lenet.lenet', 'lenet.__main__':\n"
            "    importlib.import_module(name)\n"
            "    print(sys.path == before, sys.modules['lenet'] is lenet)")
    assert run_python("-c", code, PYTHONPATH=REPOSITORY).stdout == 2 * "True True\n"


# --- without dependencies -------------------------------------------------------------------

COMMANDS = sorted(name for name in os.listdir(SCRIPTS) if name.endswith(".py")
                  and name not in ("__main__.py", "install_theano.py", "lenet.py"))


@pytest.mark.parametrize("script", COMMANDS)
def test_a_script_says_what_is_missing(bare_python, script, tmp_path):
    process = run_python(os.path.join(SCRIPTS, script), python=bare_python, PYTHONPATH=None,
                         cwd=str(tmp_path))
    assert_refused(process, 2, "lenet: the package numpy is not installed; type `")


@pytest.mark.parametrize("folder, arguments", [
    (REPOSITORY, ["scripts", "train"]), (REPOSITORY, ["-m", "scripts", "train"]),
    (SCRIPTS, ["convolutional_mlp.py"]), (LENET, ["-c", "import lenet.mlp"]),
    (REPOSITORY, ["-m", "lenet", "tests/listings/operators.py"])])
def test_other_commands_say_what_is_missing(bare_python, folder, arguments):
    process = run_python(*arguments, python=bare_python, PYTHONPATH=None, cwd=folder)
    assert_refused(process, 2, "lenet: the package numpy is not installed; type `")
