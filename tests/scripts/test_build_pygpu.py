"""scripts/build_pygpu.sh: what is missing is one line; and the build, where its source is given."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile

import pytest
from conftest import REPOSITORY, environment, serve_folder

SCRIPT = os.path.join(REPOSITORY, "scripts", "build_pygpu.sh")
SOURCE = os.environ.get("LIBGPUARRAY_SOURCE")  # the release, as a folder or an archive

IN_VENV = sys.prefix != sys.base_prefix
HAS_CMAKE = shutil.which("cmake") or os.path.exists(os.path.join(sys.prefix, "bin", "cmake"))
CAN_BUILD = IN_VENV and HAS_CMAKE and importlib.util.find_spec("Cython")


def build(*arguments, **changes):
    return subprocess.run(["bash", SCRIPT, *map(str, arguments)],
                          env=environment(**dict({"PYTHON": sys.executable}, **changes)),
                          text=True, capture_output=True)


def assert_stopped(process, *words):
    assert process.returncode == 1
    assert process.stderr.count("\n") == 1, process.stderr
    assert [word for word in ("build_pygpu: ",) + words if word not in process.stderr] == []


def test_outside_a_virtual_environment():
    python = os.path.join(sys.base_prefix, "bin", "python%d.%d" % sys.version_info[:2])
    assert_stopped(build(PYTHON=python), "not in a virtual environment", "PYTHON=.venv/bin/python")


@pytest.mark.skipif(not IN_VENV, reason="not in a virtual environment")
def test_a_tool_that_is_missing(tmp_path):
    for name in ("bash", "dirname", "mktemp", "rm"):
        os.symlink(shutil.which(name), str(tmp_path / name))
    (tmp_path / "cmake").symlink_to("/bin/true")
    process = build(PATH=str(tmp_path))
    assert_stopped(process, "a C compiler is missing (cc not found)", "sudo apt-get install gcc")


@pytest.mark.skipif(not IN_VENV or not HAS_CMAKE, reason="needs a virtual environment, and CMake")
def test_a_package_that_is_too_old(tmp_path):
    (tmp_path / "Cython.py").write_text("__version__ = '0.29.37'")
    process = build(PYTHONPATH=str(tmp_path))
    assert_stopped(process, "Cython>=3 (found 0.29.37)", "pip install --editable '.[gpu]'")


@pytest.mark.skipif(not CAN_BUILD, reason="needs a virtual environment with Cython, and CMake")
def test_a_source_that_is_none(tmp_path):
    assert_stopped(build(tmp_path / "none"), "none: no such file or folder")
    assert_stopped(build(tmp_path), "is not the source of libgpuarray")
    (tmp_path / "file.tar.gz").write_text("no archive")
    assert_stopped(build(tmp_path / "file.tar.gz"), "is not an archive")


@pytest.mark.skipif(not CAN_BUILD, reason="needs a virtual environment with Cython, and CMake")
def test_the_release_is_fetched(tmp_path):
    (tmp_path / "archive").mkdir()
    (tmp_path / "libgpuarray-0.7.6").mkdir()
    (tmp_path / "libgpuarray-0.7.6" / "README.txt").write_text("no more than this")
    with serve_folder(tmp_path) as home:
        home = home.rstrip("/")
        address = home + "/archive/v0.7.6.tar.gz"
        assert_stopped(build(LIBGPUARRAY_HOME=home), address + " cannot be fetched",
                       "give its path")
        with tarfile.open(str(tmp_path / "archive" / "v0.7.6.tar.gz"), "w:gz") as archive:
            archive.add(str(tmp_path / "libgpuarray-0.7.6"), "libgpuarray-0.7.6")
        process = build(LIBGPUARRAY_HOME=home)
    assert process.stdout == f"fetching {address}\n"
    assert_stopped(process, "is not the source of libgpuarray (no src/gpuarray_buffer_cuda.c")


@pytest.mark.skipif(not (CAN_BUILD and SOURCE), reason="needs CMake, Cython, and "
                    "LIBGPUARRAY_SOURCE=the release of libgpuarray 0.7.6")
def test_built_pygpu_can_be_imported():
    process = build(SOURCE, PYTHON=os.path.relpath(sys.executable))
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-1].startswith(f"pygpu 0.7.6+lenet is in {sys.prefix}")
