"""The Makefile's checks of what a machine lacks; each run with a PATH made for the test."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import REPOSITORY

MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not installed")

REAL_PYTHON = 'exec "%s" "$@"\n' % sys.executable
OLD_PYTHON = "exit 1\n"  # what the question for its version gets as an answer


@pytest.fixture
def make(tmp_path):
    """Run ``make train`` in a copy of the Makefile, with just these programs on the PATH."""
    shutil.copy(os.path.join(REPOSITORY, "Makefile"), tmp_path)
    (tmp_path / "setup.py").write_text("")
    programs = tmp_path / "bin"
    programs.mkdir()

    def run(**scripts):
        for name, text in scripts.items():
            path = programs / name.replace("_", ".").replace("gxx", "g++")
            path.write_text("#!/bin/sh\n" + text)
            path.chmod(0o755)
        return subprocess.run(
            [MAKE, "train"], cwd=tmp_path, env={"PATH": str(programs)}, text=True,
            capture_output=True,
        )

    return run


def check_refusal(process, missing, package):
    lines = process.stderr.splitlines()
    assert process.returncode == 2 and len(lines) == 1, process.stderr
    assert missing in lines[0] and "sudo apt-get install " + package in lines[0]


def test_no_python(make):
    check_refusal(make(), "no Python from 3.8 on found", "python3 python3-dev python3-venv")


def test_a_python_that_does_not_suit(make):
    check_refusal(make(python3=OLD_PYTHON), "no Python from 3.8 on found", "python3")


@pytest.mark.parametrize("name", ["python3_14", "python3_11", "python3_8", "python3"])
def test_no_compiler(make, name):
    check_refusal(make(**{name: REAL_PYTHON}), "no C++ compiler found", "g++")


def test_uv_brings_a_python(make):
    process = make(python3=OLD_PYTHON, uv="echo %s\n" % sys.executable)
    check_refusal(process, "no C++ compiler found", "g++")


def hide_module(module):
    """A Python whose answer is empty when it is asked about this module."""
    return 'case "$2" in *%s*) exit 0;; esac\n%s' % (module, REAL_PYTHON)


def test_no_headers(make):
    version = "python%d.%d" % sys.version_info[:2]
    check_refusal(make(python3=hide_module("sysconfig"), gxx=""), "C headers", version + "-dev")


def test_no_venv(make):
    version = "python%d.%d" % sys.version_info[:2]
    check_refusal(make(python3=hide_module("ensurepip"), gxx=""), "module venv", version + "-venv")
