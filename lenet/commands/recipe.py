"""The settings of a training on images of one's own, chosen by their number.

Measured with LeNet-5 on sets of 100 to 100,000 images and 2 to 100 classes: the table in
docs/images.md.
"""

from lenet.data import open_arrays
from lenet.data.loading import split_as
from lenet.errors import UsageError
from lenet.installed import option_name
from lenet.training.functions import check_batch_size
from lenet.training.loop import Observer

BATCH_SIZE = 20
LEARNING_RATE, MOMENTUM = 0.02, 0.9
FALL = 0.2  # of the rate, from the first epoch to the last
OF_RATE = {"learning_rate", "learning_rate_decay", "momentum"}
IMAGES_TO_SEE = 16000  # in all epochs; of large sets, each image is seen at least so often:
LEAST_EPOCHS, MOST_EPOCHS = 15, 100
FEW = 200  # validation images, with fewer of which chance decides which epoch is the best


def choose_settings(n_training, n_validation, n_epochs=None):
    """The options for so many training and validation images: a dict of values by name.

    ``n_epochs`` is their number where it is given.
    """
    if n_epochs is None:
        n_epochs = min(max(LEAST_EPOCHS, round(IMAGES_TO_SEE / n_training)), MOST_EPOCHS)
    return {"batch_size": min(BATCH_SIZE, n_training), "learning_rate": LEARNING_RATE,
            "learning_rate_decay": round(FALL ** (1 / max(n_epochs, 1)), 3), "momentum": MOMENTUM,
            "n_epochs": n_epochs, "shuffle": True, "standardize": True,
            "keep_last": n_validation < FEW}


def apply_recipe(options, fixed):
    """The options, those of ``--own-images`` chosen by the size of the dataset.

    Parameters
    ----------
    options : dict
        By name.
    fixed : set of str
        The names of those that stay as they are; what makes the rate stays together.
    """
    (_, training_labels), (_, validation_labels), _ = open_arrays(split_as(options))
    chosen = choose_settings(len(training_labels), len(validation_labels),
                             options["n_epochs"] if "n_epochs" in fixed else None)
    if fixed & OF_RATE:
        fixed = fixed | OF_RATE
    return dict(options, **{name: value for name, value in chosen.items() if name not in fixed})


def describe_settings(options):
    """What was chosen, as one would type it."""
    words = []
    for name in choose_settings(1, 1):
        value = options[name]
        if value is True:
            words.append(option_name(name))
        elif value is not False:
            words += [option_name(name), str(value)]
    return " ".join(words)


class RecipeHint(Observer):
    """Names ``--own-images`` where a minibatch is larger than the training set."""

    def __init__(self, batch_size):
        self.batch_size = batch_size

    def model_built(self, model, datasets):
        try:
            check_batch_size(self.batch_size, datasets[0])
        except UsageError as error:
            raise UsageError(f"{error}; --own-images chooses one for few images") from None
