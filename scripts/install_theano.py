"""Install Theano 1.0.5 from its released source, on Pythons where pip alone cannot."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

RELEASE = "Theano==1.0.5"

# Theano's setup.py reads its version by two names that Python 3.12 took out of configparser.
# Python imports sitecustomize when it starts, which is before setup.py.
SITECUSTOMIZE = """
import configparser

if not hasattr(configparser, "SafeConfigParser"):
    configparser.SafeConfigParser = configparser.ConfigParser
    configparser.ConfigParser.readfp = configparser.ConfigParser.read_file
"""


def find_installer():
    """The command that installs packages for this Python, or None.

    An environment of uv's has no pip. In one of venv's without pip, ensurepip installs it.
    """
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    uv = os.environ.get("UV") or shutil.which("uv")  # `uv run` sets UV
    if importlib.util.find_spec("pip") is not None:
        return pip
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    if subprocess.call([sys.executable, "-m", "ensurepip"], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL) == 0:
        return pip
    return None


def main():
    if importlib.util.find_spec("theano") is not None:
        return 0
    install = find_installer()
    if install is None:
        print(f"install_theano.py: {sys.executable} has neither pip nor ensurepip, and there is no "
              "uv; install one of them (Debian: sudo apt-get install python3-pip python3-venv)",
              file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "sitecustomize.py").write_text(SITECUSTOMIZE)
        return (subprocess.call([*install, "--target", folder, "setuptools>=68", "wheel"])
                or subprocess.call([*install, "--no-build-isolation", RELEASE],
                                   env=dict(os.environ, PYTHONPATH=folder, PIP_USE_PEP517="1")))


if __name__ == "__main__":
    sys.exit(main())
