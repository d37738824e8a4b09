"""Write files so that a crash at any instant leaves the old or the new one, never half of one."""

import contextlib
import os
import tempfile

from lenet.errors import DataError


@contextlib.contextmanager
def write_beside(path):
    """Open a temporary file beside ``path`` for writing; rename it to ``path`` when complete.

    Yields
    ------
    binary file
        To be written to inside the ``with`` block. An exception there leaves ``path`` as it was.

    Raises
    ------
    DataError
        The folder is missing or read-only, or the disk is full.
    """
    path = os.path.abspath(path)
    temporary = None
    try:
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
    except OSError as error:
        raise DataError("%s: cannot be written (%s); make room or name another folder"
                        % (path, error.strerror or error)) from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _flush_folder(folder):
    """Have the new name on disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
