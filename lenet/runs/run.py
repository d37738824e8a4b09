"""A training run saved in a folder: its best parameters, and all it takes to resume it.

    model.safetensors   the network with the best parameters so far; see lenet.networks
    last.safetensors    the parameters after the last minibatch, the states of the random
                        generators, and, as JSON in the metadata, the state of the loop
    log.csv             a row for each validation
    curves.png          the log as a picture, drawn when the training ends

Each file is replaced as a whole, and last.safetensors after the others: whenever the process is
killed, that file holds a state that the training was in, and a resumed run repeats what came after
it, bit for bit.
"""

import fcntl
import json
import math
import os
import time
import weakref
from collections import namedtuple

from lenet import kernel, networks
from lenet.data.files import write_beside
from lenet.data.loading import DatasetSource, compute_fingerprint, split_as
from lenet.data.pixels import read_pixels
from lenet.errors import DataError, UsageError
from lenet.networks import parameters
from lenet.runs.log import format_log, read_log
from lenet.training.history import History

# Save again once the last save took less than this share of the time since.
LARGEST_SHARE = 0.005

LOCK = ".lock"

UNUSED = weakref.WeakValueDictionary()  # the runs that no training has begun with, by folder

# What is saved of a lenet.training.loop.Result.
RESULT = ("best_validation_error", "best_iteration", "test_error", "iteration", "patience")


class Run(History):
    """A folder that a training run is saved in; made by ``create`` or ``resume``.

    Attributes
    ----------
    folder : str
        The folder, as it was given.
    settings : dict
        The options of the training, as they were last given.
    rows : list of dicts
        The log: a value or None for each of ``lenet.runs.log.COLUMNS``. iteration counts
        minibatches from 1, as epoch counts epochs; cost is the mean since the row before;
        validation and test are errors as fractions; test is None unless the validation error was
        the best so far.
    """

    def __init__(self, folder, settings):
        self.folder = folder
        self.settings = settings
        self.rows = []
        self.cost_sum, self.n_costs = 0.0, 0  # since the last row
        self.earlier_seconds = 0.0
        self.description = None  # the datasets' class_names, image_shape, preparation, pixels
        self.sizes, self.fingerprint = None, None  # sizes of the three sets
        self.earlier_state = None  # a State
        place = os.path.realpath(folder)
        if kernel.is_notebook() and place in UNUSED:
            UNUSED[place].close()  # of a cell that failed before its training, and runs again
        self.lock = lock_folder(folder)
        UNUSED[place] = self

    @classmethod
    def create(cls, folder, settings):
        """Begin a run in a folder, which is made if necessary; the settings are the options of the
        training, as plain values.

        Raises a UsageError if the folder is not empty, and a DataError if it cannot be made.
        """
        try:
            os.makedirs(folder, exist_ok=True)
            run = None if list_others(folder) else cls(folder, settings)
            found = list_others(folder)
        except OSError as error:
            raise DataError(f"{folder}: cannot be made or read ({error.strerror}); name another "
                            "folder") from None
        if "last.safetensors" in found:
            raise UsageError(f"{folder}: holds a run already; go on with --resume {folder}, or "
                             "name another folder")
        if found:
            raise UsageError(f"{folder}: holds {found[0]}; expected a new or an empty folder")
        return run

    @classmethod
    def resume(cls, folder):
        """Open the run in a folder, to continue it.

        Raises a DataError if there is none, if another process is using it, or if its files are
        damaged.
        """
        find_state(folder)
        run = cls(folder, {})
        for name in os.listdir(folder):  # half-written when a process was killed
            if name.startswith(("model.safetensors.", "last.safetensors.", "log.csv.")):
                os.unlink(os.path.join(folder, name))
        state = read_state(folder)
        run.settings, run.earlier_seconds = state.settings, state.seconds
        run.cost_sum, run.n_costs = state.cost_sum, state.n_costs
        run.sizes, run.fingerprint = state.sizes, state.fingerprint
        run.earlier_state = state
        if state.result["best_validation_error"] < math.inf:
            try:
                parameters.read(os.path.join(folder, "model.safetensors"))
            except DataError as error:
                raise DataError(f"the best parameters of the run are lost: {error}; bring the file "
                                "back, or begin another run") from None
        rows = read_log(os.path.join(folder, "log.csv"))
        if len(rows) < state.n_rows:
            raise DataError(f"{folder}: {len(rows)} rows in log.csv, but {state.n_rows} "
                            "validations are done; bring the file back, or begin another run")
        run.rows = rows[:state.n_rows]  # the log may be ahead of the state
        return run

    @property
    def epochs_done(self):
        """The epoch of the last validation; 0 before the first."""
        return self.rows[-1]["epoch"] if self.rows else 0

    def check_datasets(self, datasets):
        """Say what the network is trained on, a ``lenet.data.Datasets``; a DataError if the run was
        begun with others."""
        self.description = (datasets.class_names, datasets.image_shape, datasets.preparation,
                            datasets.pixels)
        sizes = [a_set.n_examples for a_set in datasets]
        if self.earlier_state is not None:
            networks.check_images(self.earlier_state.network, datasets)
            if self.sizes != sizes:
                raise DataError(f"{self.folder}: begun with a dataset of "
                                f"{', '.join(map(str, self.sizes))} examples, but this one has "
                                f"{', '.join(map(str, sizes))}; name the dataset with --dataset")
            if self.fingerprint not in (None, datasets.fingerprint):
                raise DataError(f"{self.folder}: begun with other examples than this dataset has; "
                                "name the dataset with --dataset, or begin another run")
        self.sizes, self.fingerprint = sizes, datasets.fingerprint

    @property
    def advice(self):
        return f"go on with --resume {self.folder}"

    def model_built(self, model, datasets):
        """Say which network is trained, and on which ``lenet.data.Datasets``.

        Raises a DataError if the run belongs to another network, or to other datasets.
        """
        UNUSED.pop(os.path.realpath(self.folder), None)
        self.check_datasets(datasets)
        self.model = model
        self.params = networks.named_params(model)
        if self.earlier_state is not None:
            saved = self.earlier_state.network
            if saved.model.get("dropout"):
                raise DataError(f"{self.folder}: begun by an earlier version, whose dropout was "
                                "another; begin another run with --output")
            found, expected = (json.dumps(architecture, sort_keys=True) for architecture in
                               (saved.model, networks.architecture_of(model)))
            if found != expected:
                raise DataError(f"{find_state(self.folder)}: a run of the network {found}; "
                                f"expected {expected}")

    def training_begins(self, functions, n_epochs, result):
        self.state = dict(self.params)
        numbers = {"random": 0, "velocity": 0}
        for variable in functions.state:
            if variable not in self.params.values():
                kind = "velocity" if variable.name == "velocity" else "random"
                self.state[f"{kind}{numbers[kind]}"] = variable
                numbers[kind] += 1
        if self.earlier_state is not None:
            parameters.fill(self.state, self.earlier_state.arrays, find_state(self.folder))
            vars(result).update(self.earlier_state.result)
            self.earlier_state = None
        self.unsaved_best = None
        self.began_at = self.saved_at = time.perf_counter()
        self.last_save_seconds = 0.0
        if result.iteration < 0:
            self.save(result)

    def validated(self, epoch, minibatch, error):
        super().validated(epoch, minibatch, error)
        seconds = self.earlier_seconds + time.perf_counter() - self.began_at
        self.rows[-1].update(iteration=None, seconds=round(seconds, 3))

    def improved(self, epoch, minibatch, error):
        super().improved(epoch, minibatch, error)
        self.unsaved_best = {name: param.get_value() for name, param in self.params.items()}

    def iteration_ends(self, result):
        if self.rows and self.rows[-1]["iteration"] is None:
            self.rows[-1]["iteration"] = result.iteration + 1
        # Often, but not so often that saving slows the training down.
        since = time.perf_counter() - self.saved_at
        if self.last_save_seconds < LARGEST_SHARE * since:
            self.save(result)

    def training_ends(self, result):
        """Save the last state, and draw the log."""
        super().training_ends(result)
        if result.stopped == "diverged":
            self.save_best()  # the last parameters are of no use
        else:
            self.save(result)
        if self.rows:
            from lenet.figures import plots  # slow to import, and wanted at the end only

            plots.finish(plots.draw_curves(self.rows), os.path.join(self.folder, "curves.png"))

    def close(self):
        """Let other processes use the folder."""
        self.lock.close()

    def save(self, result):
        """Write the best parameters and the log; then the state."""
        begin = time.perf_counter()
        self.save_best()
        state = {"settings": self.settings, "sizes": self.sizes,
                 "fingerprint": self.fingerprint, "n_rows": len(self.rows),
                 "cost_sum": self.cost_sum, "n_costs": self.n_costs,
                 "seconds": self.earlier_seconds + begin - self.began_at, "stopped": result.stopped,
                 "result": {name: getattr(result, name) for name in RESULT}}
        parameters.write(os.path.join(self.folder, "last.safetensors"),
                         parameters.values(self.state),
                         dict(networks.metadata_of(self.model, *self.description),
                              state=json.dumps(state)))
        self.saved_at = time.perf_counter()
        self.last_save_seconds = self.saved_at - begin

    def save_best(self):
        """Write the best parameters, if they are new; then the log."""
        if self.unsaved_best is not None:
            networks.save_model(os.path.join(self.folder, "model.safetensors"), self.model,
                                *self.description, values=self.unsaved_best)
            self.unsaved_best = None
        with write_beside(os.path.join(self.folder, "log.csv")) as file:
            file.write(format_log(self.rows).encode())


# network: a SavedModel, with the architecture in the place of the model; stopped: why the training
# ended, see lenet.training.loop.Result, or None if it goes on or the run is of an earlier version
State = namedtuple("State", "arrays network settings sizes fingerprint cost_sum n_costs seconds "
                            "n_rows result stopped")


def find_state(folder):
    """The file that says what a run has reached; raise a DataError if the folder has none."""
    path = os.path.join(folder, "last.safetensors")
    if not os.path.exists(path):
        raise DataError(f"{folder}: holds no run; expected a folder that --output made")
    return path


def read_state(folder):
    """The State of the run in a folder; a DataError if there is none, or if its file is damaged."""
    path = find_state(folder)
    arrays, metadata = parameters.read(path)
    try:
        state, network = json.loads(metadata["state"]), json.loads(metadata["network"])
        saved = networks.SavedModel(network["architecture"], network["class_names"],
                                    tuple(network["image_shape"]), network["preparation"],
                                    read_pixels(network.get("pixels"),
                                                math.prod(network["image_shape"])))
        result = {name: state["result"][name] for name in RESULT}
        check_result(result)
        if int(state["n_costs"]) < 0:
            raise ValueError(f"n_costs {state['n_costs']}")
        return State(arrays, saved, dict(state["settings"]), list(state["sizes"]),
                     state.get("fingerprint"), float(state["cost_sum"]), int(state["n_costs"]),
                     float(state["seconds"]), int(state["n_rows"]), result,
                     state.get("stopped"))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: no state of a run ({error!r}); expected a file that --output "
                        "wrote") from None


def check_result(values):
    """Raise a ValueError unless these are values that the attributes of a Result can have."""
    for name, value in values.items():
        if name == "patience" and value is None:
            continue
        whole = name in ("best_iteration", "iteration")
        if not isinstance(value, int if whole else (int, float)) or not value >= -1:
            raise ValueError(f"{name} {value!s:.60}")


def dataset_of(path, dataset=None):
    """The dataset that a run was trained on, as it was last named there, or another name of it,
    with the images held back that were held back then: the path is the folder of the run, or a file
    in it. mnist.pkl.gz if there is no run, or if it does not say."""
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    try:
        state = read_state(folder)
    except DataError:
        return split_as({"dataset": "mnist.pkl.gz"}, dataset)
    found = split_as({"dataset": "mnist.pkl.gz", **state.settings}, dataset)
    return found if dataset or state.fingerprint is None else RunDataset(found, folder, state)


class RunDataset(DatasetSource):
    """The dataset of a run, refused where it has changed: images to test on may be among those that
    the run was trained on."""

    def __init__(self, dataset, folder, state):
        super().__init__(dataset)
        self.folder, self.fingerprint = folder, state.fingerprint

    def open(self):
        stored = super().open()
        if compute_fingerprint(stored) != self.fingerprint:
            raise DataError(f"{self.folder}: trained on other examples than its dataset has now; "
                            "name a dataset with --dataset")
        return stored


def list_others(folder):
    """The names in a folder, except the lock."""
    return sorted(name for name in os.listdir(folder) if name != LOCK)


def lock_folder(folder):
    """An open file that keeps other processes out of a folder until this one ends.

    Raises a DataError if another process holds it, or if it cannot be written.
    """
    path = os.path.join(folder, LOCK)
    try:
        file = open(path, "a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read(20).strip()
            file.close()
            raise DataError(f"{folder}: in use by process {holder or 'unknown'}; wait for its end, "
                            "or name another folder") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); name another folder"
                        ) from None
    return file
