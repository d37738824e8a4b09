"""List and open files, and write them so that a crash at any instant leaves the old or the new one,
never half of one.

A folder cannot be replaced in one step: a crash between the two that it takes leaves the old and
the new one whole, under other names.
"""

import contextlib
import gzip
import os
import shutil
import tempfile

from lenet.errors import DataError, one_line

GZIP = b"\x1f\x8b"  # the first bytes of a compressed file


def make_read_error(path, error, expected=None):
    """The DataError that says in one line why a file cannot be read."""
    reason = getattr(error, "strerror", None) or one_line(error)
    return DataError(f"{path}: cannot be read ({reason})" + (f"; {expected}" if expected else ""))


def open_unpacked(path):
    """Open a file for reading, or what is compressed in it with gzip, whatever its name is."""
    with open(path, "rb") as file:
        is_compressed = file.read(2) == GZIP
    return (gzip.open if is_compressed else open)(path, "rb")


def list_names(folder):
    """The names of the subfolders and of the files in a folder, but for those that are hidden, that
    macOS adds to archives, or that are empty files."""
    try:
        with os.scandir(folder) as entries:
            entries = [entry for entry in entries
                       if not entry.name.startswith(".") and entry.name != "__MACOSX"]
            return ([entry.name for entry in entries if entry.is_dir()],
                    [entry.name for entry in entries if not entry.is_dir()
                     and (entry.is_symlink() or entry.stat().st_size)])
    except OSError as error:
        raise make_read_error(
            folder, error, "expected a folder with one subfolder per class") from None


def make_folder(path, advice="name another folder"):
    """Make a folder if it does not exist; raise a DataError if it cannot be made."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be made ({error.strerror}); {advice}") from None


@contextlib.contextmanager
def write_beside(path):
    """Open a temporary file beside ``path`` for writing; rename it to ``path`` when complete.

    Something other than a file, such as a pipe, is written to directly.

    Yields
    ------
    binary file
        To be written to inside the ``with`` block. An exception there leaves ``path`` as it was.

    Raises
    ------
    DataError
        The folder is missing or read-only, or the disk is full.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        with _explain_errors(path), open(path, "wb") as file:
            yield file
        return
    path = os.path.realpath(path)  # a link stays a link
    folder, name = os.path.split(path)
    with _explain_errors(path):
        file = tempfile.NamedTemporaryFile(dir=folder, prefix=name + ".", delete=False)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(file.name, 0o666 & ~_umask())
            os.replace(file.name, path)
            _flush_folder(folder)
        finally:
            with contextlib.suppress(OSError):  # not there if it has its name
                os.unlink(file.name)


@contextlib.contextmanager
def _explain_errors(path):
    """Turn an OSError inside the ``with`` block into a DataError that says what cannot be done."""
    try:
        yield
    except BrokenPipeError:  # of what is printed meanwhile, whose reader has gone
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}); make room or "
                        "name another folder") from None


def _flush_folder(folder):
    """Have the new name on disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def write_folder_beside(path, names=()):
    """Make a temporary folder beside ``path`` to write in; rename it to ``path`` when complete.

    Parameters
    ----------
    path : str
        What is there already is replaced if it is a folder of no files but these ``names``.
    names : collection of str

    Yields
    ------
    str
        The temporary folder. An exception inside the ``with`` block leaves ``path`` as it was.

    Raises
    ------
    DataError
        Something else is at ``path``, the folder around it is missing or read-only, or the disk
        is full.
    """
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    with _explain_errors(path):
        check_replaceable(path, names)
        temporary = tempfile.mkdtemp(dir=folder, prefix=name + ".")
        try:
            yield temporary
            check_replaceable(path, names)
            os.chmod(temporary, 0o777 & ~_umask())
            if os.path.isdir(path):
                # A folder cannot be renamed over a full one: the old one gives up its name first.
                old = tempfile.mkdtemp(dir=folder, prefix=name + ".")
                os.rename(path, old)
                try:
                    os.rename(temporary, path)
                except OSError:
                    os.rename(old, path)
                    raise
                shutil.rmtree(old, ignore_errors=True)
            else:
                os.rename(temporary, path)
            _flush_folder(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)  # not there if it has its name


def check_replaceable(path, names):
    """Raise a DataError unless ``path`` is free, or a folder of no files but ``names``."""
    if os.path.lexists(path):
        others = sorted(set(os.listdir(path)) - set(names)) if os.path.isdir(path) else ["a file"]
        if others:
            raise DataError(f"{path}: there is something else already ({others[0]}); name "
                            "another folder")


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
