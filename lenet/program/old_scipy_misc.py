"""The pictures of ``scipy.misc``, which SciPy 1.2 dropped, by Pillow."""

import numpy
from PIL import Image, ImageFilter

FILTERS = dict(nearest=Image.NEAREST, lanczos=Image.LANCZOS, bilinear=Image.BILINEAR,
               bicubic=Image.BICUBIC, cubic=Image.BICUBIC)


def bytescale(data, cmin=None, cmax=None, high=255, low=0):
    """An array as bytes: from the least of its values, as ``low``, to the greatest, as ``high``.

    Bytes stay as they are.
    """
    data = numpy.asarray(data)
    if data.dtype == numpy.uint8:
        return data
    cmin = data.min() if cmin is None else cmin
    cmax = data.max() if cmax is None else cmax
    scale = (high - low) / (float(cmax - cmin) or 1.0)
    return ((data - cmin) * scale + low).clip(low, high).round().astype("uint8")


def toimage(arr, high=255, low=0, cmin=None, cmax=None, pal=None, mode=None, channel_axis=None):
    """A matrix, or three of four of them along one axis, as Pillow's picture, scaled to bytes.

    With the mode "F" or "I", values are kept.
    """
    arr = numpy.asarray(arr)
    if mode in ("F", "I"):
        return Image.fromarray(arr.astype("float32" if mode == "F" else "int32"))
    if arr.ndim == 3:
        if channel_axis is None:
            channel_axis = [size in (3, 4) for size in arr.shape].index(True) \
                if 3 not in arr.shape else arr.shape.index(3)
        arr = numpy.moveaxis(arr, channel_axis, 2)
    image = Image.fromarray(numpy.ascontiguousarray(bytescale(arr, cmin, cmax, high, low)))
    if pal is not None:
        image.putpalette(numpy.asarray(pal, "uint8").tobytes())
    return image.convert(mode) if mode not in (None, image.mode) else image


def fromimage(im, flatten=False, mode=None):
    """Pillow's picture as an array; with ``flatten``, grey in float32."""
    if mode is None and im.mode == "P":
        mode = "RGBA" if "transparency" in im.info else "RGB"
    if mode not in (None, im.mode):
        im = im.convert(mode)
    if flatten:
        im = im.convert("F")
    elif im.mode == "1":
        im = im.convert("L")
    return numpy.array(im)


def imread(name, flatten=False, mode=None):
    """A picture's file as an array."""
    with Image.open(name) as image:
        return fromimage(image, flatten, mode)


def imsave(name, arr, format=None):
    """Write an array, scaled to bytes, as a picture's file."""
    toimage(arr, channel_axis=2).save(name, format)


def imshow(arr):
    """Show an array as a picture."""
    toimage(arr).show()


def imresize(arr, size, interp="bilinear", mode=None):
    """An array, scaled to bytes, as a picture of another size: a percentage, a fraction, or rows
    and columns."""
    image = toimage(arr, mode=mode)
    if isinstance(size, (int, numpy.integer)):
        size = size / 100
    if isinstance(size, (float, numpy.floating)):
        columns, rows = (int(side * size) for side in image.size)
    else:
        rows, columns = size[:2]
    return fromimage(image.resize((int(columns), int(rows)), FILTERS[interp]))


def imrotate(arr, angle, interp="bilinear"):
    """An array, scaled to bytes, as a picture turned counter-clockwise by degrees."""
    return fromimage(toimage(arr).rotate(angle, FILTERS[interp]))


def imfilter(arr, ftype):
    """An array, scaled to bytes, after a filter of Pillow's: "blur", "edge_enhance", ..."""
    return fromimage(toimage(arr).filter(getattr(ImageFilter, ftype.upper())))
