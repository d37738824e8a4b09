"""Read image files of any kind: at the size and in the colours asked for, or as they are."""

import numpy
from PIL import Image, ImageOps, UnidentifiedImageError

from lenet.data.files import make_read_error
from lenet.errors import DataError

GREY, COLOUR = 1, 3  # numbers of channels

ORIENTATION_TAG = 0x112  # of EXIF: how the camera was held

GREY_MODES = ("1", "L", "LA", "La", "I", "F")


def read_picture(path, image_shape):
    """The pixels of an image file, at the size and in the colours asked for.

    Parameters
    ----------
    path : str
        A file in any format that Pillow reads; of an animation, the first picture counts.
    image_shape : (int, int, int)
        Channels (1 or 3), height and width.

    Returns
    -------
    array of shape image_shape
        uint8, from 0 (dark) to 255.

    Raises
    ------
    Exception
        The file cannot be read or holds no image: Pillow raises many kinds; see ``refusal``.
    """
    channels, height, width = image_shape
    check_channels(channels)
    with Image.open(path) as image:
        if image.size != (width, height):
            # A JPEG decodes faster at a half or a quarter of its size; twice ours is enough.
            image.draft(None, (2 * max(width, height),) * 2)
        image = turn_upright(image, channels)
        if image.size != (width, height):
            # Shrinking averages over all pixels, and no edge overshoots.
            image = image.resize((width, height), Image.BILINEAR)
        pixels = numpy.asarray(image).reshape(height, width, channels)
    return pixels.transpose(2, 0, 1)


def check_channels(channels):
    """Raise a DataError unless a picture can have so many channels."""
    if channels not in (GREY, COLOUR):
        raise DataError(f"images of {channels} channels, where a picture has 1 or 3; give arrays "
                        "to Predictor.probabilities")


def read_photograph(path=None, least=1):
    """Read an image as it is, in colour.

    Parameters
    ----------
    path : str, optional
        By default a photograph that Matplotlib ships.
    least : int
        The smallest height and width accepted.

    Returns
    -------
    array of shape (height, width, 3)
        float64, from 0 (dark) to 1.

    Raises
    ------
    DataError
        The file cannot be read, holds no image, or one that is too small.
    """
    if path is None:
        import matplotlib.cbook  # slow to import, and not needed for a path

        path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    try:
        with Image.open(path) as image:
            pixels = numpy.asarray(turn_upright(image, COLOUR)) / 255
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise refusal(path, error) from None
    height, width, _ = pixels.shape
    if min(height, width) < least:
        raise DataError(f"{path}: an image of {height} x {width} pixels; expected at least "
                        f"{least} x {least}")
    return pixels


def turn_upright(image, channels):
    """A Pillow image turned as the camera was held, in 8 bits of grey or of red, green and blue."""
    mode = "L" if channels == GREY else "RGB"
    # Pillow before 11 has 16 bits of grey as mode "I", which may mean any range elsewhere.
    of_16_bits = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")
    if image.getexif().get(ORIENTATION_TAG, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode == mode and "transparency" not in image.info:
        return image
    if of_16_bits:  # the upper 8 are kept
        image = Image.fromarray((numpy.asarray(image) >> 8).astype("uint8"))
    elif image.mode in ("I", "F"):
        # The format does not tell the range of grey: take the darkest and the lightest pixel.
        grey = numpy.asarray(image, dtype="float64")
        if not numpy.isfinite(grey).all():
            raise ValueError("a pixel is NaN or infinite")
        low, high = grey.min(), grey.max()
        image = Image.fromarray(((grey - low) / max(high - low, 1e-12) * 255).astype("uint8"))
    elif "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        # Transparent pixels show white paper.
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def read_shape(path):
    """(channels, height, width) of an image file as it is, upright, in most cases from its header
    alone."""
    with Image.open(path) as image:
        if image.format == "TIFF":
            image.load()  # some versions of Pillow turn it then
        width, height = image.size
        if image.getexif().get(ORIENTATION_TAG, 1) >= 5:  # lying on its side
            width, height = height, width
        return GREY if is_grey(image) else COLOUR, height, width


def is_grey(image):
    """Whether a Pillow image has no colours."""
    if image.mode == "P":
        palette = image.getpalette()
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in GREY_MODES or image.mode.startswith("I;16")


def refusal(path, error):
    """The DataError that says in one line why an image cannot be read, whatever Pillow raised."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: not found; give the path of an image")
    if isinstance(error, UnidentifiedImageError):
        return DataError(f"{path}: no image that Pillow can read; expected JPEG, PNG or the like")
    return make_read_error(path, error)
