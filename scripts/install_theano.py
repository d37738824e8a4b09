"""Install Theano 1.0.5 from its released source, on Pythons where pip alone cannot."""

import importlib.util
import os
import subprocess
import sys
import tempfile

RELEASE = "Theano==1.0.5"

# Theano's setup.py finds out its version by two names that the module configparser lost with
# Python 3.12. Python runs a module called sitecustomize at its start, so before setup.py.
SITECUSTOMIZE = """
import configparser

if not hasattr(configparser, "SafeConfigParser"):
    class SafeConfigParser(configparser.ConfigParser):
        def readfp(self, file, name=None):
            self.read_file(file, name)

    configparser.SafeConfigParser = SafeConfigParser
"""


def main():
    if importlib.util.find_spec("theano") is not None:
        return 0
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "sitecustomize.py"), "w") as file:
            file.write(SITECUSTOMIZE)
        build = subprocess.run(pip + ["--target", folder, "setuptools>=68", "wheel"])
        return build.returncode or subprocess.run(
            pip + ["--no-build-isolation", "--use-pep517", RELEASE],
            env=dict(os.environ, PYTHONPATH=folder)).returncode


if __name__ == "__main__":
    sys.exit(main())
