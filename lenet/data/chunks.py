"""Train on sets that are larger than memory: a chunk of minibatches after the other.

The compiled functions see one chunk, which a pair of shared variables holds. While they use it, a
thread reads the chunk that follows into a buffer of its own; then the two change places. On the
CPU that costs nothing, since a shared variable takes a buffer as its value without copying it; on
a GPU it copies the chunk there. (The tutorial: "You can however store a sufficiently small chunk
of your data (several minibatches) in a shared variable and use that during training. Once you got
through the chunk, update the values it stores.")
"""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy
import theano
import theano.tensor as T

from lenet.data.array_folder import to_floats
from lenet.errors import DataError, UsageError

MEGABYTE = 2 ** 20


class Window:
    """The chunk that the compiled functions see, and the one that is read meanwhile.

    Sets share a window: then all of them together take no more memory than its two chunks.

    Parameters
    ----------
    megabytes : float
        What the two chunks take together at the most, in units of 2 ** 20 bytes.

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
        self.numbers_a_chunk = int(megabytes * MEGABYTE / 2) // dtype.itemsize
        self.shared_x = theano.shared(numpy.zeros((1, 1), dtype))
        self.shared_y = theano.shared(numpy.zeros(1, dtype))
        self.variables = self.shared_x, T.cast(self.shared_y, "int32")
        self.buffers = None  # (in use, free)
        self.shown = None  # which chunk the shared variables hold
        self.awaited, self.reading = None, None  # which chunk the thread reads, and its future
        self.reader = ThreadPoolExecutor(1, "chunks")

    def batches_a_chunk(self, n_pixels, batch_size):
        """How many minibatches a chunk holds, each number of an image and each label as floatX."""
        n_batches = self.numbers_a_chunk // ((n_pixels + 1) * batch_size)
        if n_batches < 1:
            itemsize = self.shared_x.get_value(borrow=True).itemsize
            least = 2 * (n_pixels + 1) * batch_size * itemsize / MEGABYTE
            raise UsageError(
                "chunks of %g MB; expected at least %g MB, room for two minibatches of %d images "
                "of %d pixels" % (self.megabytes, math.ceil(least * 100) / 100, batch_size,
                                  n_pixels))
        return n_batches

    def show(self, a_set, batch_size, index):
        """Make minibatch ``index`` of a set visible; return its number within the chunk."""
        n_batches = self.batches_a_chunk(a_set.n_pixels, batch_size)
        number, index_in_chunk = divmod(index, n_batches)
        size = n_batches * batch_size
        wanted = a_set, number * size, size
        if wanted != self.shown:
            if wanted != self.awaited:
                self.read(wanted)
            self.awaited = None
            x, y = self.reading.result()
            self.shared_x.set_value(x, borrow=True)
            self.shared_y.set_value(y, borrow=True)
            self.buffers.reverse()
            self.shown = wanted
            # What follows in this set; after the last chunk, the next epoch begins.
            following = (number + 1) * size
            self.read((a_set, following if following < a_set.n_examples else 0, size))
        return index_in_chunk

    def read(self, chunk):
        """Let the thread read a chunk (set, start, size) into the free buffer."""
        if self.buffers is None:
            self.buffers = [numpy.empty(self.numbers_a_chunk, theano.config.floatX)
                            for _ in range(2)]
        if chunk != self.shown:
            a_set, start, size = chunk
            # There is one thread: when it comes to this it has finished with the buffer.
            self.awaited = chunk
            self.reading = self.reader.submit(a_set.read, start, size, self.buffers[1])


def check_megabytes(megabytes):
    """Raise a UsageError unless chunks may have this size."""
    if not 0 < megabytes < math.inf:
        raise UsageError("chunks of %s MB; expected a positive number, such as 256" % megabytes)


class ChunkedSet:
    """One set, a pair (x, y) as any other, that is seen through a window.

    Parameters
    ----------
    x : array of shape (n, n_pixels)
        Images: floatX in memory, or memory-mapped bytes, which stand for byte / 256.
    y : array of shape (n,)
        Labels.
    window : Window
    """

    def __init__(self, x, y, window):
        self.pair, self.window = (x, y), window
        self.n_examples, self.n_pixels = x.shape
        # A mapped page that has gone with the end of its file kills the process, a file that ends
        # early does not; nor do bytes that are read fill the memory as mapped ones do.
        self.file = open(x.filename, "rb", 0) if isinstance(x, numpy.memmap) else None

    def __iter__(self):
        return iter(self.pair)

    def __getitem__(self, index):
        return self.pair[index]

    def read(self, start, size, buffer):
        """Images and labels from number ``start`` on, ``size`` of them or as many as there are.

        Returns
        -------
        (array, array)
            floatX of shape (n, n_pixels) and (n,), in the memory of ``buffer``.
        """
        all_x, all_y = self.pair
        n = min(size, self.n_examples - start)
        x = buffer[:n * self.n_pixels].reshape(n, self.n_pixels)
        y = buffer[n * self.n_pixels:n * self.n_pixels + n]
        y[...] = all_y[start:start + n]
        if self.file is None:
            x[...] = all_x[start:start + n]
        else:
            self.read_bytes(start, x)
        return x, y

    def read_bytes(self, start, x):
        """Fill ``x`` from the file, from row number ``start`` on, about a megabyte at a time."""
        path, offset = self.pair[0].filename, self.pair[0].offset
        rows = max(1, MEGABYTE // self.n_pixels)
        content = numpy.empty((min(rows, len(x)), self.n_pixels), "uint8")
        try:
            self.file.seek(offset + start * self.n_pixels)
            for first in range(0, len(x), rows):
                part = x[first:first + rows]
                if self.file.readinto(content[:len(part)]) < part.size:
                    raise DataError("%s: truncated while it was used; make the dataset again"
                                    % path)
                to_floats(content[:len(part)], part)
        except OSError as error:
            raise DataError("%s: cannot be read (%s)" % (path, error.strerror or error)) from None
