"""Begin a training with the layers of a saved network, and a new last layer for other classes.

J. Yosinski, J. Clune, Y. Bengio, H. Lipson, "How transferable are features in deep neural
networks?", NIPS 2014: frozen copies are "transferred features", trained on they are "fine-tuned".
"""

from lenet.errors import DataError
from lenet import networks


def begin_with(source, fine_tune, model, image_shape):
    """Give a new network all layers but the last of a saved one.

    Parameters
    ----------
    source : str or None
        A model file, or the folder of a run; None to leave the parameters as they are.
    fine_tune : bool
        Whether training changes all layers; if not, only the parameters of the last one are left
        in ``model.params``, and the others are in ``model.frozen``.
    model
        A new network of the same kind, with layers of the same shapes except for the last.
    image_shape : tuple of 3 ints
        (channels, height, width) of its images.

    Raises
    ------
    DataError
        The file cannot be read, or its network takes other images.
    """
    *_, last = networks.layers_of(model).values()
    if source is not None:
        saved = networks.load_model(source, type(model).__name__)
        if saved.image_shape != tuple(image_shape):
            raise DataError(f"{source}: trained on images of shape {saved.image_shape}, but those "
                            f"of the dataset have {tuple(image_shape)}; name a dataset of such "
                            "images with --dataset, or train without --from")
        trained = networks.named_params(saved.model)
        for name, param in networks.named_params(model).items():
            if param not in last.params:
                param.set_value(trained[name].get_value(borrow=True))
    if not fine_tune:
        model.frozen = [param for param in model.params if param not in last.params]
        model.params = last.params
