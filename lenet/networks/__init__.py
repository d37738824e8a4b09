"""A network seen from outside: the one table of their kinds, files of them, their stages."""

from lenet.networks.files import (  # noqa: F401
    SavedModel,
    check_images,
    fit_datasets,
    load_datasets,
    load_model,
    metadata_of,
    model_path,
    save_model,
)
from lenet.networks.kinds import (  # noqa: F401
    KINDS,
    architecture_of,
    build,
    feature_maps,
    filters,
    kind_of,
    layers_of,
    named_params,
    stages_of,
)
from lenet.networks.names import ACTIVATIONS  # noqa: F401
