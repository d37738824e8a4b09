"""Drawings and pictures from the page, brought into the format of a network's training."""

import io
import warnings
from collections import namedtuple

import numpy
from PIL import Image

from lenet.data.pictures import check_channels, refusal
from lenet.errors import DataError
from lenet.images import digit
from lenet.network3 import n_elements
from lenet.predict.reader import Reader

MAX_PICTURE_PIXELS = 24 * 10 ** 6
MAX_DRAWING_BYTES = 60000
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")

# image: uint8 of shape image_shape; box, centre: see lenet.images.digit.Found; None for a picture
# that is only resized
Prepared = namedtuple("Prepared", "image box centre")


class Preparation:
    """Brings drawings and pictures into the format of the networks' training.

    Parameters
    ----------
    image_shape : tuple of 3 ints
        (channels, height, width) of an image.
    preparation : "digit" or "resize"
        See ``lenet.predict.predictor.Predictor``.

    Attributes
    ----------
    drawing_shape : tuple of 3 ints
        (height, width, channels) of a drawing as it is sent.
    """

    def __init__(self, image_shape, preparation):
        self.image_shape = tuple(image_shape)
        self.reader = Reader(image_shape, preparation)
        channels, height, width = image_shape
        check_channels(channels)
        # A drawing of a digit is as large as to_mnist takes it, others are about as large.
        scale = min(digit.LARGEST / max(height, width),
                    (MAX_DRAWING_BYTES / (channels * height * width)) ** 0.5)
        self.drawing_shape = (max(1, int(height * scale)), max(1, int(width * scale)), channels)

    def prepare_drawing(self, content):
        """Prepare a drawing, dark ink on light paper: bytes of shape drawing_shape.

        Raises a DataError if they are not as many, or if nothing is drawn.
        """
        if len(content) != n_elements(self.drawing_shape):
            raise DataError(f"a drawing of {len(content)} bytes; expected "
                            f"{n_elements(self.drawing_shape)}")
        pixels = numpy.frombuffer(content, "uint8").reshape(self.drawing_shape)
        if self.reader.of_digits:
            found = digit.find_digit(pixels[:, :, 0])
            return Prepared(found.image[None], found.box, found.centre)
        channels, height, width = self.image_shape
        image = Image.fromarray(pixels if channels > 1 else pixels[:, :, 0])
        pixels = numpy.asarray(image.resize((width, height), Image.BILINEAR))
        return Prepared(pixels.reshape(height, width, channels).transpose(2, 0, 1), None, None)

    def prepare_picture(self, content):
        """Prepare the content of an image file.

        Raises a DataError if it is no image, or too large, or if there is no digit in it.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow warns of details of formats
                with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                    width, height = image.size
                if width * height > MAX_PICTURE_PIXELS:
                    raise DataError(f"the picture: {width} x {height} pixels; expected at most "
                                    f"{MAX_PICTURE_PIXELS // 10 ** 6} million")
                image = self.reader.read(Picture(content))
        except Image.UnidentifiedImageError:
            raise DataError("the picture: no image of a kind that this page takes; expected "
                            f"one of {', '.join(FORMATS)}") from None
        except DataError:
            raise
        except Exception as error:  # Pillow raises many kinds for a damaged file
            raise refusal("the picture", error) from None
        return self.prepare_image(image)

    def prepare_image(self, image):
        """An image that has the format already, uint8 of shape image_shape."""
        if self.reader.of_digits and image.any():
            return Prepared(image, *digit.locate_digit(image[0].astype("float32"), 0, 0, 1))
        return Prepared(image, None, None)


class Picture(io.BytesIO):
    """The content of an image file, which errors call by this name."""

    def __str__(self):
        return "the picture"
