"""Write files so that a crash at any instant leaves the old or the new one, never half of one.

A folder cannot be replaced as one step: a crash between the two that it takes leaves the old and
the new one whole, under other names beside.
"""

import contextlib
import os
import re
import shutil
import tempfile

from lenet.errors import DataError


def beside_the_package():
    """The folder that holds ``data`` and ``scripts``: the clone, or where these are installed."""
    parent = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    installed = os.path.join(parent, "lenet_theano")
    return installed if os.path.isdir(installed) else parent


def as_typed(command):
    """A command line of the clone as it is typed here: ``lenet NAME`` for
    ``python scripts/NAME.py``, and the whole path of another script, where they are installed."""
    folder = beside_the_package()
    if os.path.basename(folder) != "lenet_theano":
        return command
    command = re.sub(r"python scripts/(\w+)\.py",
                     lambda script: "lenet " + script.group(1).replace("_", "-"), command)
    return command.replace("scripts/", os.path.join(folder, "scripts", ""))


@contextlib.contextmanager
def write_beside(path):
    """Open a temporary file beside ``path`` for writing; rename it to ``path`` when complete.

    What is no file, such as a pipe, is written to as it is.

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
        with _complaining_of(path), open(path, "wb") as file:
            yield file
        return
    path = os.path.realpath(path)  # a link stays a link
    temporary = None
    try:
        with _complaining_of(path):
            with tempfile.NamedTemporaryFile(
                dir=os.path.dirname(path), prefix=os.path.basename(path) + ".", delete=False
            ) as file:
                temporary = file.name
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
            temporary = None
            _flush_folder(os.path.dirname(path))
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


@contextlib.contextmanager
def _complaining_of(path):
    """Turn an OSError inside the ``with`` block into a DataError that says what cannot be done."""
    try:
        yield
    except BrokenPipeError:  # of what is printed meanwhile, whose reader has gone
        raise
    except OSError as error:
        raise DataError("%s: cannot be written (%s); make room or name another folder"
                        % (path, error.strerror or error)) from None


def _flush_folder(folder):
    """Have the new name on disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def folder_beside(path, names=()):
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
    beside = {"dir": os.path.dirname(path), "prefix": os.path.basename(path) + "."}
    temporary = None
    try:
        with _complaining_of(path):
            check_replaceable(path, names)
            temporary = tempfile.mkdtemp(**beside)
            yield temporary
            check_replaceable(path, names)
            os.chmod(temporary, 0o777 & ~_umask())
            if os.path.isdir(path):
                # No folder is renamed over a full one: the old one gives up its name first.
                old = tempfile.mkdtemp(**beside)
                os.rename(path, old)
                try:
                    os.rename(temporary, path)
                except OSError:
                    os.rename(old, path)
                    raise
                shutil.rmtree(old, ignore_errors=True)
            else:
                os.rename(temporary, path)
            temporary = None
            _flush_folder(os.path.dirname(path))
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def check_replaceable(path, names):
    """Raise a DataError unless ``path`` is free, or a folder of no files but ``names``."""
    if os.path.lexists(path):
        others = sorted(set(os.listdir(path)) - set(names)) if os.path.isdir(path) else ["a file"]
        if others:
            raise DataError("%s: there is something else already (%s); name another folder"
                            % (path, others[0]))


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
