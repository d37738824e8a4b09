"""What the page shows and does: the networks' answers, the test set, the drawings that are kept."""

import json
import os
import time

import numpy

from lenet import networks
from lenet.data import as_floats, image_shape_of, open_arrays
from lenet.data.files import make_folder, write_beside
from lenet.data.pixels import as_bytes
from lenet.errors import DataError, UsageError
from lenet.images.image_export import make_image
from lenet.page import messages
from lenet.page.drawings import Preparation
from lenet.page.eye import build_eye, load_eye
from lenet.page.trainer import DEFAULTS, OPTIONS, Training
from lenet.page.watcher import Watcher
from lenet.reports.compare import shorten_paths
from lenet.runs.run import dataset_of

MAX_KEPT_DRAWINGS = 10000  # in one session
IMAGES_AT_ONCE = 200


class Page:
    """One or two networks, and what a visitor can ask of them.

    Parameters
    ----------
    described : lenet.networks.SavedModel
        The classes and the images of the networks; its model does not matter.
    dataset : str
        Whose test set is shown; see ``lenet.data.load_data``.
    keep : str
        The folder for drawings that are kept with their right classes.
    training : lenet.page.trainer.Training, optional
        Trains the network that is shown.

    Attributes
    ----------
    eyes, names, watchers : lists
        Of the networks: a ``lenet.page.eye.Eye``, what to call it, and a
        ``lenet.page.watcher.Watcher`` of the run that it is of.
    """

    def __init__(self, described, dataset, keep, training=None):
        self.described, self.dataset, self.keep, self.training = described, dataset, keep, training
        self.eyes, self.names, self.watchers = [], [], []
        self.preparation = Preparation(described.image_shape, described.preparation)
        self.test_set = None  # it is read when it is first needed
        self.n_kept = 0

    def greeting(self):
        """{key: message} for a new client: what the networks are, and their parameters."""
        height, width, channels = self.preparation.drawing_shape
        hello = {"hello": {
            "networks": [{"name": name, "kind": type(eye.model).__name__, "stages": eye.stages}
                         for name, eye in zip(self.names, self.eyes)],
            "class_names": self.described.class_names, "image_shape": self.described.image_shape,
            "of_digits": self.preparation.reader.of_digits,
            "drawing": {"height": height, "width": width, "channels": channels},
            "keep": self.keep, "largest_picture": messages.MAX_PICTURE_BYTES,
            "training": self.training and {"options": OPTIONS, "defaults": DEFAULTS}}}
        found = {"hello": json.dumps(hello)}
        for n in range(len(self.eyes)):
            found[f"parameters {n}"] = self.pack_parameters(n)
        for n, watcher in enumerate(self.watchers):
            found[f"log {n}"] = json.dumps({"log": watcher.rows, "network": n})
        if self.training:
            found["training"] = json.dumps({"training": self.training.describe_state()})
        return found

    def news(self):
        """{key: message} for all clients: what has changed since the last time."""
        found = {}
        for n, watcher in enumerate(self.watchers):
            changed = watcher.news()
            if "parameters" in changed:
                found[f"parameters {n}"] = self.pack_parameters(n)
            if "rows" in changed:
                found[f"log {n}"] = json.dumps({"log": watcher.rows, "network": n})
            if "line" in changed:
                found["line"] = json.dumps({"line": changed["line"]})
        if self.training:
            changed = self.training.news()
            if "network" in changed:
                architecture = json.loads(changed["network"])["architecture"]
                self.eyes = [build_eye(self.described._replace(model=architecture))]
                self.names = ["in training"]
            if "parameters" in changed:
                self.eyes[0].fill(changed["parameters"], "the training")
                found["parameters 0"] = self.pack_parameters(0)
            if "network" in changed:
                found = self.greeting()
            elif "state" in changed:
                found["training"] = json.dumps({"training": self.training.describe_state()})
        return found

    def pack_parameters(self, n):
        """The message with the parameters of network ``n``."""
        values = self.eyes[n].values()
        return messages.pack({"kind": "parameters", "network": n, "shapes": [
            [name, value.shape] for name, value in values.items()]}, values.values())

    def answer(self, request):
        """What the networks make of what a request shows them: a ``lenet.page.drawings.Prepared``,
        the image, and a message in bytes: the image, then the stages of each network and its
        probabilities.

        The request is as ``messages.unpack`` returns it, with "drawing", "picture" or "test".
        Raises a DataError if there is no image in it, or no network yet.
        """
        if not self.eyes:
            raise DataError("there is no network yet; start the training")
        begin = time.perf_counter()
        header = {"kind": "answer"}
        if "number" in request:
            header["number"] = request["number"]
        if "drawing" in request:
            prepared = self.preparation.prepare_drawing(request["drawing"])
        elif "picture" in request:
            prepared, header["picture"] = self.preparation.prepare_picture(request["picture"]), True
        elif "test" in request:
            image, header["test"] = self.find_test_image(request)
            prepared = self.preparation.prepare_image(image)
        else:
            raise DataError("a request of an unknown kind; expected a drawing, a picture or an "
                            "image of the test set")
        outputs = [eye.see(prepared.image) for eye in self.eyes]
        header.update(box=prepared.box, centre=prepared.centre,
                      milliseconds=1000 * (time.perf_counter() - begin))
        return prepared, messages.pack(header, [as_floats(prepared.image)] + [
            array for output in outputs for array in output[1:]])

    def read_test_set(self):
        """The test images and labels, arrays in the numbers of the networks; read when they are
        first needed."""
        if self.test_set is None:
            self.test_set = networks.fit_datasets(self.eyes[0], open_arrays(self.dataset))[2]
        return self.test_set

    def find_test_image(self, request):
        """An image of the test set, uint8 of shape image_shape, and what the page says of it.

        With "step" 1 or -1 it is the next or the one before the number in "test"; with "wrong", the
        first from there that the first network misclassifies.
        """
        x, y = self.read_test_set()
        n = len(y)
        index = messages.read_index(request, "test", n)
        step = request.get("step", 0)
        if step not in (1, 0, -1):
            raise DataError(f"step {step!s:.40}; expected 1, 0 or -1")
        rows = (index + step + numpy.arange(n) * (step or 1)) % n
        if request.get("wrong"):
            for start in range(0, n, IMAGES_AT_ONCE):
                chunk = rows[start:start + IMAGES_AT_ONCE]
                wrong = self.eyes[0].predict(as_floats(x[chunk], self.described.pixels)) != y[chunk]
                if wrong.any():
                    index = int(chunk[wrong.argmax()])
                    break
            else:
                raise DataError(f"all {n} images of the test set are classified correctly")
        else:
            index = int(rows[0])
        image = as_bytes(x[index:index + 1], self.described.pixels)
        return image.reshape(self.described.image_shape), {"index": index, "n": n,
                                                           "label": int(y[index])}

    def execute(self, request, prepared):
        """Do what a request asks for, or raise a DataError; return a line that says so, or None.

        The request has "keep", the class of what is drawn and ``prepared``, "train", the options of
        a new training, or "command", one of ``lenet.page.trainer.COMMANDS``.
        """
        if "keep" in request:
            return self.keep_drawing(prepared, messages.read_index(request, "keep",
                                                                   len(self.described.class_names)))
        if self.training is None:
            raise DataError("this page does not train; start it with --train")
        if "train" in request:
            return self.training.start(request["train"])
        return self.training.send_command(request["command"])

    def keep_drawing(self, prepared, label):
        """Keep an image in the folder of its right class; return a line that says so."""
        if prepared is None:
            raise DataError("nothing is drawn that could be kept")
        name = self.described.class_names[label]
        if "/" in name or "\\" in name or name.startswith("."):
            raise DataError(f"class {name!r} cannot be the name of a folder")
        if self.n_kept >= MAX_KEPT_DRAWINGS:
            raise DataError(f"{MAX_KEPT_DRAWINGS} drawings are kept; start the page again for more")
        folder = os.path.join(self.keep, name)
        make_folder(folder, "name another one with --keep")
        path = os.path.join(folder, time.strftime("%Y%m%d-%H%M%S-") + f"{self.n_kept:05d}.png")
        with write_beside(path) as file:
            make_image(prepared.image).save(file, "PNG")
        self.n_kept += 1
        return f"kept as {path}"


def open_page(paths, dataset=None, keep="drawings"):
    """The Page of one or two saved networks.

    Raises a UsageError if there are more, or if they are for different images or classes, and a
    DataError if a file cannot be read.

    Parameters
    ----------
    paths : list of str
        Model files, or folders of runs.
    dataset : str, optional
        Whose test set is shown; by default that of the first run.
    keep : str
        See Page.
    """
    if len(paths) > 2:
        raise UsageError(f"{len(paths)} networks; expected one, or two to compare")
    eyes = [load_eye(path) for path in paths]
    for what in ("image_shape", "class_names", "preparation", "pixels"):
        found = [getattr(eye, what) for eye in eyes]
        if found[0] != found[-1]:
            raise UsageError(f"{paths[1]}: {what} {found[1]!s:.80}, but {paths[0]} has "
                             f"{found[0]!s:.80}; compare networks for the same images and classes")
    page = Page(eyes[0].saved, dataset_of(paths[0], dataset), keep)
    page.eyes, page.names = eyes, shorten_paths(paths)
    page.watchers = [Watcher(path, eye) for path, eye in zip(paths, eyes)]
    return page


def open_training(dataset=None, keep="drawings"):
    """The Page that trains LeNet-5 on a dataset; see ``open_page``."""
    dataset = dataset or "mnist.pkl.gz"
    datasets = open_arrays(dataset)
    image_shape_of(datasets, least=16)
    return Page(networks.SavedModel(None, datasets.class_names, tuple(datasets.image_shape),
                                    datasets.preparation, datasets.pixels), dataset, keep,
                Training(dataset))
