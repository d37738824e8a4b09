"""How the bytes of pictures become the numbers that a network is trained on, and back.

It belongs to a data set, is kept with every network that was trained on it, and is applied wherever
a new picture comes in.
"""

import numpy
import theano

from lenet.errors import DataError

PART = 4096  # images that are converted at once: the caches of the processor hold them


class Pixels:
    """From bytes to numbers: ``(byte / 256 - mean) / deviation``.

    Parameters
    ----------
    mean, deviation : float, or list of floats
        For all pixels, or one for each channel or each pixel of a rasterized image.
    range : pair of floats, optional
        The least and the greatest number of a training set of which nobody knows how its pixels
        became these; mean and deviation do not matter then.
    """

    def __init__(self, mean=0.0, deviation=1.0, range=None):
        self.mean, self.deviation, self.range = mean, deviation, range

    def __eq__(self, other):
        return isinstance(other, Pixels) and self.as_plain() == other.as_plain()

    def from_bytes(self, content, out=None):
        """Numbers, floatX of the shape of ``content``, which is uint8 of shape (n, n_pixels).

        Raises
        ------
        DataError
            Nobody knows how.
        """
        self.check_known()
        if out is None:
            out = numpy.empty(content.shape, theano.config.floatX)
        mean, deviation = (spread(value, content.shape[1]).astype(out.dtype)
                           for value in (self.mean, self.deviation))
        for start in range(0, len(content), PART):
            part = out[start:start + PART]
            part[...] = content[start:start + PART]
            part /= 256  # exact, since 256 is a power of two
            if mean.any():
                part -= mean
            if (deviation != 1).any():
                part /= deviation
        return out

    def from_numbers(self, numbers, pixels):
        """Numbers that other Pixels made as those that these make, of the same shape and dtype;
        bytes, which each makes numbers of its own of, as they are.

        Raises
        ------
        DataError
            Nobody knows how.
        """
        if self == pixels or numbers.dtype == numpy.uint8:
            return numbers
        self.check_known()
        pixels.check_known()
        n_pixels = numbers.shape[1]
        mean, deviation, own_mean, own_deviation = (
            spread(value, n_pixels).astype(numbers.dtype) for value in
            (pixels.mean, pixels.deviation, self.mean, self.deviation))
        if pixels != BYTES:
            numbers = numbers * deviation + mean
        return (numbers - own_mean) / own_deviation

    def to_fractions(self, numbers):
        """The nearest bytes, / 256, as pictures are drawn; the tutorial's numbers as they are."""
        return numbers if self == BYTES else self.to_bytes(numbers) / 256

    def to_bytes(self, numbers):
        """The nearest bytes, uint8, of numbers of shape (n, n_pixels); of numbers whose origin
        nobody knows, from the least to the greatest of them."""
        numbers = numpy.asarray(numbers, "float64")
        mean, deviation = (spread(value, numbers.shape[1]) for value in
                           (self.mean, self.deviation))
        if self.range is not None:
            low, high = self.range
            deviation = 255 / 256 / ((high - low) or 1)
            mean = -low * deviation
        content = 256 * (numbers * deviation + mean)
        return numpy.rint(content).clip(0, 255).astype("uint8")

    def white(self):
        """The number of a white pixel, or one for each channel or pixel."""
        if self.range is not None:
            return self.range[1]
        return (255 / 256 - numpy.asarray(self.mean)) / self.deviation

    def check_known(self):
        """Raise a DataError if nobody knows how bytes become numbers."""
        if self.range is not None:
            raise DataError(
                "the network was trained on pixels from {:.4g} to {:.4g}, and how those of a "
                "picture become such numbers is not known; train on bytes, or on bytes / 256 or / "
                "255, with --standardize for a mean of 0".format(*self.range))

    def standardize(self, mean, deviation):
        """The Pixels of numbers from which a mean is subtracted, and which are then divided by a
        deviation; both one number, or an array for the channels."""
        if self.range is not None:
            low, high = self.range
            return Pixels(range=(float(numpy.min((low - mean) / deviation)),
                                 float(numpy.max((high - mean) / deviation))))
        scale = numpy.asarray(self.deviation, "float64")
        return Pixels((self.mean + scale * mean).tolist(), (scale * deviation).tolist())

    def as_plain(self):
        """A dict for a file."""
        if self.range is not None:
            return {"range": [float(end) for end in self.range]}
        return {"mean": self.mean, "deviation": self.deviation}


BYTES = Pixels()  # the tutorial's: byte / 256


def read_pixels(plain, n_pixels):
    """The Pixels that ``as_plain`` described; None stands for BYTES.

    Raises
    ------
    ValueError
        It is no such description of images of ``n_pixels``.
    """
    if plain is None:
        return BYTES
    try:
        if set(plain) == {"range"}:
            low, high = map(float, plain["range"])
            if not numpy.isfinite([low, high]).all():
                raise ValueError("not finite")
            return Pixels(range=(low, high))
        values = [numpy.asarray(plain[name], "float64") for name in ("mean", "deviation")]
        if (any(value.ndim > 1 or n_pixels % (value.size or n_pixels + 1) for value in values)
                or not numpy.isfinite(values[0]).all()
                or not (values[1] > 0).all() or not numpy.isfinite(values[1]).all()):
            raise ValueError(f"expected a mean and a deviation of all, of the channels or of the "
                             f"{n_pixels} pixels, the deviation positive")
        return Pixels(*(value.tolist() for value in values))
    except (TypeError, KeyError) as error:
        raise ValueError(f"expected a mean and a deviation ({error!r})") from None


def spread(value, n_pixels):
    """A number for all pixels as it is, one for each channel repeated for the pixels of each."""
    value = numpy.asarray(value, "float64")
    return numpy.repeat(value, n_pixels // value.size) if value.ndim else value


def as_floats(x, pixels=BYTES):
    """Images as floatX, in memory: the numbers of bytes, which may lie on the disk."""
    return pixels.from_bytes(x) if x.dtype == numpy.uint8 else x


def as_bytes(x, pixels=BYTES):
    """Images as bytes, uint8 of shape (n, n_pixels)."""
    return numpy.asarray(x) if x.dtype == numpy.uint8 else pixels.to_bytes(x)


def guess_pixels(x):
    """The Pixels of images of numbers, from the numbers themselves.

    Bytes leave a trace: their images have at most 256 different numbers, at equal distances.

    Parameters
    ----------
    x : array of shape (n, n_pixels)
        Floats.
    """
    some = x[::-(-len(x) // 1000)].astype("float64")
    low, high = float(x.min()), float(x.max())
    if low >= 0 and high < 1 and lie_on_grid(some, 0, 1 / 256):
        return BYTES
    for mean, deviation, least, most in (
            (0.0, 255 / 256, 0, 1),  # byte / 255
            (0.0, 1 / 256, 0, 255),  # byte
            (127.5 / 256, 127.5 / 256, -1, 1)):  # byte / 127.5 - 1
        step = 1 / 256 / deviation
        if low >= least and high <= most and lie_on_grid(some, -mean / deviation, step):
            return Pixels(mean, deviation)
    if low >= 0 and high <= 1:  # no bytes any more, but from none to full
        return BYTES
    step = (high - low) / 255  # a mean and a deviation of all, if there are black and white
    if step > 0 and len(numpy.unique(some)) > 2 and lie_on_grid(some, low, step):
        deviation = 1 / 256 / step
        return Pixels(-low * deviation, deviation)
    return Pixels(range=(low, high))


def lie_on_grid(numbers, first, step):
    """Whether numbers are first, first + step, first + 2 step, ..., but for rounding to float32."""
    steps = (numbers - first) / step
    return bool((abs(steps - numpy.rint(steps)) < 0.01).all())
