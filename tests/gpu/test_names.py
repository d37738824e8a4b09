"""lenet.gpu.names: dlopen by a plain name finds a library that is called otherwise."""

import json

import pytest
from conftest import run_python
from made import build_library

from lenet.gpu import names

# In a process of its own, since a name once taken stays taken: what each dlopen gives before and
# after, as the number that a function of the library returns.
PROVIDE = """
import ctypes, importlib.util, json, os, sys
spec = importlib.util.spec_from_file_location("names", sys.argv[1])
names = importlib.util.module_from_spec(spec)
spec.loader.exec_module(names)
name, path, cache, function = sys.argv[2:6]
child = os.fork()  # which takes the name, where it leads to a library already, for itself alone
if not child:
    try:
        ctypes.CDLL(name)
    except OSError:
        os._exit(1)
    os._exit(0)
before = os.waitpid(child, 0)[1] == 0
try:
    found = names.provide(name, path, cache, "g++")
except OSError as error:
    sys.exit(str(error))
print(json.dumps([before, getattr(ctypes.CDLL(name), function)()]))
"""


def provide(tmp_path, name, path, function):
    return run_python("-c", PROVIDE, names.__file__, name, path, tmp_path / "a cache", function)


def test_the_driver_under_its_plain_name(tmp_path):
    path = build_library(tmp_path / "lib", "libcuda.so.580.1", "libcuda.so.1",
                         "int cuInit(int n) { return 41; }")
    process = provide(tmp_path, "libcuda.so", path, "cuInit")
    assert process.stderr == ""
    assert json.loads(process.stdout)[1] == 41


def test_cublas_of_a_package_with_what_it_asks_for_beside_it(tmp_path):
    # libcublas.so.12 needs libcublasLt.so.12, which nothing but its folder leads to
    build_library(tmp_path / "lib", "libcublasLt.so.12", "libcublasLt.so.12",
                  "int lt(void) { return 12; }")
    path = build_library(tmp_path / "lib", "libcublas.so.12", "libcublas.so.12",
                         "int lt(void); int cublasSgemm_v2(void) { return lt() + 1; }",
                         "-L" + str(tmp_path / "lib"), "-Wl,--no-as-needed", "-l:libcublasLt.so.12")
    process = provide(tmp_path, "libcublas.so", path, "cublasSgemm_v2")
    assert process.stderr == ""
    assert json.loads(process.stdout) == [False, 13]


def test_nvrtc_whose_builtins_it_opens_by_name(tmp_path):
    build_library(tmp_path / "lib", "libnvrtc-builtins.so.12.9", "libnvrtc-builtins.so.12.9",
                   "int built_in(void) { return 129; }")
    path = build_library(tmp_path / "lib", "libnvrtc.so.12", "libnvrtc.so.12", """
        #include <dlfcn.h>
        int nvrtcCompileProgram(void) {
            void *library = dlopen("libnvrtc-builtins.so.12.9", RTLD_NOW);
            return library ? ((int (*)(void)) dlsym(library, "built_in"))() : -1;
        }
    """)
    process = provide(tmp_path, "libnvrtc.so", path, "nvrtcCompileProgram")
    assert process.stderr == ""
    assert json.loads(process.stdout)[1] == 129


def test_what_was_written_once_is_used_again(tmp_path, monkeypatch):
    path = build_library(tmp_path / "lib", "libcuda.so.1", "libcuda.so.1",
                         "int cuInit(int n) { return 0; }")
    first = names.build_forwarder("libcuda.so", path, str(tmp_path / "cache"), "g++")
    monkeypatch.setattr(names, "link_forwarder", None)
    assert names.build_forwarder("libcuda.so", path, str(tmp_path / "cache"), "g++") == first


def test_a_library_without_the_function_is_refused(tmp_path):
    path = build_library(tmp_path / "lib", "libcublas.so.12", "libcublas.so.12",
                         "int other(void) { return 0; }")
    process = provide(tmp_path, "libcublas.so", path, "other")
    assert process.returncode == 1
    assert process.stderr.strip().endswith("libcublas.so.12 lacks cublasSgemm_v2")


def test_a_compiler_that_fails_is_one_line(tmp_path):
    path = build_library(tmp_path / "lib", "libcuda.so.1", "libcuda.so.1",
                         "int cuInit(int n) { return 0; }")
    with pytest.raises(OSError, match="libcuda.so cannot be linked") as error:
        names.link_forwarder("libcuda.so", path, str(tmp_path / "no" / "folder" / "out.so"), "g++")
    assert "\n" not in str(error.value)
