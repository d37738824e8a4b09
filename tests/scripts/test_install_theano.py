"""scripts/install_theano.py: what installs Theano in environments with and without pip."""

import os
import runpy
import subprocess
import sys

import pytest
from conftest import REPOSITORY, run_python

SCRIPT = os.path.join(REPOSITORY, "scripts", "install_theano.py")

FAKE_UV = """#!/bin/sh
echo "$PIP_USE_PEP517 $*" >> {log}
test -e "$PYTHONPATH/sitecustomize.py" && echo "with sitecustomize" >> {log}
exit 0
"""


def test_uv_installs_where_pip_is_missing(bare_python, tmp_path):
    uv, log = tmp_path / "bin" / "uv", tmp_path / "log"
    uv.parent.mkdir()
    uv.write_text(FAKE_UV.format(log=log))
    uv.chmod(0o755)
    process = run_python(SCRIPT, python=bare_python, PYTHONPATH=None, UV=None,
                         PATH=f"{uv.parent}:/usr/bin:/bin")
    assert (process.returncode, process.stderr) == (0, "")
    first, second, third = log.read_text().splitlines()
    install = f"pip install --quiet --python {bare_python}"
    assert first.startswith(f" {install} --target ") and first.endswith("setuptools>=68 wheel")
    assert second == f"1 {install} --no-build-isolation Theano==1.0.5"
    assert third == "with sitecustomize"


def test_uv_run_names_its_uv(bare_python, tmp_path):
    uv, log = tmp_path / "uv", tmp_path / "log"
    uv.write_text(FAKE_UV.format(log=log))
    uv.chmod(0o755)
    process = run_python(SCRIPT, python=bare_python, PYTHONPATH=None, UV=str(uv),
                         PATH="/usr/bin:/bin")
    assert (process.returncode, process.stderr) == (0, "")
    assert "Theano==1.0.5" in log.read_text()


@pytest.fixture
def installer(monkeypatch):
    """A function that runs the script with some modules and programs; its status and commands."""

    def run(modules=(), programs=(), ensurepip=1):
        commands = []

        def call(command, **options):
            commands.append(command)
            return ensurepip if "ensurepip" in command else 0

        monkeypatch.delenv("UV", raising=False)
        monkeypatch.setattr(subprocess, "call", call)
        main = runpy.run_path(SCRIPT)["main"]
        module = main.__globals__
        monkeypatch.setattr(module["importlib"].util, "find_spec",
                            lambda name: name if name in modules else None)
        monkeypatch.setattr(module["shutil"], "which",
                            lambda name: name if name in programs else None)
        return main(), commands

    return run


PIP = [sys.executable, "-m", "pip"]


def test_pip_installs_where_it_is(installer):
    status, commands = installer(modules=["pip"], programs=["uv"])
    assert status == 0 and [command[:3] for command in commands] == [PIP, PIP]


def test_ensurepip_brings_pip(installer):
    status, commands = installer(ensurepip=0)
    assert status == 0
    assert [command[:3] for command in commands] == [[*PIP[:2], "ensurepip"], PIP, PIP]


def test_nothing_that_installs(installer, capsys):
    status, commands = installer()
    assert status == 2 and len(commands) == 1
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith(f"install_theano.py: {sys.executable} has neither pip nor ensurepip")
    assert "apt-get install" in line


def test_nothing_to_do_where_theano_is(installer):
    assert installer(modules=["theano"]) == (0, [])
