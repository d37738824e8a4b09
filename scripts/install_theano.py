"""Install Theano 1.0.5 from its released source, on Pythons where pip alone cannot."""

import importlib.util
import os
import pathlib
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


def main():
    if importlib.util.find_spec("theano") is not None:
        return 0
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "sitecustomize.py").write_text(SITECUSTOMIZE)
        return (subprocess.call([*pip, "--target", folder, "setuptools>=68", "wheel"])
                or subprocess.call([*pip, "--no-build-isolation", "--use-pep517", RELEASE],
                                   env=dict(os.environ, PYTHONPATH=folder)))


if __name__ == "__main__":
    sys.exit(main())
