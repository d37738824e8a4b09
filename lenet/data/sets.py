"""A dataset in shared variables: three sets of images and labels, and what they show."""

from collections import namedtuple

import numpy
import theano
import theano.tensor as T

from lenet.data.arrays import FRACTION, SEED, Found, arrange_sets
from lenet.data.checks import check_dataset
from lenet.data.pixels import BYTES
from lenet.errors import DataError

SET_NAMES = ("training set", "validation set", "test set")


class Datasets(list):
    """The training, validation and test sets, and what they show.

    Parameters
    ----------
    sets : three pairs (x, y)
        Images, one per row, and labels, one per image.
    image_shape : (int, int, int)
        Channels, height and width of every image, so a row of x is channels * height * width
        long. Rows of a plain pickle are square images, grey or of three colours, or else images of
        one row of pixels.
    class_names : list of str
        What the labels 0, 1, ... stand for; its length is the number of outputs of a network.
    preparation : str
        How a new picture becomes an image like these: "digit" (as MNIST's makers did it: light
        on dark, the digit in 20 x 20 pixels, centred by mass) or "resize" (brought to the size and
        the colours of ``image_shape``). For a plain pickle, its first images decide.
    pixels : lenet.data.pixels.Pixels
        How bytes become the numbers of x: as byte / 256 in the tutorial's sets.
    fingerprint : int, optional
        A checksum that tells these examples from others.
    """

    def __init__(self, sets, image_shape, class_names, preparation, pixels=BYTES,
                 fingerprint=None):
        super().__init__(sets)
        self.image_shape = image_shape
        self.class_names = class_names
        self.preparation = preparation
        self.pixels = pixels
        self.fingerprint = fingerprint

    @classmethod
    def from_arrays(cls, x, y, validation=None, test=None, class_names=None, image_shape=None,
                    validation_fraction=FRACTION, test_fraction=FRACTION, seed=SEED):
        """Datasets of arrays, for ``dataset=`` of whatever trains.

        Parameters
        ----------
        x : array of n images
            Of shape (n, height, width), (n, height, width, channels), (n, channels, height, width)
            or (n, pixels), the pixels channel by channel; bytes, or numbers such as byte / 255.
        y : array of n labels
            Whole numbers or words, of shape (n,) or (n, 1), or rows with a one for the class.
        validation, test : pair of such arrays, optional
            By default, parts of x and y are held back.
        class_names : list of str, optional
        image_shape : (int, int, int), optional
            (channels, height, width), for rows that are neither square nor of three square
            colours, or where the shape of x leaves it open.
        validation_fraction, test_fraction : float
            How much of each class is held back.
        seed : int
            Decides which images these are.

        Raises
        ------
        DataError, UsageError
            The arrays are something else, or too few.
        """
        parts = {"train": (x, y), "valid": validation, "test": test}
        found = Found({part: pair for part, pair in parts.items() if pair is not None},
                      class_names, image_shape and tuple(image_shape))
        fractions = validation_fraction, test_fraction
        return cls(*check_dataset(arrange_sets(found, "the arrays", fractions, seed), SET_NAMES,
                                  "the arrays"))

    def open(self):
        """The sets themselves: as a data source, see ``lenet.data.loading.DatasetSource``."""
        return self

    def with_sets(self, sets, fingerprint=None, pixels=None):
        """Other sets of the same kind of images, by default in the same numbers."""
        return Datasets(sets, self.image_shape, self.class_names, self.preparation,
                        pixels or self.pixels, fingerprint)


class SharedSet(namedtuple("SharedSet", "x y")):
    """One set in shared variables: the tutorial's pair (x, y).

    It compiles functions of the number of a minibatch, so that no image is copied to a GPU when
    they are called. ``lenet.data`` has other kinds of sets, with the same methods.

    Attributes
    ----------
    x : shared variable
        Images, floatX of shape (n_examples, n_pixels).
    y : expression
        Labels, int32 of shape (n_examples,).
    """

    __slots__ = ()

    @property
    def n_examples(self):
        return self.x.get_value(borrow=True, return_internal_type=True).shape[0]

    @property
    def n_pixels(self):
        return self.x.get_value(borrow=True, return_internal_type=True).shape[1]

    def labels(self):
        """The labels: an int32 array of shape (n_examples,)."""
        return self.y.eval()

    def minibatch(self, index, batch_size):
        """The images and labels of minibatch number ``index``, as expressions; those of the last
        minibatch may be fewer than ``batch_size``."""
        start = index * batch_size
        return self.x[start:start + batch_size], self.y[start:start + batch_size]

    def compile(self, inputs, output, batch_size, updates=None):
        """A function of a minibatch's number: the value of ``output``, an expression of ``inputs``,
        which are the variables for the images, or for the images and the labels."""
        index = T.lscalar("index")
        # ``givens`` puts slices of the shared variables in the place of the inputs.
        return theano.function(
            [index], output, updates=updates,
            givens=dict(zip(inputs, self.minibatch(index, batch_size))),
        )

    def compile_step(self, inputs, cost, gradients, updates, batch_size):
        """A training step, a function of a minibatch's number: it makes the updates and returns
        the cost. The updates are made of the gradients, which sets in several processes add up."""
        return self.compile(inputs, cost, batch_size, updates)

    def compile_all(self, inputs, output, batch_size):
        """A function without arguments: the values of ``output``, one for each minibatch."""
        value = self.compile(inputs, output, batch_size)
        # Every example counts: 10,000 in minibatches of 600 are 17, the last one of 400.
        n_batches = -(-self.n_examples // batch_size)
        return lambda: [value(i) for i in range(n_batches)]

    def compile_count(self, inputs, output, batch_size):
        """A function without arguments: the sum over the set of ``output``, a whole number for
        each minibatch."""
        values = self.compile_all(inputs, output, batch_size)
        return lambda: int(round(sum(map(float, values()))))


def shared_dataset(data_xy, borrow=True):
    """Place one set in shared variables.

    On a GPU, copying each minibatch when it is needed would cost more time than computing with
    it; shared variables are copied there once. GPUs store numbers of type floatX, so the labels
    are stored as floatX too, and cast to int32 inside the graph, since they are used as indexes.

    Parameters
    ----------
    data_xy : pair of arrays
        Images of shape (n, n_pixels) and labels of shape (n,).
    borrow : bool
        Whether the shared variables may use the memory of arrays that have type floatX already.

    Returns
    -------
    SharedSet
        Images, floatX of shape (n, n_pixels), and labels, int32 of shape (n,).
    """
    data_x, data_y = data_xy
    shared_x = theano.shared(numpy.asarray(data_x, dtype=theano.config.floatX), borrow=borrow)
    shared_y = theano.shared(numpy.asarray(data_y, dtype=theano.config.floatX), borrow=borrow)
    return SharedSet(shared_x, T.cast(shared_y, "int32"))


def image_shape_of(datasets, least=1):
    """(channels, height, width) of a dataset's images, for a network that needs images.

    Parameters
    ----------
    datasets : Datasets
        As ``lenet.data.load_data`` returns them.
    least : int
        The smallest height and width that the network accepts, in pixels.

    Raises
    ------
    DataError
        The rows of a plain pickle are not square images, or the images are too small.
    """
    channels, height, width = datasets.image_shape
    if height == 1 and width > 1:
        raise DataError(f"the dataset has images of {width} pixels; expected square ones, such as "
                        "28 x 28, or a dict of their image_shape, (channels, height, width), after "
                        "the three sets; Datasets.from_arrays takes image_shape, too")
    if min(height, width) < least:
        raise DataError(f"the dataset has images of {height} x {width} pixels; this network needs "
                        f"at least {least} x {least}")
    return channels, height, width
