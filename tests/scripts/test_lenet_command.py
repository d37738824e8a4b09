"""The command ``lenet``, the wheel that brings it, and ``python -m lenet PROGRAM``."""

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile

import pytest
from conftest import REPOSITORY, assert_refused, environment, run_python

SCRIPTS = os.path.join(REPOSITORY, "scripts")
FOR_A_CLONE = "benchmark", "make_notebook"


def test_every_script_is_a_command():
    process = run_python(SCRIPTS, "--help")
    listed = [line.split()[0] for line in process.stdout.splitlines() if line.startswith("  ")]
    scripts = {name[:-3] for name in os.listdir(SCRIPTS) if name.endswith(".py")}
    scripts -= {"__main__", "lenet"}  # no commands of their own
    expected = {name.replace("_", "-") for name in scripts} | {"train"}
    assert set(listed) == expected and len(listed) == len(expected)
    assert run_python(SCRIPTS).stdout == process.stdout and process.returncode == 0


def test_a_command_is_its_script(script):
    process = run_python(SCRIPTS, "maxpool-demo")
    assert process.returncode == 0
    assert process.stdout == script("maxpool_demo.py").stdout


def test_train_is_lenet5(script, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "path", sys.path[:])  # the command puts the folder of scripts there
    assert script("__main__.py", "train", "--help").stdout == \
        script("convolutional_mlp.py", "--help").stdout


def test_a_command_finds_what_lies_beside_its_script():
    process = run_python("-m", "scripts", "benchmark", "--help", cwd=REPOSITORY)
    assert process.stdout.startswith("usage: benchmark.py "), process.stderr
    assert "--network3" in process.stdout


def test_status_of_a_command_is_that_of_its_script(script, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", sys.path[:])
    process = script("__main__.py", "predict", tmp_path / "none", "x.png")
    assert_refused(process, 1, "predict.py", "none")


def test_no_such_command():
    assert_refused(run_python(SCRIPTS, "nonsense"), 2, "nonsense is not a command", "lenet --help")


def test_a_program_for_theano(tmp_path):
    (tmp_path / "helper.py").write_text("NAME = 'helper'")
    (tmp_path / "program.py").write_text(
        "import sys, theano, helper\n"
        "print(__name__, helper.NAME, theano.__version__, theano.config.floatX, sys.argv[1:])\n"
        "sys.exit(3)\n")
    process = run_python("-m", "lenet", tmp_path / "program.py", "--option", "1",
                         PYTHONPATH=REPOSITORY)
    assert process.stdout == "__main__ helper 1.0.5 float64 ['--option', '1']\n", process.stderr
    assert process.returncode == 3


@pytest.mark.parametrize("arguments, words", [
    ((), "no program is named"), (("no.py",), "no.py is not a file")])
def test_no_program(arguments, words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["lenet", *arguments])
    assert importlib.import_module("lenet.__main__").main() == 2
    line, = capsys.readouterr().err.splitlines()
    assert words in line and "usage: python -m lenet program.py" in line


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The folder of an unpacked wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("lenet", "scripts", "data"):
        shutil.copytree(os.path.join(REPOSITORY, name), str(folder / "clone" / name))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(os.path.join(REPOSITORY, name), str(folder / "clone"))
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps",
                    "--no-build-isolation", "--wheel-dir", str(folder), str(folder / "clone")],
                   check=True)
    path, = [name for name in os.listdir(str(folder)) if name.endswith(".whl")]
    with zipfile.ZipFile(str(folder / path)) as archive:
        archive.extractall(str(folder / "unpacked"))
    return folder / "unpacked"


needs_setuptools = pytest.mark.skipif(
    not (importlib.util.find_spec("setuptools") and importlib.util.find_spec("wheel")),
    reason="setuptools and wheel are not installed")


@needs_setuptools
def test_a_wheel_holds_what_a_clone_holds(wheel):
    for name in ("lenet", "scripts", "data"):
        inside = wheel / name if name == "lenet" else wheel / "lenet_theano" / name
        for folder, _, files in os.walk(os.path.join(REPOSITORY, name)):
            for file in files:
                path = os.path.relpath(os.path.join(folder, file), os.path.join(REPOSITORY, name))
                if not file.endswith((".pyc", ".png")) and not path.startswith(FOR_A_CLONE):
                    assert (inside / path).exists(), path
    assert not (wheel / "tests").exists()
    assert (wheel / "lenet-theano.pth").read_text().startswith("import sys; exec(")


@needs_setuptools
def test_an_editable_wheel_starts_theano_as_well(wheel, tmp_path):
    code = f"from setuptools import build_meta; build_meta.build_editable({str(tmp_path)!r})"
    process = run_python("-c", code, cwd=str(wheel.parent / "clone"))
    assert process.returncode == 0, process.stderr
    with zipfile.ZipFile(str(next(tmp_path.glob("*.whl")))) as archive:
        assert archive.read("lenet-theano.pth") == (wheel / "lenet-theano.pth").read_bytes()


@needs_setuptools
def test_a_wheel_holds_nothing_that_needs_a_clone(wheel):
    scripts = wheel / "lenet_theano" / "scripts"
    assert not [path for name in FOR_A_CLONE for path in scripts.glob(f"{name}*")]
    assert not (wheel / "lenet" / "benchmark").exists()
    listed = run_python("-m", "lenet_theano.scripts", "--help", cwd=str(wheel)).stdout
    assert "lenet5-1998" in listed and "benchmark" not in listed and "make-notebook" not in listed


@needs_setuptools
def test_a_wheel_runs_outside_a_clone(wheel, tmp_path):
    code = ("import lenet, lenet.data; print(lenet.__file__); "
            "print(len(lenet.data.load_arrays('mnist.pkl.gz')[0][1]))")
    process = subprocess.run([sys.executable, "-c", code], cwd=str(tmp_path), text=True,
                             env=environment(PYTHONPATH=str(wheel)), capture_output=True)
    assert process.stdout == f"{wheel / 'lenet' / '__init__.py'}\n50000\n", process.stderr
    with open(str(next(wheel.glob("*.dist-info")) / "entry_points.txt")) as file:
        assert "lenet = lenet_theano.scripts.__main__:main" in file.read()


@needs_setuptools
def test_a_command_of_a_wheel_finds_its_package(wheel, tmp_path):
    process = run_python("-m", "lenet_theano.scripts", "maxpool-demo", "--help", cwd=str(tmp_path),
                         PYTHONPATH=str(wheel))
    assert "example: lenet maxpool-demo" in process.stdout, process.stderr


def test_a_command_by_the_name_of_its_script(script, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[:])
    assert "maxpool_demo.py" in script("__main__.py", "maxpool_demo", "--help").stdout
