"""lenet.theano_setup: each in a process of its own, since Theano is imported once."""

import json
import logging
import os
import sys
import sysconfig

import numpy
import pytest
import theano
import theano.tensor as T
from conftest import assert_refused, run_python

from lenet import theano_setup

# What the tests below let the user say, each different from our default.
USER_VALUES = {
    "floatX": "float64",
    "openmp": "False",
    "gcc.cxxflags": "-O1",
    "blas.ldflags": "-lc",
    "base_compiledir": "/tmp/lenet-theano-user",
}

PRINT_SETTINGS = """
import json, operator, lenet, theano
names = %r
print(json.dumps({n: str(operator.attrgetter(n)(theano.config)) for n in names}))
""" % (list(USER_VALUES) + ["device", "compiledir"],)


def settings(tmp_path, theanorc="", **changes):
    """Theano's settings after ``import lenet`` with this .theanorc in an empty home."""
    (tmp_path / ".theanorc").write_text(theanorc)
    process = run_python("-c", PRINT_SETTINGS, HOME=str(tmp_path), **changes)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout), process.stderr


def in_theanorc(values):
    """The text of a .theanorc that says this."""
    sections = {}
    for name, value in values.items():
        section, _, option = name.rpartition(".")
        sections.setdefault(section or "global", []).append("%s = %s\n" % (option, value))
    return "".join("[%s]\n%s" % (name, "".join(lines)) for name, lines in sections.items())


def test_defaults(tmp_path):
    found, stderr = settings(tmp_path, OMP_NUM_THREADS="2")
    assert found["floatX"] == "float32"
    assert found["openmp"] == "True"
    assert "-march=native" in found["gcc.cxxflags"] and "-O3" in found["gcc.cxxflags"]
    assert "scipy_sgemm_" in found["blas.ldflags"]
    assert found["base_compiledir"] == str(tmp_path / ".theano")
    assert theano_setup.processor_key() in found["compiledir"]
    assert stderr == ""


@pytest.mark.parametrize("name", USER_VALUES)
def test_each_setting_of_the_theanorc_goes_before_our_default(tmp_path, name):
    found, _ = settings(tmp_path, in_theanorc({name: USER_VALUES[name]}))
    defaults = dict(theano_setup.default_settings(), base_compiledir=str(tmp_path / ".theano"))
    for other in USER_VALUES:
        assert found[other] == (USER_VALUES if other == name else defaults)[other]


@pytest.mark.parametrize("name", USER_VALUES)
def test_each_theano_flag_goes_before_the_theanorc(tmp_path, name):
    flag = {"floatX": "float16", "openmp": "True"}.get(name, USER_VALUES[name] + "2")
    found, _ = settings(
        tmp_path, in_theanorc(USER_VALUES), THEANO_FLAGS="%s=%s" % (name, flag)
    )
    for other in USER_VALUES:
        assert found[other] == (flag if other == name else USER_VALUES[other])


def test_theanorc_named_by_the_environment(tmp_path):
    (tmp_path / "mine").write_text(in_theanorc({"floatX": "float64"}))
    found, _ = settings(tmp_path, THEANORC=str(tmp_path / "mine"))
    assert found["floatX"] == "float64"


def test_the_environment_is_left_as_it_was():
    code = "import os, lenet; print(os.environ.get('THEANORC'), os.environ.get('THEANO_FLAGS'))"
    assert run_python("-c", code).stdout == "None None\n"


@pytest.mark.parametrize(
    "flags, theanorc",
    [("floatX=float32,gcc.cxxflags='-O1", ""), ("", "floatX = float64\n"), ("floatX=float3", "")],
)
def test_unreadable_settings_are_one_line(tmp_path, flags, theanorc):
    (tmp_path / ".theanorc").write_text(theanorc)
    process = run_python("-c", "import lenet", HOME=str(tmp_path), THEANO_FLAGS=flags)
    assert_refused(process, 2, "lenet: ", "heano")


# --- BLAS, vector math, floating-point mode -------------------------------------------------


PRODUCTS = """
import glob, lenet, numpy, theano, theano.tensor as T
A, x, y = numpy.ones((3, 5), %(t)r), numpy.ones(5, %(t)r), numpy.ones(3, %(t)r)
a, u, v = T.TensorType(%(t)r, (0, 0))(), T.TensorType(%(t)r, (0,))(), T.TensorType(%(t)r, (0,))()
f = theano.function([a, u, v], [T.dot(a, a.T), T.dot(a, u), a + T.outer(v, u), T.dot(u, u)])
print([r.sum() for r in f(A, x, y)] == [45, 15, 30, 5])
code = b"".join(open(m, "rb").read() for m in glob.glob(theano.config.compiledir + "/*/*.so"))
print([n for n in ("gemm", "gemv", "ger") if b"scipy_%(t)c" + n.encode() + b"_" not in code])
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_call_the_blas_of_the_package(tmp_path, dtype):
    code = PRODUCTS.replace("%(t)r", repr(dtype)).replace("%(t)c", "sd"[dtype == "float64"])
    process = run_python("-c", code, HOME=str(tmp_path))
    assert (process.stdout, process.stderr) == ("True\n[]\n", "")


@pytest.mark.parametrize("function", [numpy.tanh, numpy.exp])
def test_vector_math_is_as_accurate_as_float32(function):
    x = T.vector(dtype="float32")
    compiled = theano.function([x], getattr(T, function.__name__)(x))
    values = numpy.linspace(-20, 20, 400001).astype("float32")
    exact = function(values.astype("float64"))
    # glibc states at most 4 units in the last place for the functions of its vector library.
    ulp = numpy.spacing(numpy.abs(exact).astype("float32"))
    assert (numpy.abs(compiled(values) - exact) <= 4 * ulp).all()


def test_the_floating_point_mode_of_the_process_is_unchanged():
    x = T.vector(dtype="float32")
    values = numpy.array([1e-40, numpy.nan, numpy.inf, 1], dtype="float32")
    doubled = theano.function([x], x * 2)(values)
    assert doubled[0] == values[0] + values[0] > 0  # subnormal numbers are not flushed to zero
    assert values[0] * numpy.float32(0.5) > 0
    assert theano.function([x], T.isnan(x))(values).tolist() == [False, True, False, False]
    assert theano.function([x], T.isinf(x))(values).tolist() == [False, False, True, False]
    assert numpy.isnan(theano.function([x], T.tanh(x))(values)[1])


# --- threads --------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is Linux's")
def test_threads_follow_the_affinity_mask():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import lenet, theano; print(os.environ['OMP_NUM_THREADS'], theano.config.openmp)"
    )
    assert run_python("-c", code).stdout == "1 False\n"


def test_threads_follow_the_users_wish():
    code = "import os, lenet; print(os.environ['OMP_NUM_THREADS'])"
    assert run_python("-c", code, OMP_NUM_THREADS="7").stdout == "7\n"


def test_control_group_version_2_the_tightest_limit_holds(tmp_path):
    (tmp_path / "membership").write_text("0::/a/b\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "a" / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "a" / "b" / "cpu.max").write_text("400000 100000\n")
    assert theano_setup.control_group_quota(tmp_path, tmp_path / "membership") == 1.5


def test_control_group_version_1(tmp_path):
    (tmp_path / "membership").write_text("4:memory:/x\n3:cpu,cpuacct:/x\n")
    (tmp_path / "cpu" / "x").mkdir(parents=True)
    (tmp_path / "cpu" / "x" / "cpu.cfs_quota_us").write_text("300000\n")
    (tmp_path / "cpu" / "x" / "cpu.cfs_period_us").write_text("100000\n")
    assert theano_setup.control_group_quota(tmp_path, tmp_path / "membership") == 3.0


@pytest.mark.parametrize("content", ["", "0::/\n", "nonsense\n"])
def test_no_control_group_limit(tmp_path, content):
    (tmp_path / "membership").write_text(content)
    assert theano_setup.control_group_quota(tmp_path, tmp_path / "membership") is None


def test_processors_are_cut_by_the_quota(monkeypatch):
    monkeypatch.setattr(theano_setup, "control_group_quota", lambda: 0.5)
    assert theano_setup.usable_processors() == 1


# --- what the machine lacks -----------------------------------------------------------------


def test_no_compiler_is_one_line():
    process = run_python("-c", "import lenet", PATH="/nonexistent")
    assert_refused(process, 2, "no C++ compiler", "apt-get install g++")


def test_no_headers_is_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    with pytest.raises(SystemExit) as stop:
        theano_setup.check_compiler(theano_setup.UserSettings.read())
    assert stop.value.code == 2
    version = "python%d.%d-dev" % sys.version_info[:2]
    assert version in capsys.readouterr().err


def test_a_home_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    code = "import lenet, theano; print(theano.config.compiledir)"
    process = run_python("-c", code, HOME=str(tmp_path / "file" / "home"), TMPDIR=str(tmp_path))
    assert process.stdout.startswith(str(tmp_path))
    assert_refused(process, 0, "cannot be written", str(tmp_path))


# --- device ---------------------------------------------------------------------------------

NO_GPU = theano_setup.gpu_problem("cuda")
without_gpu = pytest.mark.skipif(NO_GPU is None, reason="this machine has a GPU")


@without_gpu
@pytest.mark.parametrize("old, new", [("gpu", "cuda"), ("gpu0", "cuda0"), ("gpu1", "cuda1")])
def test_device_gpu_is_translated_and_falls_back_to_the_cpu(tmp_path, old, new):
    found, stderr = settings(tmp_path, THEANO_FLAGS="device=%s,openmp=False" % old)
    assert (found["device"], found["openmp"]) == ("cpu", "False")
    assert stderr.splitlines() == [
        "lenet: device=%s is called device=%s since Theano 1.0" % (old, new),
        "lenet: device=%s: %s; running on the CPU" % (new, NO_GPU),
    ]


@without_gpu
def test_device_gpu_in_the_theanorc(tmp_path):
    found, stderr = settings(tmp_path, in_theanorc({"device": "gpu"}))
    assert found["device"] == "cpu" and "device=cuda" in stderr


@without_gpu
def test_force_device_stops(tmp_path):
    process = run_python("-c", "import lenet", THEANO_FLAGS="device=cuda,force_device=True")
    assert_refused(process, 2, "device=cuda", NO_GPU)


@pytest.mark.parametrize("text", ["out of luck\nand a long story", b"out of luck"])
def test_a_gpu_that_fails_to_start_is_one_line(capsys, text):
    user = theano_setup.UserSettings({"device": "cuda"}, theano_setup.UserSettings.read().files)
    with theano_setup.gpu_failures_in_one_line(user):
        try:
            raise RuntimeError(text)  # pygpu's are bytes
        except RuntimeError:
            logging.getLogger("theano.gpuarray").error("no", exc_info=True)
    assert capsys.readouterr().err == "lenet: device=cuda: out of luck; running on the CPU\n"


# --- Theano imported before -----------------------------------------------------------------


def test_a_theano_imported_before_is_used_with_its_settings():
    code = "import theano, lenet.logistic_sgd; print(theano.config.floatX)"
    process = run_python("-c", code, THEANO_FLAGS="floatX=float64,blas.ldflags=")
    assert process.stdout == "float64\n", process.stderr


def test_a_theano_that_failed_before_is_one_line():
    code = "try:\n    import theano\nexcept Exception:\n    pass\nimport lenet"
    process = run_python("-c", code, THEANO_FLAGS="floatX=nonsense")
    assert_refused(process, 2, "import lenet before theano")
