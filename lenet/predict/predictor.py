"""Classify new images with a saved network.

    predictor = Predictor("RUN")
    predictor.probabilities(images)          # of arrays in the format of the training
    predictor.classify(["photograph.jpg"])   # of image files
    predictor.features("layer2")(images)     # the outputs of a layer

Other processes read the files while this one computes.
"""

import functools
from collections import namedtuple

import numpy
import theano

from lenet import networks
from lenet.data import as_floats
from lenet.errors import UsageError
from lenet.predict.reader import BATCH, Reader

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
