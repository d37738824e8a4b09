"""The images that a command line names."""

import os
import sys

from PIL import Image

from lenet.errors import UsageError


def find_images(names):
    """The paths of images that a command line names.

    Parameters
    ----------
    names : iterable of str
        Files, whatever they hold; folders, searched with their subfolders for files whose names
        end like an image's, in alphabetical order; "-" for a list on standard input, one name per
        line.

    Yields
    ------
    str
        For a folder without images, or one that cannot be read, its own name.
    """
    for name in names:
        if name == "-":
            if sys.stdin is None:
                raise UsageError("- is for a list on standard input, which is closed")
            yield from find_images(line.rstrip("\r\n") for line in sys.stdin if line.strip())
        elif os.path.isdir(name):
            yield from images_in(name)
        else:
            yield name


def images_in(folder):
    """The paths of the images in a folder and its subfolders."""
    endings = tuple(Image.registered_extensions())
    found = False
    unreadable = []
    for inside, folders, files in os.walk(folder, onerror=unreadable.append):
        folders.sort()
        for file in sorted(files):
            if file.lower().endswith(endings) and not file.startswith("."):
                found = True
                yield os.path.join(inside, file)
    if unreadable:
        yield from (error.filename for error in unreadable)
    elif not found:
        yield folder
