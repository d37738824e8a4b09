"""lenet.installed: commands as they are typed in the clone and where the package is installed."""

from lenet import installed
from lenet.installed import command_line, shell_script


def test_commands_in_the_clone():
    typed = "python scripts/lenet5_1998.py --pooling max"
    assert command_line(typed) == typed
    assert shell_script("build_pygpu.sh") == "scripts/build_pygpu.sh"


def test_commands_where_the_package_is_installed(monkeypatch):
    monkeypatch.setattr(installed, "find_resources", lambda: "/site/lenet_theano")
    assert (command_line("python scripts/lenet5_1998.py --pooling max")
            == "lenet lenet5-1998 --pooling max")
    assert command_line("python scripts/summary.py") == "lenet summary"
    assert shell_script("build_pygpu.sh") == "/site/lenet_theano/scripts/build_pygpu.sh"
