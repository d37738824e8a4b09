"""Read image files into the format of the training, on several processes.

    reader = Reader((1, 28, 28), "digit")
    reader.read("photograph.jpg")     # one image
    reader.read_ahead(paths)          # batches, in other processes, while this one computes
"""

import itertools
import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy
from PIL import Image

from lenet.data.pictures import GREY, read_picture, refusal, turn_upright
from lenet.errors import DataError
from lenet.images import digit
from lenet.processors import usable_processors
from lenet.theano_start.threads import make_thread_safe

BATCH = 128  # images that are read, and classified, at once


class Reader:
    """Reads image files into the format of the training; the arguments are those of ``Predictor``
    and of its ``classify``."""

    def __init__(self, image_shape, preparation, center=True):
        self.image_shape = tuple(image_shape)
        self.of_digits = preparation == "digit" and self.image_shape == (GREY, digit.SIZE,
                                                                         digit.SIZE)
        self.center = center

    def read(self, path):
        """Read one image, of a path or a binary file: uint8 of shape ``image_shape``.

        Raises
        ------
        DataError
            The file cannot be read, there is no digit, or the size is wrong and must be right.
        """
        name = path if isinstance(path, (str, os.PathLike)) else getattr(path, "name", "the image")
        try:
            if not self.of_digits:
                return read_picture(path, self.image_shape)
            if self.center:
                return digit.read_digit(path)
            with Image.open(path) as image:
                pixels = numpy.asarray(turn_upright(image, GREY))[None]
        except DataError as error:
            raise DataError(f"{name}: {error}") from None
        except IsADirectoryError:
            raise DataError(f"{name}: a folder without images; expected files such as digit.png"
                            ) from None
        except Exception as error:  # Pillow raises many kinds for a damaged file
            raise refusal(name, error) from None
        if pixels.shape != self.image_shape:
            (_, height, width), (_, *expected) = pixels.shape, self.image_shape
            raise DataError(f"{name}: an image of {height} x {width} pixels; expected "
                            "{} x {}, or without --no-center any size".format(*expected))
        return pixels

    @make_thread_safe  # since warnings are off for the whole process meanwhile
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
