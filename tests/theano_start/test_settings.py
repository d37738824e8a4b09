"""lenet.theano_start.settings: each in a process of its own, since Theano is imported once."""

import json

import pytest
from conftest import assert_refused, run_python

from lenet.theano_start.settings import default_settings, processor_key

# What the tests below let the user say, each different from our default.
USER_VALUES = {
    "floatX": "float32",
    "openmp": "False",
    "gcc.cxxflags": "-O1",
    "blas.ldflags": "-lc",
    "base_compiledir": "/tmp/lenet-theano-user",
}

PRINT_SETTINGS = """
import json, operator, os, lenet, theano
names = %r
print(json.dumps(dict({n: str(operator.attrgetter(n)(theano.config)) for n in names},
                      environment=[os.environ.get(n) for n in ("THEANORC", "THEANO_FLAGS")])))
""" % (list(USER_VALUES) + ["device", "compiledir"],)


def read_settings(tmp_path, theanorc="", **changes):
    """Theano's settings after ``import lenet, theano`` with this .theanorc in an empty home."""
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
    assert found["floatX"] == "float64"
    assert found["openmp"] == "True"
    assert "-march=native" in found["gcc.cxxflags"] and "-O3" in found["gcc.cxxflags"]
    assert "scipy_sgemm_" in found["blas.ldflags"]
    assert found["base_compiledir"] == str(tmp_path / ".theano")
    assert processor_key() in found["compiledir"]
    assert found["environment"] == [None, None]  # as it was before
    assert stderr == ""


@pytest.mark.parametrize("turn", range(3))
def test_a_theano_flag_overrides_the_theanorc_and_that_our_default(tmp_path, turn):
    """In turn, each setting is nowhere, in the .theanorc, or there and among the flags, while
    others are elsewhere."""
    places = {name: (number + turn) % 3 for number, name in enumerate(USER_VALUES)}
    theanorc = format_theanorc({name: USER_VALUES[name] for name in places if places[name]})
    flags = {name: {"floatX": "float64", "openmp": "True"}.get(name, value + "2")
             for name, value in USER_VALUES.items()}
    found, _ = read_settings(tmp_path, theanorc, THEANO_FLAGS=",".join(
        f"{name}={flag}" for name, flag in flags.items() if places[name] == 2))
    defaults = dict(default_settings(), floatX="float64", base_compiledir=str(tmp_path / ".theano"))
    for name, place in places.items():
        assert found[name] == (defaults, USER_VALUES, flags)[place][name]


def test_theanorc_named_by_the_environment(tmp_path):
    (tmp_path / "mine").write_text(format_theanorc({"floatX": "float32"}))
    found, _ = read_settings(tmp_path, THEANORC=str(tmp_path / "mine"))
    assert found["floatX"] == "float32"


@pytest.mark.parametrize(
    "flags, theanorc",
    [("floatX=float32,gcc.cxxflags='-O1", ""), ("", "floatX = float64\n"), ("openmp=maybe", "")],
)
def test_unreadable_settings_are_one_line(tmp_path, flags, theanorc):
    (tmp_path / ".theanorc").write_text(theanorc)
    process = run_python("-c", "import lenet, theano", HOME=str(tmp_path), THEANO_FLAGS=flags)
    assert_refused(process, 2, "lenet: ", "heano")


def test_a_home_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    code = "import lenet, theano; print(theano.config.compiledir)"
    process = run_python("-c", code, HOME=str(tmp_path / "file" / "home"), TMPDIR=str(tmp_path))
    assert process.stdout.startswith(str(tmp_path))
    assert_refused(process, 0, "cannot be written", str(tmp_path))
