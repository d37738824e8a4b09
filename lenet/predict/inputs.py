"""Arrays of images that a caller gives, as pixels in the format of the training, or refused."""

import numpy

from lenet.data.pixels import BYTES
from lenet.errors import UsageError

EXPECTED = "expected bytes, 0 to 255, or floats as in the dataset, such as byte / 256"


def as_pixels(images, image_shape, pixels=BYTES):
    """Images as rows of pixels that mean what those of the training meant.

    Parameters
    ----------
    images : array of shape (n, ...)
        One image a row, rasterized or of ``image_shape``, or (height, width) if it is grey. Whole
        numbers of any integer type are bytes, from 0 to 255. Floats are as in the dataset, a byte
        / 256; bool is 0 and 1.
    image_shape : tuple of 3 ints
        (channels, height, width).
    pixels : lenet.data.pixels.Pixels
        Of the training; where white is more than 1, floats may be.

    Returns
    -------
    array of shape (n, number of pixels)
        uint8, or floats.

    Raises
    ------
    UsageError
        They are of another size or of other numbers: integers out of range, floats that are bytes,
        NaN, infinities, or no numbers.
    """
    images = numpy.asarray(images)
    n_pixels = int(numpy.prod(image_shape))
    if images.shape[:1] == (0,):
        return numpy.empty((0, n_pixels), "uint8")
    if images.ndim < 2 or int(numpy.prod(images.shape[1:])) != n_pixels:
        raise UsageError(f"images of shape {images.shape}; expected (number of images, "
                         f"{n_pixels}), or each of {tuple(image_shape)}")
    white = float(numpy.max(pixels.white()))
    return as_bytes_or_floats(images, white).reshape(-1, n_pixels)


def as_bytes_or_floats(images, white=1):
    """Images of any type of numbers as uint8 or floats; see ``as_pixels``."""
    kind = images.dtype.kind
    if images.dtype == numpy.uint8:
        return images
    if kind == "b":
        return images.astype("float32")
    if kind not in "iuf":
        raise UsageError(f"images of type {images.dtype}; {EXPECTED}")
    low, high = images.min(), images.max()
    if not numpy.isfinite([low, high]).all():
        number = int((~numpy.isfinite(images)).reshape(len(images), -1).any(axis=1).argmax())
        raise UsageError(f"image {number} (from 0) has a pixel that is NaN or infinite; {EXPECTED}")
    if kind in "iu":
        if low < 0 or high > 255:
            raise UsageError(f"images of {images.dtype} from {low} to {high}; {EXPECTED}")
        return images.astype("uint8")
    if high > max(1, white) and (images == numpy.floor(images)).all():
        raise UsageError(f"images of {images.dtype} that are whole numbers from {low:g} to "
                         f'{high:g}; {EXPECTED}; make bytes with images.astype("uint8")')
    return images
