"""What the start says in one line: a note on standard error, or the error that ends it."""

import os
import signal
import sys

from lenet.installed import PACKAGE


class SetupError(ImportError):
    """Theano cannot be started. The message is one line: what was found, and what to do."""

    status = 2


class SetupInterrupted(KeyboardInterrupt):
    """Ctrl-C while Theano was being imported; no ImportError, which the caller might expect."""

    status = 128 + signal.SIGINT


def say(line):
    """Print one line about the set-up on standard error."""
    print(f"lenet: {line}", file=sys.stderr, flush=True)


def end_in_one_line(explain):
    """Let these two errors, where nobody catches them, end the process with their line and status
    instead of a traceback and 1.

    Parameters
    ----------
    explain : function of an error and its traceback
        Returns the error to show in its place, or the same one.
    """
    hook_before = sys.excepthook

    def hook(kind, error, traceback):
        shown = explain(error, traceback)
        if not isinstance(shown, (SetupError, SetupInterrupted)) and not (
                kind.__module__ == "lenet.errors" and is_module_run()):
            return hook_before(kind, error, traceback)
        say(shown)
        if not (hasattr(sys, "ps1") or sys.flags.interactive):  # an interactive session goes on
            sys.exit(shown.status)  # in a hook it sets the status, and the process ends as usual

    sys.excepthook = hook


def is_module_run():
    """Whether the program is a module of this package: ``python lenet/mlp.py``."""
    main = getattr(sys.modules["__main__"], "__file__", None) or ""
    return os.path.dirname(os.path.abspath(main)) == PACKAGE
