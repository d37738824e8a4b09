"""Begin a training with the layers of a saved network, and a new last layer for other classes.

J. Yosinski, J. Clune, Y. Bengio, H. Lipson, "How transferable are features in deep neural
networks?", NIPS 2014: frozen copies are "transferred features", trained on they are "fine-tuned".
"""

import numpy

from lenet.data.loading import DatasetSource, compute_fingerprint
from lenet.errors import DataError
from lenet.networks.files import load_model
from lenet.networks.kinds import layers_of, named_params
from lenet.training.loop import Observer


class Transfer(Observer):
    """Gives a new network all layers but the last of a saved one.

    Parameters
    ----------
    source : str or None
        A model file, or the folder of a run, of a network of the same kind with layers of the same
        shapes except for the last; None to leave the parameters as they are.
    fine_tune : bool
        Whether training changes all layers; if not, only the parameters of the last one are left
        in ``model.params``.
    """

    def __init__(self, source, fine_tune=False):
        self.source, self.fine_tune = source, fine_tune

    def model_built(self, model, datasets):
        """Set the parameters; raise a DataError if the file cannot be read, or its network takes
        other images."""
        *_, last = layers_of(model).values()
        if self.source is not None:
            saved = load_model(self.source, type(model).__name__)
            if saved.image_shape != tuple(datasets.image_shape):
                raise DataError(f"{self.source}: trained on images of shape {saved.image_shape}, "
                                f"but those of the dataset have {tuple(datasets.image_shape)}; "
                                "name a dataset of such images with --dataset, or train without "
                                "--from")
            trained = named_params(saved.model)
            for name, param in named_params(model).items():
                if param not in last.params:
                    param.set_value(trained[name].get_value(borrow=True))
        if not self.fine_tune:
            model.params = last.params


class TransferDataset(DatasetSource):
    """A dataset in the numbers that the layers of a saved network take.

    Parameters
    ----------
    dataset : str
        See ``lenet.data.load_data``.
    pixels : lenet.data.pixels.Pixels
        Of the saved network. Where nobody knows how either came about, the numbers stay.
    """

    def __init__(self, dataset, pixels):
        super().__init__(dataset)
        self.pixels = pixels

    def open(self):
        stored = super().open()
        n_pixels = stored[0][0].shape[1]
        if n_pixels % numpy.size(self.pixels.mean) or (
                self.pixels.range is not None and stored.pixels.range is not None):
            return stored  # images of another shape, which Transfer refuses, or of unknown origin
        sets = [(self.pixels.from_numbers(x, stored.pixels), y) for x, y in stored]
        return stored.with_sets(sets, compute_fingerprint(stored), self.pixels)
