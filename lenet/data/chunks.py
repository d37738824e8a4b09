"""Train on sets that are larger than memory: one chunk of minibatches after another.

The compiled functions see one chunk, which a pair of shared variables holds. While they use it, a
thread reads the next chunk into a second buffer; then the two are swapped. On the CPU that
costs nothing, since a shared variable takes a buffer as its value without copying it; on a GPU it
copies the chunk there. (The tutorial: "You can however store a sufficiently small chunk of your
data (several minibatches) in a shared variable and use that during training. Once you got through
the chunk, update the values it stores.")
"""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy
import theano
import theano.tensor as T

from lenet.data.files import make_read_error
from lenet.data.lazy import LazyImages
from lenet.data.pixels import BYTES, as_floats
from lenet.data.sets import SharedSet
from lenet.errors import DataError, UsageError

MEGABYTE = 2 ** 20


class Window:
    """The chunk that the compiled functions see, and the next one, which is being read.

    Sets share a window: then all of them together take no more memory than its two chunks.

    Parameters
    ----------
    megabytes : float
        What the two chunks take together at most, in units of 2 ** 20 bytes.

    Attributes
    ----------
    variables : (shared variable, expression)
        The images, floatX of shape (n, n_pixels), and the labels, int32 of shape (n,), of the
        chunk that was shown last.

    Raises
    ------
    UsageError
        The number of megabytes is not positive.
    """

    def __init__(self, megabytes):
        check_megabytes(megabytes)
        self.megabytes = megabytes
        dtype = numpy.dtype(theano.config.floatX)
        self.numbers_per_chunk = int(megabytes * MEGABYTE / 2) // dtype.itemsize
        self.shared_x = theano.shared(numpy.zeros((1, 1), dtype))
        self.shared_y = theano.shared(numpy.zeros(1, dtype))
        self.variables = self.shared_x, T.cast(self.shared_y, "int32")
        self.buffers = None  # the one in use, and the free one
        self.shown_chunk = None
        self.awaited_chunk, self.awaited_result = None, None
        self.reader = ThreadPoolExecutor(1, "chunks")

    def batches_per_chunk(self, n_pixels, batch_size):
        """Number of minibatches in a chunk; a pixel and a label take a floatX each."""
        n_batches = self.numbers_per_chunk // ((n_pixels + 1) * batch_size)
        if n_batches < 1:
            itemsize = self.shared_x.get_value(borrow=True).itemsize
            least = 2 * (n_pixels + 1) * batch_size * itemsize / MEGABYTE
            raise UsageError(
                f"chunks of {self.megabytes:g} MB; expected at least "
                f"{math.ceil(least * 100) / 100:g} MB, room for two minibatches of {batch_size} "
                f"images of {n_pixels} pixels")
        return n_batches

    def show(self, a_set, index, batch_size):
        """Let the variables hold the chunk with minibatch ``index`` of a set."""
        n_batches = self.batches_per_chunk(a_set.n_pixels, batch_size)
        size = n_batches * batch_size
        number = index // n_batches
        wanted = a_set, number * size, size
        if wanted != self.shown_chunk:
            if wanted != self.awaited_chunk:
                self.read(wanted)
            self.awaited_chunk = None
            x, y = self.awaited_result.result()
            self.shared_x.set_value(x, borrow=True)
            self.shared_y.set_value(y, borrow=True)
            self.buffers.reverse()
            self.shown_chunk = wanted
            # What follows in this set; after the last chunk, the next epoch begins.
            following = (number + 1) * size
            self.read((a_set, following if following < a_set.n_examples else 0, size))

    def forget(self):
        """Have the chunks read anew: a set has other examples in them now."""
        self.shown_chunk = self.awaited_chunk = None

    def read(self, chunk):
        """Let the thread read a chunk (set, start, size) into the free buffer."""
        if self.buffers is None:
            self.buffers = [numpy.empty(self.numbers_per_chunk, theano.config.floatX)
                            for _ in range(2)]
        if chunk != self.shown_chunk:
            a_set, start, size = chunk
            # There is one thread: when it comes to this it has finished with the buffer.
            self.awaited_chunk = chunk
            self.awaited_result = self.reader.submit(a_set.read, start, size, self.buffers[1])


def check_megabytes(megabytes):
    """Raise a UsageError unless chunks may have this size."""
    if not 0 < megabytes < math.inf:
        raise UsageError(f"chunks of {megabytes} MB; expected a positive number, such as 256")


class ChunkedSet(SharedSet):
    """One set that is seen through a window.

    Parameters
    ----------
    images : array of shape (n, n_pixels)
        floatX, or bytes, which may be memory-mapped, or LazyImages.
    labels : array of shape (n,)
    window : Window
    selection : lenet.parallel.shards.Shards, optional
        Show these examples only, as if there were no others.
    pixels : lenet.data.pixels.Pixels
        How bytes become numbers.
    """

    n_examples = n_pixels = None

    def __new__(cls, images, labels, window, selection=None, pixels=BYTES):
        return super().__new__(cls, *window.variables)

    def __init__(self, images, labels, window, selection=None, pixels=BYTES):
        self.images, self.all_labels, self.window = images, labels, window
        self.selection, self.pixels = selection, pixels
        if selection is not None:
            self.all_labels = selection.select_rows(labels)
            if not self.on_disk(images):
                self.images = selection.select_rows(images)
        self.n_examples, self.n_pixels = len(self.all_labels), images.shape[1]
        # Reading instead of mapping: a mapped page past the end of a truncated file kills the
        # process, and mapped pages fill the memory.
        self.file = (open(images.filename, "rb", 0) if isinstance(images, numpy.memmap)
                     else None)

    @staticmethod
    def on_disk(images):
        return isinstance(images, (numpy.memmap, LazyImages))

    # Sets of one window have the same variables and are different sets.
    __eq__, __ne__, __hash__ = object.__eq__, object.__ne__, object.__hash__

    def labels(self):
        """The labels: an array of integers of shape (n_examples,)."""
        return self.all_labels

    def minibatch(self, index, batch_size):
        """The images and labels of minibatch number ``index``, as expressions.

        They hold after ``show`` was called with the same number.
        """
        n_batches = self.window.batches_per_chunk(self.n_pixels, batch_size)
        return super().minibatch(index % n_batches, batch_size)

    def compile(self, inputs, output, batch_size, updates=None):
        """As in SharedSet; the function brings the minibatch into the window first."""
        function = super().compile(inputs, output, batch_size, updates)

        def show_and_compute(index):
            self.show(index, batch_size)
            return function(index)

        return show_and_compute

    def show(self, index, batch_size):
        """Bring the chunk of minibatch ``index`` into the window."""
        self.window.show(self, index, batch_size)

    def read(self, start, size, buffer):
        """Images and labels from number ``start`` on, ``size`` of them or as many as there are.

        Returns
        -------
        (array, array)
            floatX of shape (n, n_pixels) and (n,), in the memory of ``buffer``.
        """
        n = min(size, self.n_examples - start)
        x, y = self.split_buffer(buffer, n)
        y[...] = self.all_labels[start:start + n]
        if not self.on_disk(self.images):
            x[...] = as_floats(self.images[start:start + n], self.pixels)
        else:
            done = 0
            pieces = ([(start, n)] if self.selection is None
                      else self.selection.find_pieces(start, n))
            for first, count in pieces:
                self.read_bytes(range(first, first + count), x[done:done + count])
                done += count
        return x, y

    def split_buffer(self, buffer, n):
        """Room for ``n`` images and their labels: parts of the buffer."""
        end = n * self.n_pixels
        return buffer[:end].reshape(n, self.n_pixels), buffer[end:end + n]

    def read_bytes(self, rows, x):
        """Fill ``x`` with these images on the disk, a range or an array of their numbers, about a
        megabyte at a time."""
        n_rows = max(1, MEGABYTE // self.n_pixels)
        content = numpy.empty((min(n_rows, len(x)), self.n_pixels), "uint8")
        for first in range(0, len(x), n_rows):
            part = x[first:first + n_rows]
            self.read_content(rows[first:first + n_rows], content[:len(part)])
            self.pixels.from_bytes(content[:len(part)], part)

    def read_content(self, rows, content):
        """Fill ``content``, uint8 of shape (n, n_pixels), with neighbouring images."""
        if self.file is None:
            content[...] = self.images[rows]
            return
        path, offset = self.images.filename, self.images.offset
        try:
            self.file.seek(offset + int(rows[0]) * self.n_pixels)
            if self.file.readinto(content) < content.size:
                raise DataError(f"{path}: truncated while it was used; make the dataset again")
        except OSError as error:
            raise make_read_error(path, error) from None
