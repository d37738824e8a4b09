"""Read a photograph of any kind and size as an array of red, green and blue."""

import numpy

from lenet.errors import DataError
from lenet.pictures.reading import COLOUR, open_image, refusal, upright


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
        with open_image(path) as image:
            pixels = numpy.asarray(upright(image, COLOUR)) / 255
    except Exception as error:  # Pillow says in many ways that a file is damaged
        raise refusal(path, error) from None
    height, width = pixels.shape[:2]
    if min(height, width) < least:
        raise DataError("%s: an image of %d x %d pixels; expected at least %d x %d"
                        % (path, height, width, least, least))
    return pixels
