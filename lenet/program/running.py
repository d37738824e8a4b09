"""A program as ``__main__``, also in the processes that it starts.

Where multiprocessing does not fork, a new process imports the module whose name is in
``__main__.__spec__``. That is ``lenet.program.child``, which executes the program again.
"""

import importlib.machinery
import importlib.util
import os
import sys
import types

from lenet.installed import PACKAGE
from lenet.program import loader, past

# Tells these processes, in lines, the program and the folders of the path that are not its own
VARIABLE = "LENET_PROGRAM"


def run(program):
    """Run a program in the place of the one that Python started.

    Returns
    -------
    int
        The exit status: 1 if the program is neither Python 3 nor Python 2, which is reported.
    """
    path = os.path.abspath(program)
    sys.path[0] = os.path.dirname(path)
    found = importlib.machinery.PathFinder.find_spec("lenet")
    if found is None or not found.origin or os.path.dirname(found.origin) != PACKAGE:
        sys.path.insert(1, os.path.dirname(PACKAGE))  # where the package is not installed
    os.environ[VARIABLE] = "\n".join([path, *sys.path[1:]])
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__spec__ = importlib.util.find_spec("lenet.program.child")
    try:
        start(report=True)
    except (SyntaxError, ValueError) as error:
        sys.__excepthook__(type(error), error.with_traceback(None), None)
        return 1
    execute(vars(main))
    return 0


def start(report):
    """Compile the program, and from now on find its modules.

    Parameters
    ----------
    report : bool
        Whether to say which files are translated.
    """
    path, *others = os.environ[VARIABLE].split("\n")
    past.install()
    loader.install(os.path.dirname(path), others, report)
    loader.compile_main(path)


def execute(namespace):
    """Execute the program in the names of its main module."""
    path = os.environ[VARIABLE].partition("\n")[0]
    namespace.update(__file__=path, __doc__=None, __package__="", __cached__=None)
    loader.execute(path, namespace)


def run_again(namespace):
    """Execute the program in a process that it has started."""
    start(report=False)
    execute(namespace)
