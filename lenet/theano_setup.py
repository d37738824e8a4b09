"""What must happen before ``import theano``: compiler, BLAS, threads, device.

Theano takes each setting from the first of these places that has it:

    THEANO_FLAGS  >  the user's .theanorc  >  our defaults  >  Theano's defaults

Theano reads the environment variable ``THEANORC`` as a list of files in which later ones win.
Our defaults are written to a temporary file that stands first in that list while Theano is
imported, so whatever the user says anywhere stays in force, setting by setting.
"""

import configparser
import contextlib
import hashlib
import importlib.util
import logging
import os
import platform
import shlex
import shutil
import sys
import sysconfig
import tempfile
import warnings

# Old names of Theano's first GPU back end, which the tutorials use, and the present ones.
OLD_DEVICE = "gpu"
NEW_DEVICE = "cuda"

# The BLAS routines that Theano calls; in the package scipy-openblas32 each is called scipy_NAME_.
BLAS_ROUTINES = (
    "xerbla "
    "srotg srotmg srot srotm sswap sscal scopy saxpy sdot sgemv sger sgemm ssymm ssyrk strsm "
    "drotg drotmg drot drotm dswap dscal dcopy daxpy ddot dgemv dger dgemm dsymm dsyrk dtrsm "
    "cswap cscal ccopy caxpy cgemv cgerc cgeru cgemm zswap zscal zcopy zaxpy zgemv zgerc "
    "zgeru zgemm"
).split()
BLAS_THREAD_FUNCTIONS = ("openblas_get_num_threads", "openblas_set_num_threads")


class SetupError(SystemExit):
    """Theano cannot be started; the reason has been said in one line (exit status 2)."""

    def __init__(self, reason):
        say(reason)
        self.reason = reason
        super().__init__(2)


def say(line):
    """Print one line about the set-up on standard error."""
    print("lenet: " + line, file=sys.stderr, flush=True)


def start():
    """Import Theano with our defaults underneath the user's settings.

    Raises
    ------
    SetupError
        Where Theano cannot work: no compiler, unreadable settings, a GPU insisted on in vain.
    """
    if any(name.partition(".")[0] == "theano" for name in sys.modules):
        check_theano_imported_before()
        return
    user = UserSettings.read()
    check_compiler(user)
    limit_threads()
    choose_device(user)
    with our_defaults_under(user), gpu_failures_in_one_line(user):
        import_theano()


# --- the user's own settings ----------------------------------------------------------------


class UserSettings:
    """What the user says in ``THEANO_FLAGS`` and in ``.theanorc``.

    Parameters
    ----------
    flags : dict of str to str
        ``THEANO_FLAGS``, names as in Theano's documentation (``gcc.cxxflags``).
    files : configparser.RawConfigParser
        The ``.theanorc`` files, read in Theano's order.
    """

    def __init__(self, flags, files):
        self.flags = flags
        self.files = files

    @classmethod
    def read(cls):
        """Read both places the way Theano does."""
        splitter = shlex.shlex(os.environ.get("THEANO_FLAGS", ""), posix=True)
        splitter.whitespace, splitter.whitespace_split = ",", True
        files = configparser.RawConfigParser()
        try:
            flags = dict(pair.strip().split("=", 1) for pair in splitter if "=" in pair)
            files.read(user_files())
        except (ValueError, configparser.Error, OSError) as error:
            raise SetupError(
                "Theano's settings cannot be read: %s; correct THEANO_FLAGS or .theanorc"
                % " ".join(str(error).split())
            ) from None
        return cls(flags, files)

    def get(self, name, default=None):
        """The user's value of the setting ``name``, or ``default`` where they say nothing."""
        section, _, option = name.rpartition(".")
        in_files = self.files.get(section or "global", option, fallback=default)
        return self.flags.get(name, in_files)

    def is_true(self, name):
        """Whether the user switched the boolean setting ``name`` on."""
        return self.get(name, "False") in ("True", "true", "1")

    def override(self, name, value):
        """Put ``name=value`` in force over what the user said."""
        self.flags[name] = value
        os.environ["THEANO_FLAGS"] = ",".join(
            "%s=%s" % (key, shlex.quote(text)) for key, text in self.flags.items()
        )


def user_files():
    """The user's ``.theanorc`` files, in Theano's order."""
    names = os.environ.get("THEANORC", os.path.join("~", ".theanorc"))
    return [os.path.expanduser(name) for name in names.split(os.pathsep)]


# --- our defaults ---------------------------------------------------------------------------


def default_settings():
    """Our defaults, as ``{"section.option": value}`` (section ``global`` left out)."""
    return {
        "floatX": "float32",
        "openmp": str(thread_count() > 1),
        "gcc.cxxflags": " ".join(compiler_flags()),
        "blas.ldflags": " ".join(blas_flags()),
        # Theano 1.0.5 knows cuDNN 5 to 7; a later one would be called wrongly.
        "dnn.enabled": "False",
        "base_compiledir": compile_cache(),
        "compiledir_format": "compiledir_%(short_platform)s-"
        + processor_key()
        + "-%(python_version)s-%(python_bitwidth)s",
    }


def compiler_flags():
    """Flags that make GCC optimise for this processor without changing the arithmetic.

    glibc declares the vector versions of ``tanhf`` and its like (at most 4 ulp) only where
    ``__FAST_MATH__`` is defined, and GCC calls them only where ``errno`` and traps do not matter.
    Saying just that keeps NaN, infinities and the order of sums as they are. The flag
    ``-ffast-math`` itself would link code that makes the whole process flush subnormal numbers
    to zero.
    """
    flags = ["-O3", "-march=native"]
    if sys.platform == "linux" and platform.machine() == "x86_64":
        flags += ["-fno-math-errno", "-fno-trapping-math", "-D__FAST_MATH__"]
    return flags


def blas_flags():
    """Flags that let Theano's C code call the BLAS of the package ``scipy-openblas32``.

    Importing that package loads its library with global symbols, so there is nothing to link:
    it is enough to give Theano's calls the names that the package uses. (``-L`` would not do:
    Theano splits these flags at spaces, and folders may have spaces in their names.) Theano wants
    at least one library before it calls a BLAS from C; the one of C's mathematics is always there.
    """
    if importlib.util.find_spec("scipy_openblas32") is None:
        return ["-lblas"]
    import scipy_openblas32  # noqa: F401  (loads the library)

    routines = [name + "_" for name in BLAS_ROUTINES]
    names = routines + list(BLAS_THREAD_FUNCTIONS)
    return ["-D%s=scipy_%s" % (name, name) for name in names] + ["-lm"]


def processor_key():
    """A short name of this processor's instruction sets.

    ``-march=native`` code of one processor may not run on another that shares the home folder,
    so the compile cache has one subfolder for each.
    """
    description = platform.machine() + platform.processor()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as cpuinfo:
        lines = [line for line in cpuinfo if line.startswith(("flags", "Features", "model name"))]
        description += "".join(sorted(set(lines)))
    return hashlib.sha256(description.encode()).hexdigest()[:8]


def compile_cache():
    """The folder for compiled graphs: ``~/.theano``, or a temporary one if that cannot be written.

    Theano's own default is the first of the two.
    """
    home = os.path.join(os.path.expanduser("~"), ".theano")
    if is_writable(home):
        return home
    own = os.path.join(tempfile.gettempdir(), "lenet-theano-%s" % user_name())
    if not is_writable(own) or os.stat(own).st_uid != os.getuid():
        own = tempfile.mkdtemp(prefix="lenet-theano-")
    return own


def user_name():
    """A name for this user's own temporary folder."""
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")


def is_writable(folder):
    """Whether files can be made in ``folder``, which is created if need be."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def our_defaults_under(user):
    """While Theano is imported, let it read a file of our defaults before the user's files."""
    settings = default_settings()
    if not (user.get("base_compiledir") or user.get("compiledir")):
        if not settings["base_compiledir"].startswith(os.path.expanduser("~")):
            say("the home folder cannot be written; compiled graphs go to "
                + settings["base_compiledir"])
    files = configparser.RawConfigParser()
    files.optionxform = str
    for name, value in settings.items():
        section, _, option = name.rpartition(".")
        section = section or "global"
        if not files.has_section(section):
            files.add_section(section)
        files.set(section, option, value)
    before = os.environ.get("THEANORC")
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".theanorc", delete=False) as defaults:
            files.write(defaults)
    except OSError as error:
        raise SetupError("no temporary file can be written: %s; set TMPDIR to a folder with room"
                         % error) from None
    os.environ["THEANORC"] = os.pathsep.join([defaults.name] + user_files())
    try:
        yield
    finally:
        os.unlink(defaults.name)
        if before is None:
            del os.environ["THEANORC"]
        else:
            os.environ["THEANORC"] = before


# --- threads --------------------------------------------------------------------------------


def thread_count():
    """How many threads to compute with: ``OMP_NUM_THREADS``, or the processors we may use."""
    try:
        return max(1, int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0]))
    except ValueError:
        return usable_processors()


def usable_processors():
    """The processors that this process may use: its affinity mask, cut by its control group."""
    if hasattr(os, "sched_getaffinity"):
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 1
    quota = control_group_quota()
    return processors if quota is None else max(1, min(processors, int(quota)))


def control_group_quota(root="/sys/fs/cgroup", membership="/proc/self/cgroup"):
    """The processor time a second that Linux's control groups allow, or None without a limit.

    Version 2 keeps ``quota period`` in ``cpu.max``, version 1 in two files; the tightest limit on
    the way from this process's group up to the root holds.
    """
    try:
        with open(membership) as lines:
            groups = [line.strip().split(":", 2) for line in lines]
    except OSError:
        return None
    quotas = []
    for _, controllers, path in (group for group in groups if len(group) == 3):
        if controllers == "":
            top, read = root, quota_v2
        elif "cpu" in controllers.split(","):
            top, read = os.path.join(root, "cpu"), quota_v1
        else:
            continue
        # Inside a container the path may be that of the host, where only the root exists.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts), -1, -1):
            with contextlib.suppress(OSError, ValueError):
                quotas.append(read(os.path.join(top, *parts[:depth])))
    return min((quota for quota in quotas if quota is not None), default=None)


def quota_v2(folder):
    """Processors allowed by a version 2 control group, None if it sets no limit."""
    with open(os.path.join(folder, "cpu.max")) as file:
        quota, period = file.read().split()
    return None if quota == "max" else int(quota) / int(period)


def quota_v1(folder):
    """Processors allowed by a version 1 control group, None if it sets no limit."""
    with open(os.path.join(folder, "cpu.cfs_quota_us")) as file:
        quota = int(file.read())
    with open(os.path.join(folder, "cpu.cfs_period_us")) as file:
        period = int(file.read())
    return None if quota < 0 else quota / period


def limit_threads():
    """Tell OpenMP and OpenBLAS how many threads there are, where the user has not.

    Both keep threads of their own, one for each processor, and a thread that has nothing to do
    waits for work in a loop, which takes the processor from the other library's threads. Passive
    waiting halves the time of a minibatch (README, "Speed"), on a machine that does other things
    as well even more. OpenBLAS gives up after 2 ** 4 processor cycles, the least it accepts.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(thread_count()))
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")


# --- compiler -------------------------------------------------------------------------------


def check_compiler(user):
    """Stop with one line where Theano would fall back to interpreting graphs in Python.

    A user who says ``cxx=`` wants just that, and is left alone.
    """
    compiler = user.get("cxx")
    if compiler == "":
        return
    if compiler is None and not (shutil.which("g++") or shutil.which("clang++")):
        raise SetupError("no C++ compiler found; install one: sudo apt-get install g++")
    header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
    if not os.path.exists(header):
        raise SetupError(
            "Python's C headers are missing (%s); install them: "
            "sudo apt-get install python%d.%d-dev" % ((header,) + sys.version_info[:2])
        )


# --- device ---------------------------------------------------------------------------------


def choose_device(user):
    """Translate the tutorial's ``device=gpu`` and fall back to the CPU where no GPU can be used."""
    device = user.get("device", "cpu")
    if device.startswith(OLD_DEVICE):
        new = NEW_DEVICE + device[len(OLD_DEVICE):]
        say("device=%s is called device=%s since Theano 1.0" % (device, new))
        user.override("device", new)
        device = new
    if not device.startswith(NEW_DEVICE):
        return
    problem = gpu_problem(device, user.get("cxx"))
    if problem:
        no_gpu(user, device, problem)
        user.override("device", "cpu")


def gpu_tools(compiler=None):
    """The folder for the names of CUDA's libraries, and the C++ compiler, unless it is given."""
    return (os.path.join(compile_cache(), "cuda_names"),
            compiler or shutil.which("g++") or shutil.which("clang++"))


def gpu_problem(device, compiler=None):
    """Why the GPU ``device`` cannot be used, in a few words, or None once all is prepared for it.

    Does what can be done before Theano is imported (``lenet.gpu.start``).
    """
    from lenet.gpu import start

    try:
        start.prepare(device, *gpu_tools(compiler))
    except start.CudaError as error:
        return str(error)
    return None


def no_gpu(user, device, problem):
    """Say that there is no GPU; stop if the user insists on one (``force_device=True``)."""
    if user.is_true("force_device"):
        raise SetupError("device=%s: %s; force_device=True, so nothing is run" % (device, problem))
    say("device=%s: %s; running on the CPU" % (device, problem))


@contextlib.contextmanager
def gpu_failures_in_one_line(user):
    """Turn the traceback that Theano logs when a GPU does not start into one line."""
    problems = []

    class Collect(logging.Filter):
        def filter(self, record):
            error = record.exc_info[1] if record.exc_info else None
            problems.append(first_line(error or record.getMessage()))
            return False

    collect = Collect()
    logger = logging.getLogger("theano.gpuarray")
    logger.addFilter(collect)
    try:
        yield
    finally:
        logger.removeFilter(collect)
    if problems:
        no_gpu(user, user.get("device", "cpu"), "; ".join(problems))


def first_line(error):
    """The first line of an error's text; pygpu's errors hold it as bytes."""
    text = error.args[0] if getattr(error, "args", None) else error
    text = text.decode(errors="replace") if isinstance(text, bytes) else str(error)
    return text.strip().splitlines()[0]


# --- Theano itself --------------------------------------------------------------------------


def import_theano():
    """Import Theano; whatever stops it becomes one line."""
    try:
        with warnings.catch_warnings():
            # Theano 1.0.5 uses parts of NumPy and distutils that later versions deprecate.
            warnings.simplefilter("ignore")
            import theano  # noqa: F401
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        raise SetupError("Theano does not start: %s: %s; see theanorc.example for its settings"
                         % (type(error).__name__, lines[0])) from None


def check_theano_imported_before():
    """Accept a Theano that the caller imported first, with its settings, unless that failed."""
    # An import that fails takes the package away again, but leaves the modules that it reached.
    if not hasattr(sys.modules.get("theano"), "function"):
        raise SetupError("an earlier `import theano` failed; import lenet before theano")
