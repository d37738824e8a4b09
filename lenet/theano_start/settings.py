"""Theano's settings: the user's, and our defaults underneath them.

Theano takes each setting from the first of these places that names it:

    THEANO_FLAGS  >  the user's .theanorc  >  our defaults  >  Theano's defaults

Theano reads the environment variable ``THEANORC`` as a list of files in which later ones win.
Our defaults are written to a temporary file that comes first in that list while Theano is
imported, so that each setting of the user's stays in force.
"""

import configparser
import contextlib
import hashlib
import os
import platform
import shlex
import tempfile

from lenet.processors import thread_count
from lenet.theano_start.compiler import blas_flags, compiler_flags
from lenet.theano_start.refusal import SetupError, say


class UserSettings:
    """What the user sets in ``THEANO_FLAGS`` and in ``.theanorc``.

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
            files.read(list_user_files())
        except (ValueError, configparser.Error, OSError) as error:
            reason = " ".join(str(error).split())
            raise SetupError(f"Theano's settings cannot be read: {reason}; "
                             "correct THEANO_FLAGS or .theanorc") from None
        return cls(flags, files)

    def get(self, name, default=None):
        """The user's value of the setting ``name``, or ``default`` if there is none."""
        section, _, option = name.rpartition(".")
        in_files = self.files.get(section or "global", option, fallback=default)
        return self.flags.get(name, in_files)

    def is_true(self, name):
        """Whether the user switched the boolean setting ``name`` on."""
        return self.get(name, "False") in ("True", "true", "1")

    def override(self, name, value):
        """Replace the user's value of a setting."""
        self.flags[name] = value
        os.environ["THEANO_FLAGS"] = ",".join(
            f"{key}={shlex.quote(text)}" for key, text in self.flags.items())


def list_user_files():
    """The user's ``.theanorc`` files, in Theano's order."""
    names = os.environ.get("THEANORC", os.path.join("~", ".theanorc"))
    return [os.path.expanduser(name) for name in names.split(os.pathsep)]


def default_settings():
    """Our defaults: {"section.option": value}, without "global." for the section ``global``."""
    return {
        "openmp": str(thread_count() > 1),
        "gcc.cxxflags": " ".join(compiler_flags()),
        "blas.ldflags": " ".join(blas_flags()),
        # Theano 1.0.5 knows cuDNN 5 to 7, and would call a later one wrongly.
        "dnn.enabled": "False",
        "base_compiledir": find_compile_cache(),
        "compiledir_format": f"compiledir_%(short_platform)s-{processor_key()}"
                             "-%(python_version)s-%(python_bitwidth)s",
    }


def processor_key():
    """A short name of this processor's instruction sets, for its subfolder of the compile cache.

    Code for one processor (``-march=native``) may not run on another that shares the home folder.
    """
    description = platform.machine() + platform.processor()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as cpuinfo:
        lines = [line for line in cpuinfo if line.startswith(("flags", "Features", "model name"))]
        description += "".join(sorted(set(lines)))
    return hashlib.sha256(description.encode()).hexdigest()[:8]


def find_compile_cache():
    """The folder for compiled graphs: ``~/.theano`` as by Theano's own default, or a temporary one
    if that cannot be written."""
    home = os.path.join(os.path.expanduser("~"), ".theano")
    if is_writable(home):
        return home
    own = os.path.join(tempfile.gettempdir(), f"lenet-theano-{os.getuid()}")
    if not is_writable(own) or os.stat(own).st_uid != os.getuid():
        own = tempfile.mkdtemp(prefix="lenet-theano-")
    return own


def is_writable(folder):
    """Whether files can be made in ``folder``, which is created if it is missing."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def put_defaults_under(user):
    """Inside the ``with`` block, let Theano read our defaults before the user's files."""
    settings = default_settings()
    if not (user.get("base_compiledir") or user.get("compiledir")):
        if not settings["base_compiledir"].startswith(os.path.expanduser("~")):
            say("the home folder cannot be written; compiled graphs go to "
                f"{settings['base_compiledir']}")
    sections = {}
    for name, value in settings.items():
        section, _, option = name.rpartition(".")
        sections.setdefault(section or "global", {})[option] = value
    files = configparser.RawConfigParser()
    files.optionxform = str  # keep upper case: floatX
    files.read_dict(sections)
    before = os.environ.get("THEANORC")
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".theanorc", delete=False) as defaults:
            files.write(defaults)
    except OSError as error:
        raise SetupError(f"no temporary file can be written: {error}; set TMPDIR to a folder with "
                         "room") from None
    os.environ["THEANORC"] = os.pathsep.join([defaults.name] + list_user_files())
    try:
        yield
    finally:
        os.unlink(defaults.name)
        if before is None:
            del os.environ["THEANORC"]
        else:
            os.environ["THEANORC"] = before


def find_setting(name):
    """Theano's object for a setting, such as ``floatX``; ``is_default`` says whether nobody has set
    it."""
    from theano import configparser

    return next(setting for setting in configparser._config_var_list if setting.fullname == name)


def note_choice(name):
    """Let ``is_default`` be False as well once the program sets ``theano.config.NAME``."""
    setting = find_setting(name)
    check = setting.filter

    def check_and_note(value):
        setting.is_default = False
        return check(value)

    setting.filter = check_and_note
