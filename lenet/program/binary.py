"""Binary files of translated programs: what they held was a string, which is bytes and text.

A translated module gets their lines as text, and what it reads from them as bytes that compare and
work like text. Everybody else, such as ``pickle`` or Pillow, gets bytes.
"""

import io
import sys


def as_text(value):
    """Bytes as text, any of them; other values as they are."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def as_bytes(value):
    if isinstance(value, tuple):  # the argument of startswith
        return tuple(map(as_bytes, value))
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


class Bytes(bytes):
    """Bytes, for ``struct`` and NumPy, that are text where text is expected."""

    def __str__(self):
        return as_text(self)

    def __eq__(self, other):
        return bytes.__eq__(self, as_bytes(other))

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return hash(as_text(self))

    def __contains__(self, other):
        return bytes.__contains__(self, as_bytes(other))

    def __getitem__(self, index):
        index = index if isinstance(index, slice) else slice(index, index + 1 or None)
        return Bytes(bytes.__getitem__(self, index))

    def __iter__(self):
        return (self[place] for place in range(len(self)))

    def __add__(self, other):
        return Bytes(bytes(self) + as_bytes(other))

    def __radd__(self, other):
        return Bytes(as_bytes(other) + bytes(self))


def make_method(name):
    def method(self, *arguments):
        result = getattr(bytes, name)(self, *map(as_bytes, arguments))
        if isinstance(result, (list, tuple)):
            return type(result)(map(as_text, result))
        return as_text(result)

    return method


for shared in {*dir(str)} & {*dir(bytes)} - {"join", "maketrans", "translate"}:
    if not shared.startswith("_"):
        setattr(Bytes, shared, make_method(shared))


def is_translated():
    """Whether a method of a file is called by a translated module."""
    return "__print__" in sys._getframe(2).f_builtins


class Reader(io.BufferedReader):
    """A file that is read."""

    def read(self, *size):
        data = super().read(*size)
        return Bytes(data) if is_translated() else data

    def readline(self, *size):
        line = super().readline(*size)
        return as_text(line) if is_translated() else line

    def readlines(self, *size):
        lines = super().readlines(*size)
        return [*map(as_text, lines)] if is_translated() else lines

    def __next__(self):
        line = super().__next__()
        return as_text(line) if is_translated() else line


class Writer(io.BufferedWriter):
    """A file that is written, also with text."""

    def write(self, data):
        return super().write(as_bytes(data))

    def writelines(self, lines):
        super().writelines(map(as_bytes, lines))


def open_binary(name, mode, *arguments, **options):
    """``open`` with a "b" in its mode."""
    kind = {"rb": Reader, "wb": Writer, "ab": Writer}.get(mode)
    if kind is None or arguments or options:
        return open(name, mode, *arguments, **options)
    return kind(io.FileIO(name, mode))
