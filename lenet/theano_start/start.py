"""Start Theano where a program imports it for the first time."""

import contextlib
import importlib
import importlib.machinery
import sys
import textwrap
import warnings

from lenet import processors
from lenet.theano_start import compiler, device, missing, settings, supported
from lenet.theano_start.refusal import SetupError, SetupInterrupted


def start_theano(module, register_operations):
    """Execute Theano's first module, and do what comes before and after it.

    The user's settings hold, with ours underneath, none of which changes a result. If this is not
    the Theano that we know, or if that cannot work with this Python or NumPy, it is left alone.

    Parameters
    ----------
    module : module
        Theano, not executed yet, or again (``importlib.reload``).
    register_operations : function
        What to call at the end.

    Raises
    ------
    SetupError
        Theano cannot work: unreadable settings, a GPU that is required but missing. Uncaught, it
        ends the process with one line instead of a traceback.
    """
    is_started = hasattr(module, "function")
    try:
        supported.check()
    except SetupError:
        execute(module, importlib.machinery.SourceFileLoader)
        return
    from lenet.theano_start import today  # needs NumPy

    if is_started:
        execute(module, today.view.Loader)
        return
    # A failed import removes the package again, but not the modules that it reached.
    if any(name.startswith("theano.") for name in sys.modules):
        raise SetupError("an earlier `import theano` failed; start Python again")
    supported.mention_untested()
    user = settings.UserSettings.read()
    compiler.check(user)
    device.choose(user)
    today.apply()
    with settings.put_defaults_under(user), device.shorten_gpu_failures(user):
        execute_theano(module, today.view.Loader)
    finish(register_operations)


def execute(module, loader):
    """Execute a module with a loader of this class."""
    spec = module.__spec__
    module.__loader__ = spec.loader = loader(spec.name, spec.origin)
    spec.loader.exec_module(module)


def execute_theano(module, loader):
    """Execute Theano for the first time; whatever stops it becomes one line."""
    if sys.flags.optimize > 1:
        raise SetupError("Theano needs docstrings, which Python leaves out with -OO and "
                         "PYTHONOPTIMIZE=2; start Python without them")
    try:
        with warnings.catch_warnings():
            # Theano 1.0.5 uses parts of NumPy and distutils that later versions deprecate.
            warnings.simplefilter("ignore")
            with hide_mpi():
                execute(module, loader)
    except ModuleNotFoundError as error:
        raise missing.make_error(error.name) from None
    except KeyboardInterrupt:
        raise SetupInterrupted("interrupted") from None
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]  # g++ writes many
        reason = textwrap.shorten(lines[0], 300, placeholder=" ...")
        raise SetupError(f"Theano does not start: {type(error).__name__}: {reason}; "
                         "correct THEANO_FLAGS or .theanorc") from None


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


def finish(register_operations):
    """Do what needs Theano: make its start faster and its functions safe in threads."""
    from lenet.theano_start import ahead, cache, headers, late, threads

    cache.apply()
    headers.apply()
    ahead.apply(processors.usable_processors())
    threads.apply()
    late.apply()
    settings.note_choice("floatX")
    register_operations()


def adopt_theano(register_operations):
    """Accept a Theano that was imported without us, with its settings."""
    from lenet.theano_start import today

    today.apply()
    finish(register_operations)


def start_for_package():
    """Start Theano for this package, whose float type is float32 unless somebody has chosen, and
    whose products of matrices OpenBLAS divides among threads as it likes.

    Raises
    ------
    SetupError
        As for ``start_theano``; and Theano is missing, another version, without a compiler, or set
        to numbers that it cannot train with.
    """
    if not hasattr(sys.modules.get("theano"), "function"):
        supported.check()
        compiler.require(settings.UserSettings.read())
        importlib.import_module("theano")
    from theano import config

    if hasattr(config, "lenet"):  # with lenet.ops
        config.lenet.small_products = False
    if settings.find_setting("floatX").is_default:
        config.floatX = "float32"
    elif config.floatX not in ("float32", "float64"):
        raise SetupError(f"floatX={config.floatX}; expected float32 or float64")
