"""lenet.theano_start.missing: the line and the command for a package that is not installed."""

import importlib.util
import os
import re
import sys
import traceback

import pytest
from conftest import REPOSITORY, assert_refused, run_python

from lenet.theano_start import missing
from lenet.theano_start.refusal import SetupError


def test_the_packages_are_those_of_setup():
    with open(os.path.join(REPOSITORY, "setup.py")) as file:
        listed = re.search(r"install_requires=\[(.*?)\n    \]", file.read(), re.S).group(1)
    names = re.findall(r'^ *"([\w-]+)', listed, re.M)
    assert sorted(missing.REQUIRED.values()) == sorted(names)
    assert all(map(importlib.util.find_spec, missing.REQUIRED))


# --- the command ----------------------------------------------------------------------------


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A clone, in which a Python outside any environment runs that has pip; no uv."""
    clone = tmp_path / "clone"
    (clone / "scripts").mkdir(parents=True)
    (clone / "setup.py").write_text("")
    (tmp_path / "usr").mkdir()
    monkeypatch.chdir(clone)
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(missing, "find_resources", lambda: str(clone))
    monkeypatch.setattr(missing, "has_pip", lambda: True)
    monkeypatch.setattr(missing.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(missing.shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "executable", "/env/bin/python")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "usr"))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "usr"))
    return tmp_path


@pytest.fixture
def environment(system, monkeypatch):
    """The same in an environment of the user's own."""
    (system / "env").mkdir()
    monkeypatch.setattr(sys, "prefix", str(system / "env"))
    return system


def command_in(folder, monkeypatch, module="numpy"):
    monkeypatch.chdir(folder)
    return missing.command_for(module)


def test_in_a_clone(system, monkeypatch):
    assert missing.command_for("numpy") == missing.command_for("theano") == "make train"
    assert command_in(system / "clone" / "scripts", monkeypatch) == "make -C .. train"
    assert command_in("/", monkeypatch) == f"make -C {str(system)[1:]}/clone train"


def test_in_a_clone_that_has_an_environment(environment, monkeypatch):
    activate = environment / "clone" / ".venv" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.write_text("")
    assert missing.command_for("PIL") == ". .venv/bin/activate"
    assert command_in(environment / "clone" / "scripts", monkeypatch) == ". ../.venv/bin/activate"
    monkeypatch.chdir(environment / "clone")
    monkeypatch.setattr(sys, "prefix", str(environment / "clone" / ".venv"))  # it is active
    assert missing.command_for("PIL") == "/env/bin/python -m pip install -e ."


def test_in_an_environment(environment, monkeypatch):
    assert missing.command_for("numpy") == "/env/bin/python -m pip install -e ."
    assert missing.command_for("theano") == "/env/bin/python scripts/install_theano.py"
    monkeypatch.setattr(missing.shutil, "which", lambda name: "/env/bin/python")
    assert missing.command_for("numpy") == "python -m pip install -e ."
    assert command_in(environment / "clone" / "scripts", monkeypatch) == \
        "python -m pip install -e .."


def test_in_an_environment_of_condas(system):
    (system / "usr" / "conda-meta").mkdir()
    assert missing.command_for("numpy") == "/env/bin/python -m pip install -e ."


def test_in_an_environment_of_uvs(environment, monkeypatch):
    monkeypatch.setattr(missing, "has_pip", lambda: False)
    found = {"uv": "/bin/uv", "python": sys.executable}
    monkeypatch.setattr(missing.shutil, "which", found.get)
    assert missing.command_for("numpy") == "uv pip install --python /env/bin/python -e ."
    assert missing.command_for("theano") == "python scripts/install_theano.py"
    # `uv run` puts the environment on the PATH, but not on that of the user's shell.
    monkeypatch.setenv("UV", "/bin/uv")
    assert missing.command_for("numpy") == "uv pip install --python /env/bin/python -e ."
    assert missing.command_for("theano") == "/env/bin/python scripts/install_theano.py"


def test_in_an_environment_without_pip(environment, monkeypatch):
    monkeypatch.setattr(missing, "has_pip", lambda: False)
    assert missing.command_for("numpy") == \
        "/env/bin/python -m ensurepip && /env/bin/python -m pip install -e ."


def test_outside_a_clone(system, monkeypatch):
    monkeypatch.setattr(missing, "find_resources", lambda: str(system))
    assert missing.command_for("PIL") == "/env/bin/python -m pip install pillow"
    assert missing.command_for("theano") == "/env/bin/python -m pip install Theano==1.0.5"
    monkeypatch.setattr(missing.importlib.util, "find_spec", lambda name: name)
    assert missing.command_for("theano") == \
        "/env/bin/python -m lenet_theano.scripts install-theano"


# --- the error ------------------------------------------------------------------------------


def raised(file, code):
    """The error of code that stands in a file, and its traceback."""
    try:
        exec(compile(code, file, "exec"), {})
    except Exception as error:
        return error, error.__traceback__


OURS = os.path.join(REPOSITORY, "lenet", "figures", "plots.py")


@pytest.mark.parametrize("file", [OURS, os.path.join(REPOSITORY, "scripts", "sweep.py")])
def test_an_import_of_ours_without_its_package(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    shown = missing.explain(*raised(file, "from PIL import Image"))
    assert isinstance(shown, SetupError) and shown.status == 2
    assert str(shown).startswith("the package pillow is not installed; type `")


@pytest.mark.parametrize("file, code", [
    ("program.py", "import PIL"),  # of somebody else's program
    (OURS, "import lenet.nonsense"),
    (OURS, "raise ImportError('no')"),
    (OURS, "1 / 0"),
])
def test_other_errors_stay(file, code, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    error, where = raised(file, code)
    assert missing.explain(error, where) is error, traceback.format_tb(where)


@pytest.mark.parametrize("module, package, script", [
    ("tqdm", "tqdm", "mlp.py"), ("PIL", "pillow", "predict.py"),
    ("matplotlib", "matplotlib", "show_digit.py"), ("safetensors", "safetensors", "look.py"),
    ("pooch", "pooch", "show_digit.py"),  # imported when it looks for the dataset
])
def test_a_script_without_a_package(module, package, script, tmp_path):
    path = os.path.join(REPOSITORY, "scripts", script)
    arguments = [path, "--help"] if module != "pooch" else [path, "--dataset", "none.pkl.gz"]
    code = (f"import runpy, sys; sys.modules[{module!r}] = None; sys.argv = {arguments!r}\n"
            "runpy.run_path(sys.argv[0], run_name='__main__')")
    process = run_python("-c", code, cwd=str(tmp_path))
    assert_refused(process, 2, f"lenet: the package {package} is not installed; type `")
