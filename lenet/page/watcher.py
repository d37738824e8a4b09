"""A run that another process trains: what is new in its folder."""

import os

from lenet import networks
from lenet.errors import DataError
from lenet.networks import parameters
from lenet.runs.log import read_log


class Watcher:
    """Looks at the files of a run, each of which is replaced as a whole.

    Parameters
    ----------
    path : str
        A model file, or the folder of a run.
    eye : lenet.page.eye.Eye
        Made of it; takes the new parameters.

    Attributes
    ----------
    rows : list of dicts
        The log; see ``lenet.runs.run.Run``.
    """

    def __init__(self, path, eye):
        self.path, self.eye = path, eye
        self.model, self.log = networks.model_path(path), os.path.join(path, "log.csv")
        self.rows = []
        self.seen = {path: identify_file(path) for path in (self.model, self.log)}
        self.network = None  # what the model file says besides the parameters
        if self.seen[self.model]:
            self.network = parameters.read(self.model)[1]["network"]
        if self.seen[self.log]:
            self.rows = read_log(self.log)

    def news(self):
        """What has changed: a dict with "parameters" (True), "rows" (True) and "line" (str)."""
        found = {}
        for path, name, take in ((self.log, "rows", self.take_log),
                                 (self.model, "parameters", self.take_parameters)):
            state = identify_file(path)
            if state != self.seen[path]:
                self.seen[path] = state
                try:
                    take()
                    found[name] = True
                except DataError as error:
                    found["line"] = (str(error) if os.path.exists(path) else
                                     f"{path}: has disappeared; the page keeps what it had")
        return found

    def take_log(self):
        self.rows = read_log(self.log)

    def take_parameters(self):
        arrays, metadata = parameters.read(self.model)
        if self.network is None:
            self.network = metadata.get("network")
        if metadata.get("network") != self.network:
            raise DataError(f"{self.model}: is another network now; start the page again to see it")
        self.eye.fill(arrays, self.model)


def identify_file(path):
    """What changes when a file is replaced; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
