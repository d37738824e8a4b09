"""What cannot work is one line that names what was found and the command that helps."""

import types

import pytest

from lenet.theano_start import supported
from lenet.theano_start.refusal import SetupError


def check_refusal(check, *words):
    with pytest.raises(SetupError) as error:
        check()
    line, = str(error.value).splitlines()
    assert error.value.status == 2
    assert [word for word in words if word not in line] == []


def version(*numbers):
    """What ``sys.version_info`` is like."""
    return tuple(numbers) + (0, "final", 0)


def test_a_python_that_is_too_old(monkeypatch):
    monkeypatch.setattr(supported.sys, "version_info", version(3, 7))
    check_refusal(supported.check_python, "Python 3.7", "3.8 or later", "environment")


def test_another_python(monkeypatch):
    monkeypatch.setattr(supported.platform, "python_implementation", lambda: "PyPy")
    check_refusal(supported.check_python, "PyPy", "CPython", "environment")


def test_32_bits(monkeypatch):
    monkeypatch.setattr(supported.struct, "calcsize", lambda kind: 4)
    check_refusal(supported.check_python, "32-bit", "64", "environment")


def test_a_python_of_tomorrow_is_let_through(monkeypatch, capsys):
    monkeypatch.setattr(supported.sys, "version_info", version(3, 20))
    supported.check_python()
    supported.mention_untested()
    assert "Python 3.20 is newer than 3.14" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["1.20.3", "1.9.0"])
def test_a_numpy_that_is_too_old(number, monkeypatch):
    import numpy

    monkeypatch.setattr(numpy, "__version__", number)
    monkeypatch.setattr(supported.missing, "command_for", lambda module: f"install {module}")
    check_refusal(supported.check_numpy, "NumPy " + number, "1.21 or later; type `install numpy`")


def test_a_numpy_of_tomorrow_is_let_through(monkeypatch, capsys):
    import numpy

    monkeypatch.setattr(numpy, "__version__", "3.0.0")
    supported.check_numpy()
    supported.mention_untested()
    assert "NumPy 3.0 is newer than 2.5" in capsys.readouterr().err


def test_no_numpy(monkeypatch):
    monkeypatch.setattr(supported.importlib.util, "find_spec", lambda name: None)
    check_refusal(supported.check_numpy, "the package numpy is not installed; type `")


@pytest.fixture
def make_theano(tmp_path, monkeypatch):
    """A function that makes a folder ``theano`` with these files, the only one to be found."""

    def make(**files):
        folder = tmp_path / "theano"
        folder.mkdir()
        for name, text in files.items():
            (folder / (name + ".py")).write_text(text)
        origin = str(folder / "__init__.py") if "__init__" in files else None
        spec = types.SimpleNamespace(origin=origin, submodule_search_locations=[str(folder)])
        monkeypatch.setattr(supported.importlib.util, "find_spec",
                            lambda name: spec if name == "theano" else None)
        return folder

    return make


def test_the_release(make_theano):
    make_theano(__init__="", _version='{"version": "1.0.5"}')
    supported.check_theano()


def test_another_theano(make_theano):
    make_theano(__init__="", _version='{"version": "1.1.2"}')
    check_refusal(supported.check_theano, "another Theano, 1.1.2", "not Theano 1.0.5",
                  "Theano-PyMC", "type `")


def test_half_a_theano(make_theano):
    folder = make_theano(__init__="")
    check_refusal(supported.check_theano, str(folder), "incomplete", "uninstall")


def test_a_folder_that_an_uninstallation_left(make_theano):
    folder = make_theano(configdefaults="")
    check_refusal(supported.check_theano, str(folder), "only a part", "remove that folder")


def test_no_theano(monkeypatch):
    monkeypatch.setattr(supported.importlib.util, "find_spec", lambda name: None)
    check_refusal(supported.check_theano, "the package Theano is not installed; type `")
