"""The messages between the page and its server.

To the server: a drawing or a picture in bytes, (kind, number of the request, content), or a request
in JSON. To the page: JSON, or a header in JSON and numbers: (length of the header, header, float32
array), little-endian.
"""

import json
import struct

import numpy

from lenet.errors import DataError

DRAWING, PICTURE = 1, 2
MAX_MESSAGE_BYTES = 64 * 1024  # pictures may be larger
MAX_PICTURE_BYTES = 8 * 2 ** 20


def pack(header, arrays=()):
    """The bytes of a message to the page: a dict, and arrays of numbers end to end."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)  # the numbers begin at a multiple of 4
    return b"".join([struct.pack("<I", len(text)), text]
                    + [numpy.asarray(array, "<f4").tobytes() for array in arrays])


def unpack(message):
    """A message from the page as a dict: {"drawing" or "picture": bytes, "number": int}, or what
    the JSON says. Raises a DataError if it is none of these, or too long."""
    size = len(message if isinstance(message, bytes) else message.encode("utf-8", "replace"))
    if size > (MAX_PICTURE_BYTES + 5 if message[:1] == bytes([PICTURE]) else MAX_MESSAGE_BYTES):
        raise DataError(f"a message of {size} bytes; expected at most {MAX_MESSAGE_BYTES}, or "
                        f"{MAX_PICTURE_BYTES} for a picture")
    if isinstance(message, bytes):
        if len(message) < 5 or message[0] not in (DRAWING, PICTURE):
            raise DataError("a message of an unknown kind; expected a drawing or a picture")
        kind, number = struct.unpack_from("<BI", message)
        return {"drawing" if kind == DRAWING else "picture": message[5:], "number": number}
    try:
        request = json.loads(message)
    except (ValueError, RecursionError):
        raise DataError("a message that is not JSON") from None
    if not isinstance(request, dict):
        raise DataError("a message that is not an object; expected a request such as "
                        '{"test": 0}')
    return request


def read_index(request, name, end):
    """The whole number from 0 to ``end`` - 1 that a request has by that name."""
    value = request.get(name)
    if type(value) is not int or not 0 <= value < end:
        raise DataError(f"{name} {value!s:.40}; expected a whole number from 0 to {end - 1}")
    return value
