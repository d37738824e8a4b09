"""Find, read and check a dataset, and place it in shared variables, whole or in chunks."""

from lenet.data.loading import (  # noqa: F401
    SET_NAMES,
    Datasets,
    as_floats,
    find_dataset,
    image_shape_of,
    labels_of,
    load_arrays,
    load_data,
    open_arrays,
    shape_of,
    shared_dataset,
)
