"""lenet.gpu.start and the doctor, where the driver is the emulator (emulator.cc)."""

import os
import shutil
import types

import numpy
import pytest
from conftest import run_python
from made import build_emulator, build_library

from lenet.gpu import doctor, driver, libraries, start
from lenet.gpu.libraries import CudaError


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    """The folder of the emulator's libraries."""
    return build_emulator(tmp_path_factory.mktemp("emulator"))


@pytest.fixture
def machine(emulator, monkeypatch, tmp_path):
    """A machine whose driver and CUDA are the emulator's, with one GPU of capability 9.0."""
    monkeypatch.setattr(driver, "FILE", os.path.join(emulator, "libcuda.so.1"))
    monkeypatch.setattr(libraries, "list_folders", lambda: [emulator])
    return tmp_path


def test_the_driver_describes_its_devices(machine, monkeypatch):
    monkeypatch.setenv("EMULATOR_DRIVER", "12040")
    monkeypatch.setenv("EMULATOR_DEVICES", "2")
    monkeypatch.setenv("EMULATOR_CAPABILITY", "61")
    monkeypatch.setenv("EMULATOR_MEMORY", str(3 << 30))
    found = start.find_driver()
    assert found.version == (12, 4)
    assert found.devices == [(number, "Emulator", (6, 1), 3 << 30, False) for number in (0, 1)]
    monkeypatch.setenv("EMULATOR_HOST_PAGES", "1")
    assert start.find_driver().devices[0].host_pages


def test_a_driver_in_a_folder_that_the_linker_does_not_know(tmp_path):
    """What the driver opens by name later on is loaded with it."""
    build_library(tmp_path, "libcuda.so.1", "libcuda.so.1",
                  "int cuInit(int n) { return 100; } int cuDriverGetVersion(int *v) { return 0; }")
    build_library(tmp_path, "libnvidia-ptxjitcompiler.so.5", "libnvidia-ptxjitcompiler.so.1", "")
    (tmp_path / "libnvidia-nvvm.so.4").write_text("no library")
    process = run_python("-c", "import ctypes, sys; from lenet.gpu import driver; "
                         "driver.FOLDERS = sys.argv[1:]; print(driver.Driver().path); "
                         "ctypes.CDLL('libnvidia-ptxjitcompiler.so.1')", tmp_path)
    assert process.returncode == 0, process.stderr
    assert process.stdout == f"{tmp_path}/libcuda.so.1\n"


def test_no_driver(monkeypatch):
    monkeypatch.setattr(driver, "FILE", "libnone.so.1")
    with pytest.raises(CudaError, match="no NVIDIA driver found"):
        start.find_driver()


def test_a_driver_that_does_not_start(tmp_path, monkeypatch):
    path = build_library(tmp_path, "libcuda.so.1", "libcuda.so.1",
                         "int cuInit(int n) { return 999; }")
    monkeypatch.setattr(driver, "FILE", path)
    with pytest.raises(CudaError, match=r"does not start \(cuInit: error 999\)"):
        start.find_driver()


@pytest.mark.parametrize("device, number", [("cuda", 0), ("cuda0", 0), ("cuda1", 1)])
def test_the_device_that_is_named(machine, monkeypatch, device, number):
    monkeypatch.setenv("EMULATOR_DEVICES", "2")
    assert start.find_device(start.find_driver(), device).number == number


@pytest.mark.parametrize("device, count, words", [
    ("cuda7", "1", "this machine has 1 NVIDIA GPU(s), numbered from 0"),
    ("cudax", "1", "'cudax' is not cuda or cuda followed by a number"),
    ("cuda", "0", "the NVIDIA driver finds no GPU"),
])
def test_a_device_that_is_not_there(machine, monkeypatch, device, count, words):
    monkeypatch.setenv("EMULATOR_DEVICES", count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(CudaError) as error:
        start.find_device(start.find_driver(), device)
    assert str(error.value) == words


def test_devices_that_the_environment_hides(machine, monkeypatch):
    monkeypatch.setenv("EMULATOR_DEVICES", "0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(CudaError, match="no GPU .of CUDA_VISIBLE_DEVICES=.$") as error:
        start.find_device(start.find_driver(), "cuda")
    assert error.value.command == "unset CUDA_VISIBLE_DEVICES"


def make_pygpu(folder, monkeypatch, *names, code=""):
    package = folder / "pygpu"
    package.mkdir()
    (package / "__init__.py").write_text(code)
    for name in names:
        (package / name).write_text("")
    monkeypatch.setattr("sys.path", [str(folder)])
    for name in ("pygpu", "pygpu.gpuarray"):
        monkeypatch.delitem(start.sys.modules, name, raising=False)


def test_pygpu_of_another_python(tmp_path, monkeypatch):
    make_pygpu(tmp_path, monkeypatch, "gpuarray.cpython-27-x86_64-linux-gnu.so",
               code="raise SystemError")
    with pytest.raises(CudaError, match="built for another Python.*cpython-27") as error:
        start.find_pygpu()
    assert error.value.command == "scripts/build_pygpu.sh"


@pytest.mark.parametrize("code, words, command", [
    ("import mako_", "No module named 'mako_'", "scripts/build_pygpu.sh"),
    ("raise ImportError('libgpuarray.so.3: cannot open shared object file')",
     "libgpuarray.so.3: cannot open", "scripts/build_pygpu.sh"),
    ("raise ImportError('no', name='mako')", "no", "pip install mako"),
    ("from . import gpuarray", "cannot import name 'gpuarray'", "scripts/build_pygpu.sh"),
    ("import sys; print('a page of NumPy', file=sys.stderr); raise ImportError("
     "'numpy.core.multiarray failed to import')",
     f"is built for another NumPy than {numpy.__version__}", "scripts/build_pygpu.sh"),
    ("raise ValueError('numpy.dtype size changed, may indicate binary incompatibility. Expected 96 "
     "from C header, got 88 from PyObject')", "another NumPy", "scripts/build_pygpu.sh"),
])
def test_pygpu_that_does_not_import(tmp_path, monkeypatch, capsys, code, words, command):
    make_pygpu(tmp_path, monkeypatch, code=code)
    with pytest.raises(CudaError) as error:
        start.find_pygpu()
    assert words in str(error.value) and "\n" not in str(error.value)
    assert error.value.command == command
    assert capsys.readouterr().err == ""


def test_a_folder_that_was_to_hold_pygpu(tmp_path, monkeypatch):
    (tmp_path / "pygpu").mkdir()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.delitem(start.sys.modules, "pygpu", raising=False)
    with pytest.raises(CudaError, match="pygpu is not installed"):
        start.find_pygpu()


def test_no_pygpu(monkeypatch):
    monkeypatch.setattr(start.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CudaError, match="pygpu is not installed"):
        start.find_pygpu()


def test_a_device_that_the_released_libgpuarray_cannot_name():
    released = types.SimpleNamespace(__version__="0.7.6")
    own = types.SimpleNamespace(__version__="0.7.6+lenet")
    new = driver.Device(0, "new", (10, 0), 0, False)
    with pytest.raises(CudaError, match="compute capability 10.0"):
        start.check_generation(new, released)
    start.check_generation(new, own)
    old = new._replace(capability=(9, 0))
    start.check_generation(old, released)
    with pytest.raises(CudaError, match="may not wait for copies"):
        start.check_generation(old._replace(host_pages=True), released)
    start.check_generation(old._replace(host_pages=True), own)


def test_headers_in_the_virtual_environment_are_shown_to_the_compiler(tmp_path, monkeypatch):
    (tmp_path / "include" / "gpuarray").mkdir(parents=True)
    (tmp_path / "include" / "gpuarray" / "array.h").write_text("")
    monkeypatch.setattr(start.sys, "prefix", str(tmp_path))
    monkeypatch.setenv("CPATH", "/other")
    monkeypatch.delenv("LIBRARY_PATH", raising=False)
    for _ in range(2):
        assert start.find_headers() == str(tmp_path / "include")
        assert os.environ["CPATH"] == str(tmp_path / "include") + ":/other"
        assert os.environ["LIBRARY_PATH"] == str(tmp_path / "lib")


# --- the doctor -----------------------------------------------------------------------------


@pytest.fixture
def full_machine(machine, monkeypatch):
    """The emulator's machine, on which what needs pygpu is taken as found."""
    class Pygpu:
        __version__, __file__ = "0.7.6", str(machine / "pygpu" / "__init__.py")
    monkeypatch.setattr(start, "find_pygpu", lambda: Pygpu)
    monkeypatch.setattr(start, "find_headers", lambda: "/headers")
    monkeypatch.setattr(doctor, "run_first_function", lambda device: device + " agrees")
    monkeypatch.setattr(start, "give_names", lambda *arguments: None)
    return machine


def examine(device="cuda0", compiler=None):
    compiler = compiler or shutil.which("g++")
    return doctor.report(doctor.examine(device, "/nonexistent", compiler))


def test_ready(full_machine, emulator, capsys):
    assert examine() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "driver", "device", "CUDA", "pygpu", "libgpuarray", "headers", "compiler", "names",
        "Theano", "ready"]
    assert "cuda0: Emulator, compute capability 9.0, 4096 MiB" in lines[1]
    assert f"NVRTC of CUDA 12.9 ({emulator}/libnvrtc.so.12)" in lines[2]
    assert lines[8].endswith("cuda0 agrees")


@pytest.mark.parametrize("variable, value, words, command", [
    ("EMULATOR_DRIVER", "12040", "driver supports CUDA 12.4",
     "next: pip install 'nvidia-cuda-nvrtc-cu12<12.5' 'nvidia-cublas-cu12<12.5'"),
    ("EMULATOR_DEVICES", "0", "finds no GPU", "next: nvidia-smi  # no NVIDIA GPU was found"),
    ("EMULATOR_CAPABILITY", "35", "compute capability 3.5",
     "next: pip install 'nvidia-cuda-nvrtc-cu12<12.10' 'nvidia-cublas-cu12<12.10'"),
    ("EMULATOR_HOST_PAGES", "1", "may not wait for copies", "next: scripts/build_pygpu.sh"),
])
def test_what_is_missing_ends_with_one_command(full_machine, monkeypatch, capsys, variable, value,
                                               words, command):
    monkeypatch.setenv(variable, value)
    assert examine() == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == command
    assert [words in line for line in lines if "MISSING" in line] == [True]
    assert any(line.startswith("pygpu        0.7.6") for line in lines)


def test_without_a_driver_the_rest_is_still_looked_at(full_machine, monkeypatch, capsys):
    monkeypatch.setattr(driver, "FILE", "libnone.so.1")
    assert examine() == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["driver", "CUDA", "pygpu", "headers",
                                                        "compiler"]
    assert "NVRTC of CUDA 12.9" in lines[1] and "cuBLAS of CUDA 12" in lines[1]
    assert lines[-1].startswith("next: sudo apt-get install nvidia-driver  # ")


def test_no_compiler(full_machine, capsys):
    assert examine(compiler="/nonexistent/g++") == 1
    assert capsys.readouterr().out.splitlines()[-1] == "next: sudo apt-get install g++"
