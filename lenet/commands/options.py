"""The options of commands: declared in the same way, and those that all trainings share."""

import argparse
import inspect

from lenet.commands.ending import WRONG_USAGE
from lenet.data.arrays import FRACTION
from lenet.installed import command_line
from lenet.parallel.ranks import TIMEOUT

# Those of lenet.networks.ACTIVATIONS that a hidden layer can have by option.
ACTIVATIONS = ("tanh", "sigmoid", "relu", "softplus")


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Gives the default of each option that has a value by default."""

    def _get_help_string(self, action):
        if action.default is None or isinstance(action.default, bool):
            return action.help
        if isinstance(action.default, tuple):
            return f"{action.help} (default: {' '.join(map(str, action.default))})"
        return super()._get_help_string(action)


class SizeAction(argparse.Action):
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
    trains : sequence of functions, optional
        What a command calls with its options, of which it takes the defaults.
    epochs : str or None
        The option for the number of epochs, if a run may be made longer.
    """

    def __init__(self, description, example, trains=(), epochs="n_epochs"):
        self.defaults = {}
        super().__init__(
            description=description,
            epilog="example: " + command_line(example),
            formatter_class=HelpFormatter,
        )
        self.of_network = ()
        self.epochs = epochs
        for function in trains:
            for name, parameter in inspect.signature(function).parameters.items():
                self.defaults[name] = parameter.default

    def add_argument(self, *names, **described):
        """Add an option; one without a default has that of the argument of the same name."""
        action = super().add_argument(*names, **described)
        if "default" not in described:
            action.default = self.defaults.get(action.dest, action.default)
        return action

    def error(self, message):
        """Say in one line what is wrong with the arguments."""
        self.exit(WRONG_USAGE, f"{self.prog}: {message}; see --help\n")

    def add_dataset(self, of_run=False):
        """Add the option --dataset; ``of_run``: None by default, where a run may tell."""
        self.add_argument("--dataset", metavar="SET",
                          default=None if of_run else "mnist.pkl.gz",
                          help="path of a dataset, or a name looked up here and in data/"
                               + ("; by default that of the run" if of_run else ""))

    def add_fractions(self):
        """Add the options of what is held back where a dataset has no other sets."""
        for name, purpose in (("validation", "validation"), ("test", "testing")):
            self.add_argument(f"--{name}-fraction", type=float, default=FRACTION, metavar="F",
                              help=f"of the training images of each class, held back for {purpose} "
                                   "where the dataset has none for it")

    def add_sgd(self, seed="seed of the initial parameters",
                learning_rate="factor of the gradient in each step"):
        """Add the options of stochastic gradient descent; the arguments are their help."""
        self.add_argument("--learning-rate", type=float, metavar="RATE", help=learning_rate)
        self.add_argument("--n-epochs", type=int, metavar="N",
                          help="maximal number of passes over the training set")
        self.add_argument("--batch-size", type=int, metavar="N", help="examples per minibatch")
        if seed:
            self.add_argument("--seed", type=parse_seed, metavar="N", help=seed)

    def add_sizes(self, name, of):
        """Add an option for the size of something, such as the filters of two layers."""
        self.add_argument(name, type=parse_size, nargs="+", action=SizeAction, metavar="SIZE",
                          help=f"size of the {of}: one for both layers or one for each; 5, or 5x7 "
                               "for 5 rows and 7 columns")

    def add_hidden(self):
        """Add the options of a hidden layer, L2 regularization, momentum and a falling rate."""
        self.add_argument("--n-hidden", type=int, metavar="N", help="units of the hidden layer")
        self.add_argument("--activation", choices=ACTIVATIONS, default="tanh",
                          help="the non-linearity")
        self.add_argument("--dropout", type=float, default=0.0, metavar="P",
                          help="fraction of the hidden units left out in training")
        self.add_argument("--L2-reg", type=float, metavar="FACTOR",
                          help="factor of the sum of the weights' squares in the cost")
        self.add_argument("--momentum", type=float, default=0.0, metavar="FRACTION",
                          help="fraction of each step that is added to the next one")
        self.add_argument("--learning-rate-decay", type=float, default=1.0, metavar="FACTOR",
                          help="factor of the learning rate after each epoch")
        self.add_argument("--warmup", type=int, default=0, metavar="N",
                          help="epochs in which the learning rate rises to its value")

    def add_transfer(self, *of_network):
        """Add the options of beginning with the layers of another run.

        Parameters
        ----------
        of_network : str
            The options of which the values are then that run's: those that shape its layers, or
            the numbers that these take.
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
        self.add_source()
        kept = self.add_mutually_exclusive_group()
        kept.add_argument("--output", metavar="RUN",
                          help="keep the training in this new folder: parameters, log, curves")
        kept.add_argument("--resume", metavar="RUN",
                          help="go on with the training in this folder, with its options")
        return kept

    def add_own_images(self):
        """Add the options for images of one's own: settings by their number, weights by class."""
        self.add_argument("--own-images", action="store_true",
                          help="for images of your own: choose the size of the minibatches, the "
                               "learning rate, the momentum and the number of epochs by the number "
                               "of images, with --shuffle, --standardize and, for few images, "
                               "--keep-last; options that are typed stay as they are")
        self.add_argument("--class-weights", choices=("balanced",),
                          help="balanced: let all classes count the same in the cost, however few "
                               "images some have")

    def add_standardize(self):
        """Add the option of other numbers for the same pixels."""
        self.add_argument("--standardize", action="store_true",
                          help="give each channel of the training set mean 0 and standard "
                               "deviation 1, and all other images the same; for photographs")

    def add_source(self):
        """Add the options of the dataset, and of the processes that share it."""
        self.add_dataset()
        self.add_fractions()
        self.add_argument("--shuffle", action="store_true",
                          help="train in another order in each epoch, which the seed decides")
        self.add_argument("--keep-last", action="store_true",
                          help="keep the network of the last epoch instead of the best one, which "
                               "a few validation images cannot tell; all epochs are trained")
        self.add_argument("--chunk-mb", type=float, metavar="MB",
                          help="if the three sets take more than this as floats, train chunk by "
                               "chunk: two chunks take no more")
        self.add_argument("--shards", type=int, default=1, metavar="K",
                          help="split each minibatch into this many parts, which the processes of "
                               "mpiexec share")
        self.add_argument("--timeout", type=float, default=TIMEOUT, metavar="S",
                          help="seconds that a process of mpiexec waits for another one")


def parse_size(text):
    """[rows, columns] that were typed as 5x7, or as 5 for [5, 5]."""
    size = text.split("x")
    if len(size) > 2 or not all(number.isdecimal() and int(number) > 0 for number in size):
        raise argparse.ArgumentTypeError(f"{text}; expected a positive number such as 5, or rows x "
                                         "columns such as 5x7")
    return [int(size[0]), int(size[-1])]


def parse_seed(text):
    """The seed that was typed, which NumPy can take."""
    if not (text.isdigit() and int(text) < 2 ** 32):
        raise argparse.ArgumentTypeError(f"{text}; expected a number from 0 to 2 ** 32 - 1")
    return int(text)
