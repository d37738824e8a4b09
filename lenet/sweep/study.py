"""What a sweep tries: values of a script's options, and a trial for each choice among them.

    STUDY/study.json    the options
    STUDY/NAME/         a trial, which is a run: see lenet.runs.run
    STUDY/NAME.txt      what it printed
    STUDY/table.csv     the results: see lenet.sweep.table
    STUDY/table.png     the same as a picture
"""

import hashlib
import json
import math
import os
import random
import runpy
from collections import namedtuple
from urllib.parse import quote

from lenet.data.files import make_folder, make_read_error, write_beside
from lenet.errors import DataError, UsageError
from lenet.installed import find_resources, option_name
from lenet.runs.run import list_others, lock_folder

SCRIPTS = ("convolutional_mlp", "lenet5_1998", "logistic_sgd", "mlp", "network3")

# Where a run is kept is not for a study to choose.
NOT_SWEPT = ("output", "resume", "load")

# name: of its folder; values: {option: text} of the options with several values; arguments: the
# command line but for --output; epochs: the most that it may take
Trial = namedtuple("Trial", "name values arguments epochs")


class Study:
    """The options of a sweep.

    Raises a UsageError if there are fewer points than ``n_random``, or if the epochs of the trials
    cannot be halved. A value that the script's parser refuses ends the process as it would there.

    Parameters
    ----------
    script : str
        One of ``SCRIPTS``.
    options : dict of str to list of str
        The values to try of each option, as they are typed: {"--nkerns": ["20,50", "6,16"]}.
    n_random : int, optional
        Try only as many points of the grid, drawn without replacement.
    random_seed : int
        Seed of that draw.
    halving : bool
        Whether to stop trials early: see ``rungs``.

    Attributes
    ----------
    trials : list of Trial
    varied : list of str
        The options with several values.
    epochs_name : str
        The argument that is the number of epochs.
    """

    def __init__(self, script, options, n_random=None, random_seed=0, halving=False):
        self.script, self.options = script, options
        self.n_random, self.random_seed, self.halving = n_random, random_seed, halving
        self.parser = load_parser(script)
        self.actions = list_actions(self.parser)
        self.epochs_name = "epochs" if "--epochs" in self.actions else "n_epochs"
        for option, texts in options.items():
            for text in texts:
                self.parser.parse_args(self.split_words(option, text))
        self.varied = [option for option, texts in options.items() if len(texts) > 1]
        if halving and self.parser.epochs is None:
            raise UsageError(f"--halving makes trainings longer, which {script}.py cannot; leave "
                             "it out")
        if halving and option_name(self.epochs_name) in self.varied:
            raise UsageError("--halving chooses the epochs; give "
                             f"{option_name(self.epochs_name)} one value, the most")
        n_points = math.prod(map(len, options.values()))
        points = range(n_points)
        if n_random is not None:
            if not 1 <= n_random <= n_points:
                raise UsageError(f"--random {n_random}; expected at least 1 and at most {n_points},"
                                 " the number of points of the grid")
            points = sorted(random.Random(random_seed).sample(points, n_random))
        self.trials = [self.make_trial(point) for point in points]

    def split_words(self, option, text):
        """A value as it stands on a command line: ["--nkerns", "20", "50"] for "20,50"; a switch
        for "yes", nothing for "no"."""
        n = self.actions[option].nargs
        if n == 0:
            if text not in ("yes", "no"):
                raise UsageError(f"{option} {text}; expected yes or no")
            return [option] * (text == "yes")
        words = [text] if n is None else text.split(",")
        if isinstance(n, int) and len(words) != n:
            raise UsageError(f"{option} {text}; expected {n} numbers with a comma, such as 20,50")
        return [option] + words

    def make_trial(self, point):
        """The Trial of a point of the grid, numbered from 0; the last option varies fastest."""
        chosen = {}
        for option, texts in reversed(self.options.items()):
            point, index = divmod(point, len(texts))
            chosen[option] = texts[index]
        values = {option: chosen[option] for option in self.varied}
        name = "_".join(f"{option[2:]}={quote(text, safe=',')}" for option, text in values.items())
        if len(name) > 200:  # with an ending, file systems take 255 characters
            name = hashlib.sha256(name.encode()).hexdigest()[:16]
        arguments = [word for option in self.options
                     for word in self.split_words(option, chosen[option])]
        epochs = getattr(self.parser.parse_args(arguments), self.epochs_name)
        return Trial(name or "trial", values, arguments, epochs)

    def as_dict(self):
        return {"script": self.script, "options": self.options, "random": self.n_random,
                "random_seed": self.random_seed, "halving": self.halving}

    def open(self, folder):
        """Take the folder of the study, which is new, empty, or has the same options.

        Raises a UsageError if the folder holds something else, and a DataError if it cannot be made
        or read, or if another sweep is using it.

        Returns
        -------
        (file, int or None)
            Keep the file open: it keeps other sweeps out of the folder. The threads of a trial, if
            the study was begun earlier.
        """
        make_folder(folder)
        lock = lock_folder(folder)
        path = os.path.join(folder, "study.json")
        if not os.path.exists(path):
            found = [name for name in list_others(folder) if not name.startswith("study.json.")]
            if found:
                raise UsageError(f"{folder}: holds {found[0]}, but no study; name a new or an "
                                 "empty folder")
            return lock, None
        try:
            with open(path) as file:
                begun_with = json.load(file)
            threads = int(begun_with.pop("threads"))
            begun_with.update(begun_with.pop("options"))
        except OSError as error:
            raise make_read_error(path, error) from None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: no options of a study ({error!r:.80}); name another folder"
                            ) from None
        asked = self.as_dict()
        asked.update(asked.pop("options"))
        for name in {**begun_with, **asked}:
            if begun_with.get(name) != asked.get(name):
                begun, now = format_value(begun_with.get(name)), format_value(asked.get(name))
                raise UsageError(f"{folder}: a study of other options ({name} {begun}, not {now}); "
                                 "give the same ones, or name another folder, or delete this one")
        return lock, threads

    def save(self, folder, threads):
        """Write the options and the threads of a trial, which make the study what it is."""
        with write_beside(os.path.join(folder, "study.json")) as file:
            file.write((json.dumps(dict(self.as_dict(), threads=threads), indent=2) + "\n")
                       .encode())

    def rungs(self):
        """How many trials are trained until which epoch: [(n, epochs), ...].

        Successive halving trains all for a few epochs, then the better half for twice as many,
        and so on, each time from where they stopped; the last rung has all the epochs. There are as
        many rungs as leave one trial at the end and at least one epoch at the beginning: (12, 1),
        (6, 2), (3, 5), (2, 10), (1, 20) for 12 trials of 20 epochs. Each costs about the same.

        Source: K. Jamieson, A. Talwalkar, "Non-stochastic best arm identification and
        hyperparameter optimization", AISTATS 2016, figure 3.
        """
        n, epochs = len(self.trials), max(trial.epochs for trial in self.trials)
        if not self.halving:
            return [(n, None)]
        # ceil(log2(n)) and floor(log2(epochs)) in whole numbers.
        n_cuts = min((n - 1).bit_length(), max(epochs, 1).bit_length() - 1)
        return [(-(-n // 2 ** cut), epochs >> n_cuts - cut) for cut in range(n_cuts + 1)]


def find_script(name):
    return os.path.join(find_resources(), "scripts", name + ".py")


def load_parser(script):
    """The parser of a script's options."""
    return runpy.run_path(find_script(script))["options"]()


def list_actions(parser):
    """The options of a script's parser that a study can choose: {"--nkerns": its action}."""
    return {action.option_strings[0]: action for action in parser._actions
            if action.option_strings and action.dest not in NOT_SWEPT
            and (action.nargs != 0 or action.const is True)}  # no --help


def format_value(value):
    """The value of an option, as it is typed."""
    if value is None:
        return "left out"
    if isinstance(value, list):
        value = " ".join(value)
    return f"{value!s:.100}"
