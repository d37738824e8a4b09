"""The options of commands: parsed in the same way, and those that all trainings share."""

import argparse

from lenet.commands.ending import WRONG_USAGE
from lenet.data.files import as_typed
from lenet.errors import DataError, UsageError


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Gives the default of each option that has a value by default."""

    def _get_help_string(self, action):
        if action.default is None or isinstance(action.default, bool):
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An argument parser whose help gives the defaults and an example.

    Parameters
    ----------
    description : str
        What the command does.
    example : str
        A command line that works.
    """

    def __init__(self, description, example):
        super().__init__(
            description=description,
            epilog="example: " + as_typed(example),
            formatter_class=HelpFormatter,
        )

    def error(self, message):
        """Say in one line what is wrong with the arguments."""
        self.exit(WRONG_USAGE, "%s: %s; see --help\n" % (self.prog, message))

    def add_dataset(self, of_run=False):
        """Add the option --dataset; ``of_run``: None unless given, where a run may tell."""
        self.add_argument("--dataset", metavar="SET",
                          default=None if of_run else "mnist.pkl.gz",
                          help="path of a dataset, or a name looked up here and in data/"
                               + ("; that of the run unless given" if of_run else ""))

    def add_training(self):
        """Add the options that all commands that train have.

        Returns
        -------
        argparse group
            The options of which one may be given: --output, --resume.
        """
        self.add_dataset()
        self.add_argument("--chunk-mb", type=float, metavar="MB",
                          help="if the three sets take more than this as floats, train chunk by "
                               "chunk: two chunks take no more")
        kept = self.add_mutually_exclusive_group()
        kept.add_argument("--output", metavar="RUN",
                          help="keep the training in this new folder: parameters, log, curves")
        kept.add_argument("--resume", metavar="RUN",
                          help="go on with the training in this folder, with its options")
        return kept

    def parse_training(self, epochs="n_epochs"):
        """Parse the command line of a training.

        Parameters
        ----------
        epochs : str or None
            The option for the number of epochs, if a run may be made longer.

        Returns
        -------
        dict
            The options by name, and ``run``: the lenet.saved.run.Run of --output or --resume, or
            None.
        """
        options = vars(self.parse_args())
        output, folder = options.pop("output"), options.pop("resume")
        if output is None and folder is None:
            return dict(options, run=None)
        from lenet.saved.run import (
            Run,  # draws curves: slow to import, and not needed without a run
        )

        if folder is None:
            return dict(options, run=Run.create(output, dict(options, command=self.prog)))
        run = Run.resume(folder)
        begun_with = dict(run.settings)
        command = begun_with.pop("command", None)
        if command != self.prog:
            raise UsageError("%s: a run of %s; go on with that command" % (folder, command))
        known = {action.dest: action for action in self._actions}
        for name, value in begun_with.items():
            if name not in known or not could_be(known[name], value):
                raise DataError("%s: begun with the option %s = %.40r, which %s does not have; "
                                "begin another run with --output"
                                % (folder, name, value, self.prog))
        # The run's options are the defaults, and those that were typed must not differ.
        self.set_defaults(**begun_with)
        options = vars(self.parse_args())
        for name, value in begun_with.items():
            if options[name] != value and name not in ("dataset", "chunk_mb", epochs):
                raise UsageError("--%s %s, but %s was begun with %s; leave the option out, or "
                                 "begin another run with --output"
                                 % (name.replace("_", "-"), options[name], folder, value))
        if epochs in begun_with and options[epochs] < run.epochs_done:
            raise UsageError("--%s %d, but %s has been trained for %d epochs; name more, or "
                             "begin another run with --output"
                             % (epochs.replace("_", "-"), options[epochs], folder,
                                run.epochs_done))
        options = {name: options[name] for name in begun_with}
        run.settings = dict(options, command=self.prog)
        return dict(options, run=run)


def could_be(action, value):
    """Whether an option of the command line could have this value."""
    if action.nargs == 0:
        return isinstance(value, bool)
    if value is None:
        return action.default is None
    if action.nargs is None:
        value = [value]
    return isinstance(value, list) and all(type(one) is (action.type or str) for one in value)
