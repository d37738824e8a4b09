"""scripts/check_gpu.py, run as a user runs it, beside the emulator's driver (emulator.cc)."""

import pytest
from conftest import assert_refused, run_script
from made import build_emulator


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    """The folder of the emulator's libraries."""
    return build_emulator(tmp_path_factory.mktemp("emulator"))


def test_a_device_that_is_none(script, monkeypatch):
    monkeypatch.setenv("THEANO_FLAGS", "")  # which the script changes
    assert_refused(script("check_gpu.py", "--device", "7"), 2,
                   "check_gpu.py: --device 7: expected gpu0, gpu1, ...")


def test_a_setting_that_insists_on_a_gpu(emulator, tmp_path):
    """The doctor says what is missing all the same."""
    process = run_script("check_gpu.py", EMULATOR_DEVICES="0", HOME=str(tmp_path),
                         LD_LIBRARY_PATH=emulator,
                         THEANO_FLAGS="device=gpu,init_gpu_device=cuda,force_device=True")
    assert process.returncode == 1 and process.stderr == ""
    assert process.stdout.splitlines()[-1] == "next: nvidia-smi  # no NVIDIA GPU was found"


def test_a_driver_without_a_device(emulator, tmp_path):
    process = run_script("check_gpu.py", "--device", "gpu1", EMULATOR_DEVICES="0",
                         LD_LIBRARY_PATH=emulator, HOME=str(tmp_path))
    assert process.returncode == 1 and process.stderr == ""
    lines = process.stdout.splitlines()
    assert lines[0].split() == ["driver", "supports", "CUDA", "12.9", f"({emulator}/libcuda.so.1)"]
    assert lines[1].split(None, 1) == ["device", "MISSING: the NVIDIA driver finds no GPU"]
    assert lines[-1] == "next: nvidia-smi  # no NVIDIA GPU was found"
