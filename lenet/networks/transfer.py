"""Begin a training with the layers of a saved network, and a new last layer for other classes.

J. Yosinski, J. Clune, Y. Bengio, H. Lipson, "How transferable are features in deep neural
networks?", NIPS 2014: frozen copies are "transferred features", trained on they are "fine-tuned".
"""

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
