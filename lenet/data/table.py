"""Tables of pixels in text (CSV), as Kaggle has them: an image a line, its label first.

MNIST and Fashion-MNIST are widely copied in this form: a header ``label,pixel0,pixel1,...``, which
may be missing, then whole numbers from 0 to 255. A file to be classified in a competition has no
labels.
"""

import zlib

import numpy

from lenet.data.arrays import Found
from lenet.data.files import make_read_error, open_unpacked
from lenet.errors import DataError, one_line

LABELS = ("label", "labels", "class", "target", "y")


def is_table(head):
    """Whether a file that begins with these bytes is text in columns."""
    line = head.split(b"\n")[0]
    return line.count(b",") > 2 and all(byte >= 32 or byte in b"\t\r" for byte in line)


def read(path):
    """The images and labels in a table.

    Returns
    -------
    lenet.data.arrays.Found
        Images uint8 of shape (n, pixels); labels words, or whole numbers.

    Raises
    ------
    DataError
        There are no labels, or a line is not as long as the others, or a pixel is no byte.
    """
    try:
        with open_unpacked(path) as file:
            return read_lines(file, path)
    except (OSError, EOFError, zlib.error) as error:
        raise make_read_error(path, error) from None


def read_lines(file, path):
    header = [field.strip(' \r\n"') for field in
              file.readline().decode("utf-8", "replace").split(",")]
    has_header = not all(field.isdecimal() for field in header[1:])
    column = next((i for i, field in enumerate(header) if field.lower() in LABELS), None)
    if not has_header:
        column = 0
        file.seek(0)
    elif column is None:
        raise DataError(f"{path}: no labels: the columns are {one_line(', '.join(header[:3]))}, "
                        "...; expected a column label; name the file that has one: without "
                        "labels, images can only be classified")
    # pandas may write a column of line numbers, without a name, before the others.
    first = int(header[0] == "")
    pixels, labels, n = bytearray(), [], len(header)
    for number, line in enumerate(file, 1 + has_header):
        fields = line.rstrip(b"\r\n").split(b",")
        if fields == [b""]:
            continue
        try:
            labels.append(fields.pop(column).strip(b' "').decode())
            pixels += bytes(map(int, fields[first:]))
            if len(fields) != n - 1:
                raise ValueError(f"{len(fields) + 1} columns, where {n} were expected")
        except (ValueError, IndexError) as error:
            raise DataError(f"{path}: line {number}: {one_line(error)}; expected a label and "
                            "pixels from 0 to 255") from None
    if not labels:
        raise DataError(f"{path}: no line of a label and pixels; expected one for each image")
    if all(label.isdecimal() and len(label) < 10 for label in labels):
        labels = list(map(int, labels))
    x = numpy.frombuffer(pixels, "uint8").reshape(len(labels), -1)
    return Found({"train": (x, numpy.array(labels))})
