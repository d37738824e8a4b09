"""lenet.installed: commands as they are typed in the clone and where the package is installed."""

from lenet import installed
from lenet.installed import as_typed


def test_commands_as_they_are_typed(monkeypatch):
    clone = "python scripts/lenet5_1998.py --pooling max", "scripts/build_pygpu.sh"
    assert tuple(map(as_typed, clone)) == clone
    monkeypatch.setattr(installed, "beside_the_package", lambda: "/site/lenet_theano")
    assert tuple(map(as_typed, clone)) == (
        "lenet lenet5-1998 --pooling max", "/site/lenet_theano/scripts/build_pygpu.sh")


def test_paths_of_the_user_are_not_commands(monkeypatch):
    monkeypatch.setattr(installed, "beside_the_package", lambda: "/site/lenet_theano")
    for text in ("my/scripts/digits.pkl.gz: not found", "scripts/seven.png: not found",
                 "/home/ann/scripts/build.sh: no image"):
        assert as_typed(text) == text
