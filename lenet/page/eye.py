"""A network that shows how it answers: one compiled function gives the output of every stage."""

import os

import numpy
import theano

from lenet import networks
from lenet.data import as_floats
from lenet.networks import parameters
from lenet.runs.run import read_state


class Eye:
    """A network and the function that shows its stages; compiled once, whatever its parameters.

    It has the attributes of the ``lenet.networks.SavedModel`` that it is made of, ``saved``.

    Attributes
    ----------
    stages : list of dict
        What ``lenet.networks.stages_of`` describes, each with the ``shape`` of its output.
    params : dict from str to shared variable
    """

    def __init__(self, saved):
        self.saved = saved
        self.model, self.class_names, self.image_shape, self.preparation, self.pixels = saved
        self.pixels.check_known()
        self.params = networks.named_params(self.model)
        stages = networks.stages_of(self.model, self.image_shape, self.pixels)
        self.function = theano.function(
            [self.model.input], [stage.expression for stage in stages] + [self.model.p_y_given_x])
        self.predictions = None
        *outputs, _ = self.see(numpy.zeros(self.image_shape, "uint8"))
        self.stages = [dict(stage.description, shape=output.shape)
                       for stage, output in zip(stages, outputs)]
        self.stages[0]["shape"] = self.image_shape

    def see(self, image):
        """The output of each stage for one image, then the probability of each class: arrays of
        floatX, without the axis of the minibatch.

        The image, of shape image_shape, is uint8, or has the numbers of the dataset.
        """
        pixels = as_floats(numpy.asarray(image).reshape(1, -1), self.pixels)
        return [output[0] for output in
                self.function(pixels.astype(theano.config.floatX, copy=False))]

    def predict(self, x):
        """The classes of many images, floats of shape (n, number of pixels)."""
        if self.predictions is None:  # compiled when it is first needed
            self.predictions = theano.function([self.model.input], self.model.y_pred)
        return self.predictions(x.astype(theano.config.floatX, copy=False))

    def values(self):
        """The parameters by name, copied."""
        return {name: param.get_value() for name, param in self.params.items()}

    def fill(self, arrays, path):
        """Take new parameters; raise a DataError, and keep the old ones, if they do not fit."""
        parameters.fill(self.params, arrays, path)


def load_eye(path):
    """The Eye of a model file or of the folder of a run, which may have begun just now.

    Raises a DataError if there is no network, or if it cannot be read.
    """
    model, last = networks.model_path(path), os.path.join(path, "last.safetensors")
    if os.path.exists(model) or not os.path.exists(last):
        return Eye(networks.load_model(path))
    # Not validated yet: the run has the parameters that it began with.
    state = read_state(path)
    eye = build_eye(state.network)
    eye.fill({name: state.arrays[name] for name in eye.params if name in state.arrays}, last)
    return eye


def build_eye(described):
    """The Eye of a new network, given a SavedModel with the architecture in place of the model."""
    return Eye(described._replace(model=networks.build(
        described.model, described.image_shape, len(described.class_names))))
