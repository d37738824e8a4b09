"""From a dataset to images: a folder for each set, and in it one for each class."""

import os
import sys

import numpy
from PIL import Image
from tqdm import tqdm

from lenet.data import SET_NAMES, array_folder, find_dataset, open_arrays
from lenet.data.files import write_folder_beside
from lenet.data.pictures import check_channels
from lenet.errors import DataError

FORMATS = ("png", "bmp")


def export(dataset, output, format="png"):
    """Write every image of a dataset to a separate file.

    Parameters
    ----------
    dataset : str
        See ``lenet.data.load_data``.
    output : str
        The folder to make; ``train/5/00000.png`` is image 0 of the training set, of class "5".
    format : str
        "png" or "bmp"; both keep every pixel.

    Returns
    -------
    list of three int
        How many images of each set were written.

    Raises
    ------
    DataError
        The dataset cannot be read, its pixels are not those of images of 8 bits, its classes
        cannot be names of folders, or the images cannot be written.
    """
    path = find_dataset(dataset)
    datasets = open_arrays(path)
    check_channels(datasets.image_shape[0])
    for name in datasets.class_names:
        if "/" in name or "\\" in name or name.startswith("."):
            raise DataError(f"{path}: class {name!r} cannot be the name of a folder")
    with write_folder_beside(output) as folder, tqdm(
        total=sum(len(y) for _, y in datasets), unit="image", file=sys.stderr,
        disable=not sys.stderr.isatty(), dynamic_ncols=True, leave=False,
    ) as bar:
        for part, set_name, (x, y) in zip(array_folder.PARTS, SET_NAMES, datasets):
            folders = [os.path.join(folder, part, name) for name in datasets.class_names]
            for class_folder in folders:
                os.makedirs(class_folder)
            n_digits = max(5, len(str(len(x) - 1)))  # so that the names sort as the numbers do
            for index, (row, label) in enumerate(zip(x, y)):
                pixels = restore_bytes(row, f"{path}: {set_name}: image {index}")
                name = f"{index:0{n_digits}d}.{format}"
                make_image(pixels.reshape(datasets.image_shape)).save(
                    os.path.join(folders[label], name))
                bar.update()
    return [len(y) for _, y in datasets]


def restore_bytes(row, where):
    """The pixels of an image, uint8, from bytes or from byte / 256 in floats."""
    if row.dtype == numpy.uint8:
        return row
    pixels = row * 256
    whole = pixels.astype("uint8")
    if (whole != pixels).any():
        raise DataError(f"{where}: pixel {row[whole != pixels][0]}; expected byte / 256, as in "
                        "mnist.pkl.gz")
    return whole


def make_image(pixels):
    """A Pillow image of an array of shape (channels, height, width)."""
    return Image.fromarray(pixels[0] if len(pixels) == 1
                           else numpy.ascontiguousarray(pixels.transpose(1, 2, 0)))
