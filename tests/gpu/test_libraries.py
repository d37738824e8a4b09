"""lenet.gpu.libraries, on folders like those of CUDA's toolkits and packages."""

import ctypes
import os

import pytest
from made import build_library

from lenet.gpu import libraries
from lenet.gpu.libraries import CudaError, choose


@pytest.fixture
def make(tmp_path):
    """A function that makes a folder with empty files of these names."""

    def make(folder, *names):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            (tmp_path / folder / name).write_text("")
        return str(tmp_path / folder)
    return make


@pytest.fixture(autouse=True)
def compiles_for(monkeypatch):
    """NVRTC's capabilities by version, since the files of these tests cannot be loaded."""
    known = {11: {(3, 5), (5, 0), (9, 0)}, 12: {(5, 0), (6, 1), (9, 0)}, 13: {(7, 5), (9, 0)}}
    monkeypatch.setattr(libraries, "list_capabilities", lambda nvrtc: known[nvrtc.version[0]])


PACKAGES_11 = ("libnvrtc.so.11.2", "libnvrtc-builtins.so.11.8", "libcublas.so.11")
PACKAGES_12 = ("libnvrtc.so.12", "libnvrtc.alt.so.12", "libnvrtc-builtins.so.12.9",
               "libnvrtc-builtins.alt.so.12.9", "libcublas.so.12", "libcublasLt.so.12")
PACKAGES_13 = ("libnvrtc.so.13", "libnvrtc-builtins.so.13.5", "libcublas.so.13")
TOOLKIT_124 = ("libnvrtc.so", "libnvrtc.so.12", "libnvrtc.so.12.4.127",
               "libnvrtc-builtins.so.12.4", "libnvrtc-builtins.so.12.4.127",
               "libcublas.so", "libcublas.so.12", "libcublas.so.12.4.5.8")


@pytest.mark.parametrize("names, version", [
    (PACKAGES_11, (11, 8)), (PACKAGES_12, (12, 9)), (PACKAGES_13, (13, 5)), (TOOLKIT_124, (12, 4)),
])
def test_the_version_is_read_off_the_names(make, names, version):
    folder = make("lib", *names)
    cuda = choose((13, 9), (9, 0), [folder])
    assert cuda.nvrtc.version == version
    assert cuda.cublas.version == version[:1]
    assert os.path.dirname(cuda.nvrtc.path) == os.path.dirname(cuda.cublas.path) == folder


def test_nvrtc_and_cublas_in_folders_of_their_own(make):
    where = [make("cublas/lib", "libcublas.so.12"),
             make("cuda_nvrtc/lib", "libnvrtc.so.12", "libnvrtc-builtins.so.12.9")]
    assert choose((12, 9), (5, 0), where).nvrtc.version == (12, 9)


def test_of_several_the_first_that_the_driver_can_use(make):
    where = [make("a", *PACKAGES_13), make("b", *PACKAGES_12), make("c", *TOOLKIT_124),
             make("d", *PACKAGES_11)]
    for driver, expected in [((13, 5), (13, 5)), ((13, 0), (12, 9)), ((12, 8), (12, 4)),
                             ((12, 4), (12, 4)), ((12, 3), (11, 8))]:
        assert choose(driver, (9, 0), where).nvrtc.version == expected


def test_of_several_the_first_that_knows_the_device(make):
    where = [make("a", *PACKAGES_13), make("b", *PACKAGES_12)]
    assert choose((13, 5), (6, 1), where).nvrtc.version == (12, 9)


def test_cublas_beside_nvrtc_is_preferred(make):
    where = [make("a", "libcublas.so.12"), make("b", *TOOLKIT_124)]
    assert os.path.dirname(choose((12, 4), (9, 0), where).cublas.path) == where[1]


@pytest.mark.parametrize("names, driver, capability, words, command", [
    ([], (12, 4), (9, 0), ["not found"],
     "pip install 'nvidia-cuda-nvrtc-cu12<12.5' 'nvidia-cublas-cu12<12.5'"),
    (["libcublas.so.12"], (13, 0), (9, 0), ["cuBLAS of CUDA 12", "no NVRTC"],
     "pip install 'nvidia-cuda-nvrtc-cu12' 'nvidia-cublas-cu12'"),
    (["libnvrtc.so.12", "libnvrtc-builtins.so.12.9"], (12, 9), (9, 0),
     ["NVRTC of CUDA 12.9", "no cuBLAS"], "pip install nvidia-cublas-cu12"),
    (["libnvrtc.so.13", "libnvrtc-builtins.so.13.0"], (13, 0), (9, 0),
     ["NVRTC of CUDA 13.0", "no cuBLAS"], "pip install nvidia-cublas"),
    (["libnvrtc.so.12", "libnvrtc-builtins.so.12.9", "libcublas.so.11"], (12, 9), (9, 0),
     ["two CUDA versions", "12.9", "CUDA 11"], "pip install nvidia-cublas-cu12"),
    (PACKAGES_12, (12, 4), (9, 0), ["driver supports CUDA 12.4", "CUDA 12.9", "older CUDA"],
     "pip install 'nvidia-cuda-nvrtc-cu12<12.5' 'nvidia-cublas-cu12<12.5'"),
    (PACKAGES_12, (11, 7), (9, 0), ["driver supports CUDA 11.7"],
     "pip install 'nvidia-cuda-nvrtc-cu11<11.8' 'nvidia-cublas-cu11'"),
    (PACKAGES_13, (13, 5), (6, 1), ["capability 6.1", "CUDA 13.5", "does not compile"],
     "pip install 'nvidia-cuda-nvrtc-cu12' 'nvidia-cublas-cu12'"),
    (PACKAGES_12, (13, 0), (11, 0), ["capability 11.0", "CUDA 12.9", "does not compile"],
     "pip install 'nvidia-cuda-nvrtc<13.1' 'nvidia-cublas'"),
])
def test_what_cannot_be_used_is_one_line(make, names, driver, capability, words, command):
    folder = make("lib", *names)
    with pytest.raises(CudaError) as error:
        choose(driver, capability, [folder])
    assert "\n" not in str(error.value)
    assert [word for word in words if word not in str(error.value)] == []
    assert error.value.command == command


def test_folders_the_users_choice_first(make, tmp_path, monkeypatch):
    chosen = make("chosen/lib", *PACKAGES_12)
    toolkit = make("toolkit/lib64", *TOOLKIT_124)
    together = make("site-packages/nvidia/cu13/lib", *PACKAGES_13)
    apart = make("site-packages/nvidia/cublas/lib", "libcublas.so.12")
    conda = make("conda/lib", *PACKAGES_12)
    usual = make("usual/cuda-12.4/targets/x86_64-linux/lib", *TOOLKIT_124)
    monkeypatch.setenv("LD_LIBRARY_PATH", os.pathsep.join([chosen, "", "/nonexistent", chosen]))
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "toolkit"))
    monkeypatch.setattr("sys.path", [str(tmp_path / "site-packages")])
    monkeypatch.setattr(libraries.sys, "prefix", str(tmp_path / "conda"))
    monkeypatch.setattr(libraries.sys, "base_prefix", "/nonexistent")
    monkeypatch.setattr(libraries, "TOOLKITS", (str(tmp_path / "usual" / "cuda-*"),))
    monkeypatch.setattr(libraries, "list_linker_folders", lambda: [])
    beside = make("nvidia/lib64", *PACKAGES_12)
    monkeypatch.setattr(libraries.driver, "FOLDERS", (beside,))
    assert libraries.list_folders() == [chosen, toolkit, apart, together, conda, usual, beside]


def test_a_file_that_is_no_library_is_refused(make, monkeypatch):
    monkeypatch.undo()
    folder = make("lib", *PACKAGES_12)
    with pytest.raises(CudaError, match="cannot be loaded"):
        choose((12, 9), (9, 0), [folder])


def test_capabilities_are_asked_from_nvrtc(tmp_path, monkeypatch):
    monkeypatch.undo()
    path = build_library(tmp_path / "lib", "libnvrtc.so.12", "libnvrtc.so.12", """
        int nvrtcGetNumSupportedArchs(int *n) { *n = 3; return 0; }
        int nvrtcGetSupportedArchs(int *a) { a[0] = 50; a[1] = 90; a[2] = 120; return 0; }
    """)
    found = libraries.list_capabilities(libraries.Library(path, (12, 9)))
    assert found == {(5, 0), (9, 0), (12, 0)}
    assert ctypes.CDLL(path).nvrtcGetNumSupportedArchs
