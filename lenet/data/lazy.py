"""Images that are read when somebody asks for them, and stay on the disk until then."""

import numpy


class LazyImages:
    """Images that are indexed as an array is; what is read is not kept.

    Parameters
    ----------
    read : function
        From an int array of n numbers to the n images, uint8 of shape (n, ...).
    n_pixels : int
        Of an image; the images come out as rows of so many.
    rows : int array of shape (n_images,)
        The numbers of these images, for ``read``.
    """

    dtype, ndim = numpy.dtype("uint8"), 2

    def __init__(self, read, n_pixels, rows):
        self.read_rows, self.n_pixels, self.rows = read, n_pixels, rows

    @property
    def shape(self):
        return len(self.rows), self.n_pixels

    @property
    def size(self):
        return len(self.rows) * self.n_pixels

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        rows = self.rows[index]
        images = self.read_rows(numpy.atleast_1d(rows)).reshape(-1, self.n_pixels)
        return images if numpy.ndim(rows) else images[0]

    def __array__(self, dtype=None, copy=None):
        return self[:].astype(dtype or self.dtype, copy=False)

    def take(self, rows, axis=0):
        """Some of the images, as lazy as these."""
        return LazyImages(self.read_rows, self.n_pixels, self.rows[rows])
