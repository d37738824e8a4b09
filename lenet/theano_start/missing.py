"""Which package is missing, and what to type for it; one line, as for all that stops the start."""

import importlib.machinery
import importlib.util
import os
import shlex
import shutil
import sys

from lenet.installed import PACKAGE, find_resources
from lenet.theano_start.refusal import SetupError

# {name of the module: name of the package}, for all packages that setup.py requires
REQUIRED = {
    "theano": "Theano",
    "numpy": "numpy",
    "scipy": "scipy",
    "scipy_openblas32": "scipy-openblas32",
    "PIL": "pillow",
    "matplotlib": "matplotlib",
    "fissix": "fissix",
    "pooch": "pooch",
    "safetensors": "safetensors",
    "tqdm": "tqdm",
}


def make_error(module):
    """The error for a module that is not installed."""
    package = REQUIRED.get(module, module)
    return SetupError(f"the package {package} is not installed; type `{command_for(module)}`")


def explain(error, traceback):
    """The error to show for one that nobody caught: our own for a required package that is missing
    where code of ours imports it."""
    module = (getattr(error, "name", None) or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or module not in REQUIRED:
        return error
    while traceback is not None:
        if is_ours(traceback.tb_frame.f_code.co_filename):
            return make_error(module)
        traceback = traceback.tb_next
    return error


def is_ours(file):
    """Whether a file belongs to this package or to its scripts."""
    scripts = os.path.join(find_resources(), "scripts")
    return os.path.abspath(file).startswith((PACKAGE + os.sep, scripts + os.sep))


def command_for(module):
    """The command that installs a module, or that starts an environment which has it."""
    clone = find_clone()
    if clone is not None:
        environment = os.path.join(clone, ".venv")
        activate = os.path.join(environment, "bin", "activate")
        if os.path.exists(activate) and not os.path.samefile(sys.prefix, environment):
            return f". {as_argument(activate)}"
        if not is_in_environment():
            folder = as_argument(clone)
            return "make train" if folder == "." else f"make -C {folder} train"
    if module == "theano":
        return install_theano(clone)
    return pip_install(REQUIRED.get(module, module) if clone is None else
                       f"-e {as_argument(clone)}")


def find_clone():
    """The folder of the clone; None where the package is installed without one."""
    folder = find_resources()
    return folder if os.path.exists(os.path.join(folder, "setup.py")) else None


def is_in_environment():
    """Whether this Python belongs to an environment: of venv, virtualenv, uv or conda."""
    return sys.prefix != sys.base_prefix or os.path.exists(os.path.join(sys.prefix, "conda-meta"))


def install_theano(clone):
    """The command that installs Theano, also where pip alone cannot."""
    if clone is not None:
        script = os.path.join(clone, "scripts", "install_theano.py")
        return f"{python_command()} {as_argument(script)}"
    if importlib.util.find_spec("lenet_theano") is not None:
        return f"{python_command()} -m lenet_theano.scripts install-theano"
    return pip_install("Theano==1.0.5")


def pip_install(what):
    """The command that installs something for this Python: uv's where pip is missing."""
    if has_pip():
        return f"{python_command()} -m pip install {what}"
    if "UV" in os.environ or shutil.which("uv"):
        return f"uv pip install --python {shlex.quote(sys.executable)} {what}"
    return f"{python_command()} -m ensurepip && {python_command()} -m pip install {what}"


def has_pip():
    """Whether pip is installed for this Python."""
    # Setuptools takes importlib.util.find_spec("pip") for pip itself, and changes distutils.
    return importlib.machinery.PathFinder.find_spec("pip") is not None


def python_command():
    """This Python as a user can type it."""
    # In what `uv run` starts, the PATH is not that of the user's shell.
    if "UV" not in os.environ and shutil.which("python") == sys.executable:
        return "python"
    return shlex.quote(sys.executable)


def as_argument(path):
    """A path as it is typed in this folder, the shorter way."""
    return shlex.quote(min(os.path.relpath(path), os.path.abspath(path), key=len))
