"""Theano's settings: the user's, and our defaults underneath them.

Theano takes each setting from the first of these places that has it:

    THEANO_FLAGS  >  the user's .theanorc  >  our defaults  >  Theano's defaults

Theano reads the environment variable ``THEANORC`` as a list of files in which later ones win.
Our defaults are written to a temporary file that stands first in that list while Theano is
imported, so whatever the user says anywhere stays in force, setting by setting.
"""

import configparser
import contextlib
import hashlib
import os
import platform
import shlex
import tempfile

from lenet.theano_start.compiler import blas_flags, compiler_flags
from lenet.theano_start.refusal import SetupError, say
from lenet.theano_start.threads import thread_count


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


def check_floats(user):
    """Stop with one line if the user asks for numbers that Theano cannot train with."""
    name = user.get("floatX")
    if name not in (None, "float32", "float64"):
        raise SetupError("floatX=%s; expected float32 or float64" % name)


def user_files():
    """The user's ``.theanorc`` files, in Theano's order."""
    names = os.environ.get("THEANORC", os.path.join("~", ".theanorc"))
    return [os.path.expanduser(name) for name in names.split(os.pathsep)]


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
    own = os.path.join(tempfile.gettempdir(), "lenet-theano-%d" % os.getuid())
    if not is_writable(own) or os.stat(own).st_uid != os.getuid():
        own = tempfile.mkdtemp(prefix="lenet-theano-")
    return own


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
