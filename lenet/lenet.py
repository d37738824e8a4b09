"""Leads ``import lenet`` to this package where a file of this folder is run as a program.

Python then looks in this folder before all others. It is taken off the path, because modules such
as ``data`` and ``page`` would be found for other packages' modules of these names.
"""

import importlib
import os
import sys

if __name__ in ("lenet", "__main__"):  # and not lenet.lenet, which nobody needs
    here = os.path.dirname(os.path.abspath(__file__))
    others = [folder for folder in sys.path if os.path.abspath(folder) != here]
    sys.path[:] = [os.path.dirname(here)] + others
    sys.modules.pop("lenet", None)
    importlib.import_module("lenet")  # in sys.modules, where `import lenet` then finds it

if __name__ == "__main__":  # python -m lenet, typed in this folder
    sys.exit(importlib.import_module("lenet.__main__").main())
