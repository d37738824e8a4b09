"""The options of commands: parsed in the same way, and those that all trainings share."""

import argparse
import functools
import inspect
import json

from lenet.commands.ending import WRONG_USAGE
from lenet.errors import DataError, UsageError
from lenet.installed import as_typed
from lenet.parallel import ranks


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Gives the default of each option that has a value by default."""

    def _get_help_string(self, action):
        if action.default is None or isinstance(action.default, bool):
            return action.help
        if isinstance(action.default, tuple):
            return f"{action.help} (default: {' '.join(map(str, action.default))})"
        return super()._get_help_string(action)


class OneOrTwo(argparse.Action):
    """One size for both layers, or one for each."""

    def __call__(self, parser, namespace, values, option_string=None):
        if len(values) > 2:
            raise argparse.ArgumentError(self, f"{len(values)} sizes; expected one for both layers "
                                               "or one for each")
        setattr(namespace, self.dest, values if values[1:] not in ([], values[:1]) else values[0])


class Parser(argparse.ArgumentParser):
    """An argument parser whose help gives the defaults and an example.

    Parameters
    ----------
    description : str
        What the command does.
    example : str
        A command line that works.
    trains : function, optional
        The function that a command calls with its options, of which it takes the defaults.
    epochs : str or None
        The option for the number of epochs, if a run may be made longer.
    """

    def __init__(self, description, example, trains=None, epochs="n_epochs"):
        super().__init__(
            description=description,
            epilog="example: " + as_typed(example),
            formatter_class=HelpFormatter,
        )
        self.of_network = ()
        self.epochs = epochs
        if trains is not None:
            self.set_defaults(**{name: parameter.default for name, parameter
                                 in inspect.signature(trains).parameters.items()})

    def error(self, message):
        """Say in one line what is wrong with the arguments."""
        self.exit(WRONG_USAGE, f"{self.prog}: {message}; see --help\n")

    def add_dataset(self, of_run=False):
        """Add the option --dataset; ``of_run``: None by default, where a run may tell."""
        self.add_argument("--dataset", metavar="SET",
                          default=None if of_run else "mnist.pkl.gz",
                          help="path of a dataset, or a name looked up here and in data/"
                               + ("; by default that of the run" if of_run else ""))

    def add_sgd(self, seed="seed of the initial parameters",
                learning_rate="factor of the gradient in each step"):
        """Add the options of stochastic gradient descent; the arguments are their help."""
        self.add_argument("--learning-rate", type=float, metavar="RATE", help=learning_rate)
        self.add_argument("--n-epochs", type=int, metavar="N",
                          help="maximal number of passes over the training set")
        self.add_argument("--batch-size", type=int, metavar="N", help="examples per minibatch")
        if seed:
            self.add_argument("--seed", type=whole_seed, metavar="N", help=seed)

    def add_sizes(self, name, of):
        """Add an option for the size of something, such as the filters of two layers."""
        self.add_argument(name, type=rows_and_columns, nargs="+", action=OneOrTwo, metavar="SIZE",
                          help=f"size of the {of}: one for both layers or one for each; 5, or 5x7 "
                               "for 5 rows and 7 columns")

    def add_hidden(self, activations):
        """Add the options of a hidden layer, L2 regularization, momentum and a falling rate."""
        self.add_argument("--n-hidden", type=int, metavar="N", help="units of the hidden layer")
        self.add_argument("--activation", choices=activations, help="the non-linearity")
        self.add_argument("--dropout", type=float, metavar="P",
                          help="fraction of the hidden units left out in training")
        self.add_argument("--L2-reg", type=float, metavar="FACTOR",
                          help="factor of the sum of the weights' squares in the cost")
        self.add_argument("--momentum", type=float, metavar="FRACTION",
                          help="fraction of each step that is added to the next one")
        self.add_argument("--learning-rate-decay", type=float, metavar="FACTOR",
                          help="factor of the learning rate after each epoch")
        self.add_argument("--warmup", type=int, metavar="N",
                          help="epochs in which the learning rate rises to its value")

    def add_transfer(self, *of_network):
        """Add the options of beginning with the layers of another run.

        Parameters
        ----------
        of_network : str
            The options of which the values are then that run's: those that shape its layers.
        """
        self.of_network = of_network
        self.add_argument("--from", metavar="RUN",
                          help="begin with the layers of the network in this folder, and train a "
                               "new last layer, for the classes of the dataset")
        self.add_argument("--fine-tune", action="store_true",
                          help="with --from, train the other layers too")

    def add_run(self):
        """Add the options of the dataset and of keeping a run.

        Returns
        -------
        argparse group
            The options of which one may be given: --output, --resume.
        """
        self.add_dataset()
        self.add_argument("--chunk-mb", type=float, metavar="MB",
                          help="if the three sets take more than this as floats, train chunk by "
                               "chunk: two chunks take no more")
        self.add_argument("--shards", type=int, default=1, metavar="K",
                          help="split each minibatch into this many parts, which the processes of "
                               "mpiexec share")
        self.add_argument("--timeout", type=float, default=ranks.TIMEOUT, metavar="S",
                          help="seconds that a process of mpiexec waits for another one")
        kept = self.add_mutually_exclusive_group()
        kept.add_argument("--output", metavar="RUN",
                          help="keep the training in this new folder: parameters, log, curves")
        kept.add_argument("--resume", metavar="RUN",
                          help="go on with the training in this folder, with its options")
        return kept

    def parse_training(self):
        """Parse the command line of a training.

        Returns
        -------
        dict
            The options by name, and ``run``: the lenet.runs.run.Run of --output or --resume, or
            None. Only rank 0 has a run; the others have its options.
        """
        world = ranks.world
        options = self.parse_alone() if world.rank == 0 else {}
        run = options.pop("run", None)
        options, world.timeout = world.share((options, world.timeout))
        return dict(options, run=run)

    def parse_alone(self):
        """As ``parse_training``, in one process or in rank 0."""
        options = vars(self.parse_args())
        ranks.world.timeout = options.pop("timeout")
        if not ranks.world.timeout > 0:
            raise UsageError(f"--timeout {ranks.world.timeout}; expected a positive number of "
                             "seconds")
        output, folder = options.pop("output"), options.pop("resume")
        for name in ("run", "begin_with"):  # arguments of the function, but no options
            options.pop(name, None)
        run, source = None, options.get("from")
        if folder is not None or source is not None or output is not None:
            from lenet.runs.run import Run, read_state  # draws curves, which is slow to import
        if folder is not None:
            run = Run.resume(folder)
            options = self.options_of(run, options)
        else:
            if source is not None:
                options = self.with_network_of(source, read_state(source).settings, options)
            elif options.get("fine_tune"):
                raise UsageError("--fine-tune trains the layers of another run; name it with "
                                 "--from")
            if output is not None:
                run = Run.create(output, {})
        if run is not None:
            run.settings = dict(options, command=self.prog)
        if self.of_network:
            source, fine_tune = options.pop("from"), options.pop("fine_tune")
            if source is not None:
                from lenet.networks.transfer import begin_with

                # A run that is resumed has the parameters itself.
                options["begin_with"] = functools.partial(
                    begin_with, source if folder is None else None, fine_tune)
        return dict(options, run=run)

    def options_of(self, run, options):
        """The options of a run that is resumed; of those typed, only some may differ."""
        begun_with = dict(run.settings)
        command = begun_with.pop("command", None)
        for name in options:  # one that is newer than the run had its default, as JSON has it
            begun_with.setdefault(name, json.loads(json.dumps(self.get_default(name))))
        if command != self.prog:
            raise UsageError(f"{run.folder}: a run of {command}; go on with that command")
        for name, value in begun_with.items():
            if name not in options:
                raise DataError(f"{run.folder}: begun with the option {name} = {value!r:.40}, "
                                f"which {self.prog} does not have; begin another run with --output")
        options = self.parse_with(begun_with, run.folder, "begin another run with --output",
                                  may_differ=("dataset", "chunk_mb", self.epochs))
        if self.epochs in begun_with and options[self.epochs] < run.epochs_done:
            raise UsageError(f"{typed(self.epochs)} {options[self.epochs]}, but {run.folder} has "
                             f"been trained for {run.epochs_done} epochs; name more, or begin "
                             "another run with --output")
        return {name: options[name] for name in begun_with}

    def with_network_of(self, folder, settings, options):
        """The options, those of the network as another run has them."""
        if settings.get("command") != self.prog:
            raise UsageError(f"{folder}: a run of {settings.get('command')}; expected one of "
                             f"{self.prog}")
        kept = {name: settings[name] for name in self.of_network if name in settings}
        parsed = self.parse_with(kept, folder, "train without --from")
        return {name: parsed[name] for name in options}

    def parse_with(self, defaults, folder, otherwise, may_differ=()):
        """Parse with the options of a run as defaults, from which typed ones must not differ."""
        self.set_defaults(**defaults)
        options = vars(self.parse_args())
        for name, value in defaults.items():
            if options[name] != value and name not in may_differ:
                raise UsageError(f"{typed(name)} {options[name]}, but {folder} was begun with "
                                 f"{value}; leave the option out, or {otherwise}")
        return options


def typed(name):
    """The option that sets an argument: "--n-epochs" for "n_epochs"."""
    return "--" + name.replace("_", "-")


def rows_and_columns(text):
    """[rows, columns] that were typed as 5x7, or as 5 for [5, 5]."""
    size = text.split("x")
    if len(size) > 2 or not all(number.isdecimal() and int(number) > 0 for number in size):
        raise argparse.ArgumentTypeError(f"{text}; expected a positive number such as 5, or rows x "
                                         "columns such as 5x7")
    return [int(size[0]), int(size[-1])]


def whole_seed(text):
    """The seed that was typed, which NumPy can take."""
    if not (text.isdigit() and int(text) < 2 ** 32):
        raise argparse.ArgumentTypeError(f"{text}; expected a number from 0 to 2 ** 32 - 1")
    return int(text)
