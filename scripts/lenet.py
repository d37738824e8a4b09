"""Leads ``import lenet`` in a script of this folder to the package in the folder above.

Python looks in the folder of a script before all others, so the script finds this module, and
through it the package, whether the package is installed or not.
"""

import importlib
import os
import sys

if __name__ in ("lenet", "__main__"):  # and not lenet_theano.scripts.lenet, which nobody needs
    here = os.path.dirname(os.path.abspath(__file__))
    others = [folder for folder in sys.path if os.path.abspath(folder) != here]
    sys.path[:] = [os.path.dirname(here)] + others
    sys.modules.pop("lenet", None)
    importlib.import_module("lenet")  # in sys.modules, where `import lenet` then finds it
    sys.path.append(here)  # benchmark.py imports benchmarking

if __name__ == "__main__":  # python -m lenet, typed in this folder
    sys.exit(importlib.import_module("lenet.__main__").main())
