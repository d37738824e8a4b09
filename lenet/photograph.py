"""Read a photograph of any kind and size as an array of red, green and blue."""

import numpy
from PIL import Image, ImageOps, UnidentifiedImageError

from lenet.errors import DataError


def read_photograph(path=None, least=1):
    """Read an image that Pillow knows: colour, grey, with a palette or with transparency.

    Parameters
    ----------
    path : str, optional
        The image; a photograph that Matplotlib ships unless given.
    least : int
        Height and width that are needed at the least.

    Returns
    -------
    array
        float64 of shape (height, width, 3), from 0 (dark) to 1.

    Raises
    ------
    DataError
        The file cannot be read or holds no image, or one that is too small.
    """
    if path is None:
        import matplotlib.cbook  # slow to import, and not needed for a path

        path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    try:
        with Image.open(path) as image:
            pixels = to_rgb(ImageOps.exif_transpose(image))
    except Exception as error:  # Pillow says in many ways that a file is damaged
        raise refusal(path, error) from None
    height, width = pixels.shape[:2]
    if min(height, width) < least:
        raise DataError("%s: an image of %d x %d pixels; expected at least %d x %d"
                        % (path, height, width, least, least))
    return pixels


def refusal(path, error):
    """The DataError that says in one line why an image cannot be read, whatever Pillow raised."""
    if isinstance(error, FileNotFoundError):
        return DataError("%s: not found; give the path of an image" % path)
    if isinstance(error, UnidentifiedImageError):
        return DataError("%s: no image that Pillow can read; expected JPEG, PNG or the like" % path)
    reason = getattr(error, "strerror", None) or error
    return DataError("%s: cannot be read (%s)" % (path, reason))


def to_rgb(image):
    """The pixels of a Pillow image, float64 of shape (height, width, 3), from 0 to 1."""
    if image.mode.startswith(("I", "F")):
        # More than 8 bits of grey, of a range that the format does not tell.
        grey = numpy.asarray(image, dtype="float64")
        low, high = grey.min(), grey.max()
        return numpy.repeat(((grey - low) / max(high - low, 1e-12))[:, :, None], 3, axis=2)
    if "A" in image.getbands() or "transparency" in image.info:
        # What is transparent lies on white paper.
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return numpy.asarray(image.convert("RGB"), dtype="float64") / 255
