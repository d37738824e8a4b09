"""lenet.theano_start.settings: each in a process of its own, since Theano is imported once."""

import json

import pytest
from conftest import assert_refused, run_python

from lenet.theano_start.settings import default_settings, processor_key

# What the tests below let the user say, each different from our default.
USER_VALUES = {
    "floatX": "float64",
    "openmp": "False",
    "gcc.cxxflags": "-O1",
    "blas.ldflags": "-lc",
    "base_compiledir": "/tmp/lenet-theano-user",
}
# Each half is changed while the other one stays.
HALVES = [list(USER_VALUES)[::2], list(USER_VALUES)[1::2]]

PRINT_SETTINGS = """
import json, operator, lenet, theano
names = %r
print(json.dumps({n: str(operator.attrgetter(n)(theano.config)) for n in names}))
""" % (list(USER_VALUES) + ["device", "compiledir"],)


def read_settings(tmp_path, theanorc="", **changes):
    """Theano's settings after ``import lenet`` with this .theanorc in an empty home."""
    (tmp_path / ".theanorc").write_text(theanorc)
    process = run_python("-c", PRINT_SETTINGS, HOME=str(tmp_path), **changes)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout), process.stderr


def format_theanorc(values):
    """The text of a .theanorc that says this."""
    sections = {}
    for name, value in values.items():
        section, _, option = name.rpartition(".")
        sections.setdefault(section or "global", []).append(f"{option} = {value}\n")
    return "".join(f"[{name}]\n{''.join(lines)}" for name, lines in sections.items())


def test_defaults(tmp_path):
    found, stderr = read_settings(tmp_path, OMP_NUM_THREADS="2")
    assert found["floatX"] == "float32"
    assert found["openmp"] == "True"
    assert "-march=native" in found["gcc.cxxflags"] and "-O3" in found["gcc.cxxflags"]
    assert "scipy_sgemm_" in found["blas.ldflags"]
    assert found["base_compiledir"] == str(tmp_path / ".theano")
    assert processor_key() in found["compiledir"]
    assert stderr == ""


@pytest.mark.parametrize("names", HALVES)
def test_each_setting_of_the_theanorc_overrides_our_default(tmp_path, names):
    found, _ = read_settings(tmp_path, format_theanorc({name: USER_VALUES[name] for name in names}))
    defaults = dict(default_settings(), base_compiledir=str(tmp_path / ".theano"))
    for name in USER_VALUES:
        assert found[name] == (USER_VALUES if name in names else defaults)[name]


@pytest.mark.parametrize("names", HALVES)
def test_each_theano_flag_overrides_the_theanorc(tmp_path, names):
    flags = {name: {"floatX": "float32", "openmp": "True"}.get(name, USER_VALUES[name] + "2")
             for name in names}
    found, _ = read_settings(tmp_path, format_theanorc(USER_VALUES), THEANO_FLAGS=",".join(
        f"{name}={flag}" for name, flag in flags.items()))
    for name in USER_VALUES:
        assert found[name] == dict(USER_VALUES, **flags)[name]


def test_theanorc_named_by_the_environment(tmp_path):
    (tmp_path / "mine").write_text(format_theanorc({"floatX": "float64"}))
    found, _ = read_settings(tmp_path, THEANORC=str(tmp_path / "mine"))
    assert found["floatX"] == "float64"


def test_the_environment_is_left_as_it_was():
    code = "import os, lenet; print(os.environ.get('THEANORC'), os.environ.get('THEANO_FLAGS'))"
    assert run_python("-c", code).stdout == "None None\n"


@pytest.mark.parametrize(
    "flags, theanorc",
    [("floatX=float32,gcc.cxxflags='-O1", ""), ("", "floatX = float64\n"), ("openmp=maybe", "")],
)
def test_unreadable_settings_are_one_line(tmp_path, flags, theanorc):
    (tmp_path / ".theanorc").write_text(theanorc)
    process = run_python("-c", "import lenet", HOME=str(tmp_path), THEANO_FLAGS=flags)
    assert_refused(process, 2, "lenet: ", "heano")


def test_a_home_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    code = "import lenet, theano; print(theano.config.compiledir)"
    process = run_python("-c", code, HOME=str(tmp_path / "file" / "home"), TMPDIR=str(tmp_path))
    assert process.stdout.startswith(str(tmp_path))
    assert_refused(process, 0, "cannot be written", str(tmp_path))
