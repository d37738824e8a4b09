"""Start Theano 1.0.5 on the systems of today.

Before ``import theano``:

    settings.py    the user's settings, with our defaults underneath
    compiler.py    g++, its flags, and the BLAS that its code calls
    device.py      the tutorial's device=gpu; the CPU where no GPU can be used
    supported.py   which versions of Python, NumPy and Theano work together
    missing.py     which package is missing, and what to type for it
    refusal.py     one line where Theano cannot work
    today/         what Theano needs on current versions of Python and NumPy

After it:

    cache.py       find on disk what was compiled before
    headers.py     parse the headers of the generated C++ once
    ahead.py       compile the modules of a graph in parallel
    threads.py     several threads, and processes that fork, use what is compiled
"""

import contextlib
import sys
import textwrap
import warnings

from lenet import processors
from lenet.theano_start import compiler, device, missing, settings, supported
from lenet.theano_start.refusal import SetupError, SetupInterrupted, end_in_one_line


def start():
    """Import Theano with our defaults underneath the user's settings, and make it start faster.

    Raises
    ------
    SetupError
        Theano cannot work: no compiler, unreadable settings, a GPU that is required but missing.
        Uncaught, it ends the process with one line instead of a traceback.
    """
    end_in_one_line(missing.explain)
    start_theano()
    from lenet.theano_start import ahead, cache, headers, threads  # these need Theano

    cache.apply()
    headers.apply()
    ahead.apply(processors.usable_processors())
    threads.apply()


def start_theano():
    """Import Theano, or accept one that the caller imported first, with its settings."""
    supported.check()
    from lenet.theano_start import today  # needs NumPy

    if any(name.partition(".")[0] == "theano" for name in sys.modules):
        # A failed import removes the package again, but not the modules that it reached.
        if not hasattr(sys.modules.get("theano"), "function"):
            raise SetupError("an earlier `import theano` failed; import lenet before theano")
        today.apply()
        return
    user = settings.UserSettings.read()
    settings.check_floats(user)
    compiler.check(user)
    processors.limit_threads()
    device.choose(user)
    today.apply()
    with settings.put_defaults_under(user), device.shorten_gpu_failures(user):
        import_theano()


@contextlib.contextmanager
def hide_mpi():
    """Hide mpi4py inside a ``with`` block unless ``mpiexec`` started this process: Theano would
    import it wherever it is installed, and start MPI."""
    hidden = not processors.is_under_mpi()
    if hidden:
        sys.modules["mpi4py"] = None
    try:
        yield
    finally:
        if hidden:
            del sys.modules["mpi4py"]


def import_theano():
    """Import Theano; whatever stops it becomes one line."""
    if sys.flags.optimize > 1:
        raise SetupError("Theano needs docstrings, which Python leaves out with -OO and "
                         "PYTHONOPTIMIZE=2; start Python without them")
    try:
        with warnings.catch_warnings():
            # Theano 1.0.5 uses parts of NumPy and distutils that later versions deprecate.
            warnings.simplefilter("ignore")
            with hide_mpi():
                import theano  # noqa: F401
    except ModuleNotFoundError as error:
        raise missing.make_error(error.name) from None
    except KeyboardInterrupt:
        raise SetupInterrupted("interrupted") from None
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]  # g++ writes many
        reason = textwrap.shorten(lines[0], 300, placeholder=" ...")
        raise SetupError(f"Theano does not start: {type(error).__name__}: {reason}; "
                         "correct THEANO_FLAGS or .theanorc") from None
