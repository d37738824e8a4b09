"""What is installed: where ``data`` and ``scripts`` are, how commands are typed, which NumPy."""

import os
import re


def beside_the_package():
    """The folder that holds ``data`` and ``scripts``: the clone, or where these are installed."""
    parent = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    installed = os.path.join(parent, "lenet_theano")
    return installed if os.path.isdir(installed) else parent


def numpy_version():
    """NumPy's version: (2, 5)"""
    import numpy  # may be missing where the other functions are needed

    return tuple(int(number) for number in numpy.__version__.split(".")[:2])


def option_name(argument):
    """The option that sets an argument: "--n-epochs" for "n_epochs"."""
    return "--" + argument.replace("_", "-")


def as_typed(text):
    """A text with the commands of the clone as they are typed here: where they are installed,
    ``lenet NAME`` for ``python scripts/NAME.py``, and the whole path of a shell script."""
    folder = beside_the_package()
    if os.path.basename(folder) != "lenet_theano":
        return text
    text = re.sub(r"python scripts/(\w+)\.py",
                  lambda script: "lenet " + script.group(1).replace("_", "-"), text)
    # A path of the user's that has such a part stays as it is.
    return re.sub(r"(?<![\w./-])scripts/(?=\w+\.sh\b)", os.path.join(folder, "scripts", ""), text)
