"""What is installed: where all is, how commands are typed, which NumPy."""

import os

PACKAGE = os.path.dirname(os.path.abspath(__file__))  # the folder of lenet


def find_resources():
    """The folder that holds ``data`` and ``scripts``: the clone, or where these are installed."""
    parent = os.path.dirname(PACKAGE)
    installed = os.path.join(parent, "lenet_theano")
    return installed if os.path.isdir(installed) else parent


def is_installed():
    """Whether this is the package as ``pip`` installs it, rather than the clone."""
    return os.path.basename(find_resources()) == "lenet_theano"


def numpy_version():
    """NumPy's version: (2, 5)"""
    import numpy  # may be missing where the other functions are needed

    return tuple(int(number) for number in numpy.__version__.split(".")[:2])


def format_version(version):
    """(2, 5) as "2.5"."""
    return ".".join(map(str, version))


def option_name(argument):
    """The option that sets an argument: "--n-epochs" for "n_epochs"."""
    return "--" + argument.replace("_", "-")


def command_line(typed):
    """How a command line of the clone is typed here: "lenet predict RUN" for "python
    scripts/predict.py RUN" where the package is installed."""
    if not is_installed():
        return typed
    _, script, *arguments = typed.split(" ")
    name, _ = os.path.splitext(os.path.basename(script))
    return " ".join(["lenet", name.replace("_", "-"), *arguments])


def shell_script(name):
    """How a shell script of ``scripts`` is typed here."""
    return os.path.join(find_resources(), "scripts", name) if is_installed() else f"scripts/{name}"
