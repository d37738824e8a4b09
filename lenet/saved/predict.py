"""Classify new images with a saved network.

    predictor = Predictor("RUN")
    predictor.probabilities(images)          # of arrays in the format of the training
    predictor.classify(["photograph.jpg"])   # of image files

The files are read by processes of their own, while this one computes.
"""

import itertools
import multiprocessing
import os
import signal
import sys
import warnings
from collections import namedtuple

import numpy
import theano
from PIL import Image

from lenet.errors import DataError, UsageError
from lenet.pictures import digit
from lenet.pictures.reading import GREY, open_image, read_picture, refusal, upright
from lenet.saved import networks
from lenet.theano_start.threads import usable_processors

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
        How a new picture becomes such an image: as MNIST's makers did, or by its size and its
        colours only.

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
            One image a row, rasterized or as (channels, height, width) or (height, width): bytes
            of type uint8, or numbers as in the dataset, which are a byte / 256.

        Returns
        -------
        array of shape (n, number of classes)
            floatX; each row adds up to 1.

        Raises
        ------
        UsageError
            The images are of another size.
        """
        images = numpy.asarray(images)
        n_pixels = int(numpy.prod(self.image_shape))
        if images.ndim < 2 or int(numpy.prod(images.shape[1:])) != n_pixels:
            raise UsageError("images of shape %s; expected (number of images, %d), or each of %s"
                             % (images.shape, n_pixels, self.image_shape))
        parts = [numpy.empty((0, len(self.class_names)), dtype=theano.config.floatX)]
        for start in range(0, len(images), BATCH):
            part = images[start:start + BATCH].reshape(-1, n_pixels)
            scale = 256 if part.dtype == numpy.uint8 else 1
            parts.append(self.function((part / scale).astype(theano.config.floatX)))
        return numpy.concatenate(parts)

    def classify(self, paths, center=True, n_processes=None):
        """Classify image files of any size and kind, of which one after the other is read.

        Parameters
        ----------
        paths : iterable of str
        center : bool
            Whether to find the digit in a picture and to center it, where the network was trained
            on such digits; if not, pictures have to be of the size of ``image_shape``.
        n_processes : int, optional
            Processes that read; one for each processor unless given, none for a few images.

        Yields
        ------
        Prediction
            In the order of the paths: ``path``, ``probabilities`` of shape (number of classes,),
            and ``error``, None. Of a file that cannot be used the probabilities are None and the
            error is a DataError; the others are classified all the same.
        """
        reader = Reader(self.image_shape, self.preparation, center)
        for batch, (images, errors) in reader.read_ahead(paths, n_processes):
            rows = iter(self.probabilities(images))
            for path, error in zip(batch, errors):
                yield Prediction(path, None if error else next(rows), error)


class Reader:
    """Reads image files into the format of the training.

    Parameters
    ----------
    image_shape, preparation
        As of ``Predictor``.
    center : bool
        As for ``Predictor.classify``.
    """

    def __init__(self, image_shape, preparation, center=True):
        self.image_shape = tuple(image_shape)
        self.of_digits = preparation == "digit" and image_shape == (GREY, digit.SIZE, digit.SIZE)
        self.center = center

    def read(self, path):
        """Read one image.

        Returns
        -------
        array of shape image_shape
            uint8.

        Raises
        ------
        DataError
            The file cannot be read, there is no digit, or the size is wrong and has to be right.
        """
        try:
            if not self.of_digits:
                return read_picture(path, self.image_shape)
            with open_image(path) as image:
                if self.center:
                    image.draft("L", (digit.LARGEST, digit.LARGEST))  # decodes a JPEG to about that
                    return digit.to_mnist(numpy.asarray(upright(image, GREY)))[None]
                pixels = numpy.asarray(upright(image, GREY))[None]
        except DataError as error:
            raise DataError("%s: %s" % (path, error)) from None
        except IsADirectoryError:
            raise DataError("%s: a folder without images; expected files such as digit.png" % path
                            ) from None
        except Exception as error:  # Pillow says in many ways that a file is damaged
            raise refusal(path, error) from None
        if pixels.shape != self.image_shape:
            raise DataError("%s: an image of %d x %d pixels; expected %d x %d, or without "
                            "--no-center any size" % ((path,) + pixels.shape[1:]
                                                      + self.image_shape[1:]))
        return pixels

    def read_all(self, paths):
        """Read images.

        Returns
        -------
        images : array of shape (number of images that could be read,) + image_shape
            uint8.
        errors : list
            For each path None or the DataError.
        """
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
        """Read images in batches, the next ones already while one is looked at.

        Each process gets every n-th batch, and the next only when its last was taken: the memory
        that this takes does not grow with the number of images.

        Parameters
        ----------
        paths : iterable of str
        n_processes : int, optional
            See ``Predictor.classify``.

        Yields
        ------
        (list of paths, (images, errors))
            As ``read_all`` returns them, in order.

        Raises
        ------
        DataError
            A process that reads has ended, for want of memory, say.
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
        workers = []
        try:
            for batch in itertools.islice(batches, n_processes):
                workers.append(Worker(self, [worker.connection for worker in workers]))
                workers[-1].begin(batch)
            for worker in itertools.cycle(workers):
                if worker.batch is None:
                    return
                result = worker.batch, worker.result()
                worker.begin(next(batches, None))
                yield result
        finally:
            for worker in workers:
                worker.end()


class Worker:
    """A process that reads batches of images, one at a time."""

    def __init__(self, reader, others):
        context = multiprocessing.get_context("fork")
        self.connection, end = context.Pipe()
        self.process = context.Process(
            target=serve, args=(reader, end, others + [self.connection]), daemon=True)
        self.process.start()
        end.close()

    def begin(self, batch):
        """Let it read a batch, if there is one."""
        self.batch = batch
        if batch is not None:
            self.connection.send(batch)

    def result(self):
        """Wait for what it has read."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            raise DataError("a process that read the images %s to %s has ended; are they too large "
                            "for the memory?" % (self.batch[0], self.batch[-1])) from None

    def end(self):
        self.connection.close()
        self.process.terminate()
        self.process.join()


def serve(reader, connection, others):
    """What a worker does: read batches until nobody asks for more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in others:
        other.close()  # so that each end is closed when the process that asks is gone
    try:
        while True:
            connection.send(reader.read_all(connection.recv()))
    except (EOFError, OSError):
        pass


def find_images(names):
    """The paths of images that a command line names.

    Parameters
    ----------
    names : iterable of str
        Files, whatever they hold; folders, of which all files are taken that end like an image,
        those in folders inside, too, in alphabetical order; "-" for a list on standard input,
        a name a line.

    Yields
    ------
    str
        A folder without images, or one that cannot be read, is named itself.
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
    """The paths of the images in a folder and the folders inside."""
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
