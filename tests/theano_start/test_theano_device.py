"""lenet.theano_start.device: the tutorial's names, and what happens without a GPU."""

import logging
import types

import pytest
from conftest import assert_refused, run_python
from test_settings import format_theanorc, read_settings

from lenet.theano_start import device
from lenet.theano_start.settings import UserSettings

NO_GPU = device.find_gpu_problem("cuda")
without_gpu = pytest.mark.skipif(NO_GPU is None, reason="this machine has a GPU")


@pytest.mark.parametrize("old, new", [("gpu", "cuda"), ("gpu0", "cuda0"), ("gpu1", "cuda1")])
def test_names_of_old(old, new):
    assert device.present_name(old) == device.present_name(new) == new


@without_gpu
def test_device_gpu_is_translated_and_falls_back_to_the_cpu(tmp_path):
    found, stderr = read_settings(tmp_path, THEANO_FLAGS="device=gpu1,openmp=False")
    assert (found["device"], found["openmp"]) == ("cpu", "False")
    assert stderr.splitlines() == [
        "lenet: device=gpu1 is called device=cuda1 since Theano 1.0",
        f"lenet: device=cuda1: {NO_GPU}; running on the CPU",
    ]


@without_gpu
def test_device_gpu_in_the_theanorc(tmp_path):
    found, stderr = read_settings(tmp_path, format_theanorc({"device": "gpu"}))
    assert found["device"] == "cpu" and "device=cuda" in stderr


@without_gpu
def test_force_device_stops(tmp_path):
    process = run_python("-c", "import lenet, theano", THEANO_FLAGS="device=cuda,force_device=True")
    assert_refused(process, 2, "device=cuda", NO_GPU)


@pytest.mark.parametrize("text", ["out of luck\nand a long story", b"out of luck"])
def test_a_gpu_that_fails_to_start_is_one_line(capsys, text):
    user = UserSettings({"device": "cuda"}, UserSettings.read().files)
    with device.shorten_gpu_failures(user):
        try:
            raise RuntimeError(text)  # pygpu's are bytes
        except RuntimeError:
            logging.getLogger("theano.gpuarray").error("no", exc_info=True)
    assert capsys.readouterr().err == "lenet: device=cuda: out of luck; running on the CPU\n"


@pytest.mark.parametrize("rank, n_gpus, expected", [
    ("0", 2, "cuda0"), ("1", 2, "cuda1"), ("5", 2, "cuda1"), ("3", 0, "cuda0"),
])
def test_the_ranks_of_a_host_take_its_gpus_in_turn(monkeypatch, rank, n_gpus, expected):
    monkeypatch.setattr("lenet.gpu.driver.Driver",
                        lambda: types.SimpleNamespace(devices=[None] * n_gpus))
    monkeypatch.setenv("MPI_LOCALRANKID", rank)
    assert device.device_of_rank() == expected
