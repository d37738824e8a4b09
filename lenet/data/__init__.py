"""Find, read and check a dataset, and place it in shared variables, whole or in chunks."""

from lenet.data.loading import (  # noqa: F401
    ChunkedDataset,
    StandardizedDataset,
    find_dataset,
    load_arrays,
    load_data,
    open_arrays,
)
from lenet.data.pixels import as_floats  # noqa: F401
from lenet.data.sets import (  # noqa: F401
    SET_NAMES,
    Datasets,
    image_shape_of,
    shared_dataset,
)
from lenet.data.shuffled import ShuffledDataset  # noqa: F401
