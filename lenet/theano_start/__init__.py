"""Start Theano 1.0.5 as it should start today.

Before ``import theano``:

    settings.py    the user's settings, and our defaults underneath them
    compiler.py    g++, its flags, and the BLAS that its code calls
    threads.py     how many threads OpenMP and OpenBLAS may use
    device.py      the tutorial's device=gpu; the CPU where no GPU can be used
    supported.py   which Pythons, NumPys and Theanos go together
    refusal.py     one line where Theano cannot work
    today/         what Theano needs on the Python and NumPy of today

After it:

    cache.py       find on disk what was compiled before
    headers.py     let g++ parse the headers of the modules once
    ahead.py       compile the modules of a graph side by side
"""

import signal
import sys
import textwrap
import warnings

from lenet.theano_start import compiler, device, settings, supported, threads
from lenet.theano_start.refusal import SetupError


def start():
    """Import Theano with our defaults underneath the user's settings, and let it start faster.

    Raises
    ------
    SetupError
        Where Theano cannot work: no compiler, unreadable settings, a GPU insisted on in vain.
    """
    supported.check()
    from lenet.theano_start import today  # needs NumPy

    if any(name.partition(".")[0] == "theano" for name in sys.modules):
        check_theano_imported_before()
        today.apply()
    else:
        today.apply()
        user = settings.UserSettings.read()
        settings.check_floats(user)
        compiler.check(user)
        threads.limit()
        device.choose(user)
        with settings.our_defaults_under(user), device.gpu_failures_in_one_line(user):
            import_theano()
    start_faster()


def import_theano():
    """Import Theano; whatever stops it becomes one line."""
    if sys.flags.optimize > 1:
        raise SetupError("Theano needs docstrings, which Python leaves out with -OO and "
                         "PYTHONOPTIMIZE=2; start Python without them")
    try:
        with warnings.catch_warnings():
            # Theano 1.0.5 uses parts of NumPy and distutils that later versions deprecate.
            warnings.simplefilter("ignore")
            import theano  # noqa: F401
    except ModuleNotFoundError as error:
        raise supported.missing(error.name) from None
    except KeyboardInterrupt:
        raise SetupError("interrupted", 128 + signal.SIGINT) from None
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]  # g++'s, all in one
        raise SetupError("Theano does not start: %s: %s; correct THEANO_FLAGS or .theanorc"
                         % (type(error).__name__,
                            textwrap.shorten(lines[0], 300, placeholder=" ..."))) from None


def check_theano_imported_before():
    """Accept a Theano that the caller imported first, with its settings, unless that failed."""
    # An import that fails takes the package away again, but leaves the modules that it reached.
    if not hasattr(sys.modules.get("theano"), "function"):
        raise SetupError("an earlier `import theano` failed; import lenet before theano")


def start_faster():
    """Let Theano compile less, and faster."""
    from lenet.theano_start import ahead, cache, headers  # they need Theano

    cache.apply()
    headers.apply()
    ahead.apply(threads.usable_processors())
