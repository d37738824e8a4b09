"""Classify new images with a saved network.

    predictor = Predictor("RUN")
    predictor.probabilities(images)          # of arrays in the format of the training
    predictor.classify(["photograph.jpg"])   # of image files
    predictor.features("layer2")(images)     # the outputs of a layer

Other processes read the files while this one computes.
"""

import functools
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections import deque, namedtuple
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy
import theano
from PIL import Image

from lenet import networks
from lenet.data import as_floats
from lenet.errors import DataError, UsageError
from lenet.images import digit
from lenet.images.reading import GREY, read_picture, refusal, upright
from lenet.processors import usable_processors

BATCH = 128  # images that are read, and classified, at once

Prediction = namedtuple("Prediction", "path probabilities error")


class Predictor:
    """A saved network that classifies images.

    Parameters
    ----------
    path : str
        A model file, or the folder of a run.

    Attributes
    ----------
    class_names : list of str
    image_shape : tuple of 3 ints
        (channels, height, width) of an image.
    preparation : "digit" or "resize"
        How a new picture becomes such an image: found, scaled and centered as in MNIST, or only
        resized.

    Raises
    ------
    DataError
        The file cannot be read, or does not hold a network.
    """

    def __init__(self, path):
        self.model, self.class_names, self.image_shape, self.preparation = networks.load_model(path)
        self.function = theano.function([self.model.input], self.model.p_y_given_x)

    def probabilities(self, images):
        """The probability of each class for images in the format of the training.

        Parameters
        ----------
        images : array of shape (n, ...)
            One image a row, rasterized or as (channels, height, width) or (height, width): uint8,
            or numbers as in the dataset, a byte / 256.

        Returns
        -------
        array of shape (n, number of classes)
            floatX; each row adds up to 1.

        Raises
        ------
        UsageError
            The images are of another size.
        """
        return self.evaluate(self.function, images)

    def features(self, layer):
        """A function of images that returns the outputs of a layer.

        Parameters
        ----------
        layer : str
            Its name: any layer's but the last.

        Returns
        -------
        function
            From images, as for ``probabilities``, to an array of shape (n, number of units) or
            (n, number of maps, rows, columns), floatX.

        Raises
        ------
        UsageError
            There is no such layer.
        """
        outputs = dict(networks.feature_maps(self.model))
        if layer not in outputs:
            raise UsageError(f"layer {layer}; expected one of {', '.join(outputs) or 'none'}")
        return functools.partial(self.evaluate,
                                 theano.function([self.model.input], outputs[layer]))

    def evaluate(self, function, images):
        """The values of a compiled function for images, as for ``probabilities``, in batches."""
        images = numpy.asarray(images)
        n_pixels = int(numpy.prod(self.image_shape))
        if images.ndim < 2 or int(numpy.prod(images.shape[1:])) != n_pixels:
            raise UsageError(f"images of shape {images.shape}; expected (number of images, "
                             f"{n_pixels}), or each of {self.image_shape}")
        parts = []
        for start in range(0, max(1, len(images)), BATCH):  # no images: an array of no rows
            part = as_floats(images[start:start + BATCH].reshape(-1, n_pixels))
            parts.append(function(part.astype(theano.config.floatX, copy=False)))
        return numpy.concatenate(parts)

    def classify(self, paths, center=True, n_processes=None):
        """Classify image files of any size and kind.

        Parameters
        ----------
        paths : iterable of str
            Read as needed; may be endless.
        center : bool
            Whether to find the digit in a picture and to center it, where the network was trained
            on such digits; if not, pictures must already be of the size of ``image_shape``.
        n_processes : int, optional
            Processes that read; by default one per processor, none for a few images.

        Yields
        ------
        Prediction
            In the order of the paths: ``path``, ``probabilities`` of shape (number of classes,),
            and ``error``, None. For a file that cannot be used the probabilities are None and the
            error is a DataError; the others are classified all the same.
        """
        for result in self.of_files(self.probabilities, paths, center, n_processes):
            yield Prediction(*result)

    def of_files(self, function, paths, center=True, n_processes=None):
        """What a function of images gives for each image file: as ``classify``, but triples of a
        path, the function's value for the image or None, and the error or None.

        ``function`` takes images as ``probabilities`` does and returns a value for each.
        """
        reader = Reader(self.image_shape, self.preparation, center)
        for batch, (images, errors) in reader.read_ahead(paths, n_processes):
            values = iter(function(images) if len(images) else ())
            for path, error in zip(batch, errors):
                yield path, None if error else next(values), error


class Reader:
    """Reads image files into the format of the training; the arguments are those of ``Predictor``
    and of its ``classify``."""

    def __init__(self, image_shape, preparation, center=True):
        self.image_shape = tuple(image_shape)
        self.of_digits = preparation == "digit" and image_shape == (GREY, digit.SIZE, digit.SIZE)
        self.center = center

    def read(self, path):
        """Read one image: uint8 of shape ``image_shape``.

        Raises
        ------
        DataError
            The file cannot be read, there is no digit, or the size is wrong and must be right.
        """
        try:
            if not self.of_digits:
                return read_picture(path, self.image_shape)
            with Image.open(path) as image:
                if self.center:
                    image.draft("L", (digit.LARGEST, digit.LARGEST))  # decodes a JPEG to about that
                    return digit.to_mnist(numpy.asarray(upright(image, GREY)))[None]
                pixels = numpy.asarray(upright(image, GREY))[None]
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        except IsADirectoryError:
            raise DataError(f"{path}: a folder without images; expected files such as digit.png"
                            ) from None
        except Exception as error:  # Pillow raises many kinds for a damaged file
            raise refusal(path, error) from None
        if pixels.shape != self.image_shape:
            (_, height, width), (_, *expected) = pixels.shape, self.image_shape
            raise DataError(f"{path}: an image of {height} x {width} pixels; expected "
                            "{} x {}, or without --no-center any size".format(*expected))
        return pixels

    def read_all(self, paths):
        """Read images: a pair of those that could be read, uint8 of shape (number of images,) +
        ``image_shape``, and a list with None or a DataError for each path."""
        images, errors = [], []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about details of formats
            for path in paths:
                try:
                    images.append(self.read(path))
                    errors.append(None)
                except DataError as error:
                    errors.append(error)
        return numpy.array(images, dtype="uint8").reshape((-1,) + self.image_shape), errors

    def read_ahead(self, paths, n_processes=None):
        """Read images in batches, the next ones while one is being used.

        One batch per process is read ahead, so memory does not grow with the number of images.
        The parameters are those of ``Predictor.classify``.

        Yields
        ------
        (list of paths, (images, errors))
            In order, and as ``read_all`` returns them.

        Raises
        ------
        DataError
            A process that reads has ended, for lack of memory, say.
        """
        paths = iter(paths)
        batches = iter(lambda: list(itertools.islice(paths, BATCH)), [])
        first = list(itertools.islice(batches, 2))
        if n_processes is None:
            n_processes = usable_processors() if len(first) == 2 else 0
        batches = itertools.chain(first, batches)
        if not n_processes or "fork" not in multiprocessing.get_all_start_methods():
            for batch in batches:
                yield batch, self.read_all(batch)
            return
        context = multiprocessing.get_context("fork")
        stop = context.RawValue("b", False)
        pending = deque()
        with ProcessPoolExecutor(n_processes, context, begin_worker, (stop,)) as pool:
            submitted = ((batch, pool.submit(read_in_worker, self, batch)) for batch in batches)
            try:
                pending.extend(itertools.islice(submitted, n_processes))
                while pending:
                    pending.extend(itertools.islice(submitted, 1))
                    batch, future = pending[0]
                    yield batch, future.result()
                    pending.popleft()
            except BrokenProcessPool:
                raise DataError(f"a process that read the images {pending[0][0][0]} to "
                                f"{pending[-1][0][-1]} has ended; are they too large for the "
                                "memory?") from None
            finally:
                stop.value = True


stopped = None  # in a worker: its ``value`` tells that the images are no longer wanted


def begin_worker(stop):
    """Set up a reading process: it ignores Ctrl-C, and ends with its parent."""
    global stopped
    stopped = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)


def read_in_worker(reader, paths):
    """Read a batch, or only its beginning if it is no longer wanted."""
    return reader.read_all(itertools.takewhile(lambda path: not stopped.value, paths))


def find_images(names):
    """The paths of images that a command line names.

    Parameters
    ----------
    names : iterable of str
        Files, whatever they hold; folders, searched with their subfolders for files whose names
        end like an image's, in alphabetical order; "-" for a list on standard input, one name per
        line.

    Yields
    ------
    str
        For a folder without images, or one that cannot be read, its own name.
    """
    for name in names:
        if name == "-":
            if sys.stdin is None:
                raise UsageError("- is for a list on standard input, which is closed")
            yield from find_images(line.rstrip("\r\n") for line in sys.stdin if line.strip())
        elif os.path.isdir(name):
            yield from images_in(name)
        else:
            yield name


def images_in(folder):
    """The paths of the images in a folder and its subfolders."""
    endings = tuple(Image.registered_extensions())
    found = False
    unreadable = []
    for inside, folders, files in os.walk(folder, onerror=unreadable.append):
        folders.sort()
        for file in sorted(files):
            if file.lower().endswith(endings) and not file.startswith("."):
                found = True
                yield os.path.join(inside, file)
    if unreadable:
        yield from (error.filename for error in unreadable)
    elif not found:
        yield folder
