"""Classify new images with a saved network.

    predictor = Predictor("RUN")
    predictor.probabilities(images)          # of arrays in the format of the training
    predictor.classify(["photograph.jpg"])   # of image files
    predictor.features("layer2")(images)     # the outputs of a layer

Other processes read the files while this one computes.
"""

import os
from collections import namedtuple

import numpy
import theano

from lenet import networks
from lenet.data import as_floats
from lenet.errors import UsageError
from lenet.predict.inputs import as_pixels
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
    pixels : lenet.data.pixels.Pixels
        How its bytes become the numbers that the network takes.

    Raises
    ------
    DataError
        The file cannot be read, or does not hold a network.
    """

    def __init__(self, path):
        (self.model, self.class_names, self.image_shape, self.preparation,
         self.pixels) = networks.load_model(path)
        self.function = theano.function([self.model.input], self.model.p_y_given_x)

    def probabilities(self, images):
        """The probability of each class for images in the format of the training.

        Parameters
        ----------
        images : array of shape (n, ...)
            One image a row, rasterized or as (channels, height, width) or (height, width): bytes
            from 0 to 255 of any integer type, or floats as in the dataset, mostly byte / 256.

        Returns
        -------
        array of shape (n, number of classes)
            floatX; each row adds up to 1.

        Raises
        ------
        UsageError
            The images are of another size or of other numbers; see ``lenet.predict.inputs``.
        """
        return self.evaluate(self.check_images(images))

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
        function = theano.function([self.model.input], outputs[layer])
        return lambda images: self.evaluate(self.check_images(images), function)

    def check_images(self, images):
        """Images as for ``probabilities`` as those of a dataset; see ``lenet.predict.inputs``."""
        return as_pixels(images, self.image_shape, self.pixels)

    def evaluate(self, x, function=None):
        """The probabilities, or the values of another compiled function, for images of a dataset,
        whatever its numbers: uint8 or floats of shape (n, number of pixels)."""
        function, parts = function or self.function, []
        for start in range(0, len(x), BATCH):
            part = as_floats(x[start:start + BATCH], self.pixels)
            parts.append(function(part.astype(theano.config.floatX, copy=False)))
        if not parts:  # the shape of a value, and none of it
            return function(numpy.zeros((1, x.shape[1]), theano.config.floatX))[:0]
        return numpy.concatenate(parts)

    def classify(self, paths, center=True, n_processes=None):
        """Classify image files of any size and kind.

        Parameters
        ----------
        paths : iterable of str, os.PathLike or binary files
            Read as needed; may be endless.
        center : bool
            Whether to find the digit in a picture and to center it, where the network was trained
            on such digits; if not, pictures must already be of the size of ``image_shape``.
        n_processes : int, optional
            Processes that read; by default one per processor, none for a few images.

        Returns
        -------
        iterator of Prediction
            In the order of the paths: ``path``, ``probabilities`` of shape (number of classes,),
            and ``error``, None. For a file that cannot be used the probabilities are None and the
            error is a DataError; the others are classified all the same.

        Raises
        ------
        UsageError
            One path was given in place of a list.
        """
        if isinstance(paths, (str, bytes, os.PathLike)):
            raise UsageError(f"{os.fsdecode(paths)}: one path, where a list of them was expected; "
                             "put it in brackets: [path]")
        return (Prediction(*result) for result in
                self.of_files(self.probabilities, paths, center, n_processes))

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
