"""What every command does in the same way: options, one-line errors, exit statuses."""

import argparse
import codecs
import os
import signal
import sys

from lenet.errors import DataError, Interrupted, TrainingError, UsageError
from lenet.files import as_typed

WRONG_USAGE, FAILED = 2, 1

# What Theano's convolution says; what Python and NumPy say of sizes beyond their own integers.
NO_MEMORY = "failed to allocate"
TOO_LARGE = ("int too large to convert", "Maximum allowed dimension", "array is too big")


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
            The options by name, and ``run``: the lenet.run.Run of --output or --resume, or None.
        """
        options = vars(self.parse_args())
        output, folder = options.pop("output"), options.pop("resume")
        if output is None and folder is None:
            return dict(options, run=None)
        from lenet.run import Run  # draws curves: slow to import, and not needed without a run

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


def run(main):
    """Call ``main`` and end the process: wrong input is one line and its own exit status.

    0: done; 1: a file or the training failed; 2: wrong usage; 130: Ctrl-C; 143: SIGTERM.
    """
    make_streams_ready()
    before = signal.getsignal(signal.SIGTERM)
    if before is signal.SIG_DFL:  # let what was begun be taken away, as after Ctrl-C
        signal.signal(signal.SIGTERM, terminate)
    try:
        status = status_of(main)
    finally:
        signal.signal(signal.SIGTERM, before)
    try:
        sys.stdout.flush()
    except OSError:  # nothing more can be said there, not even by Python at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def status_of(main):
    """Call ``main``; the exit status, after a line for what failed."""
    try:
        status = main() or 0
        sys.stdout.flush()
        return status
    except UsageError as error:
        return fail(error, WRONG_USAGE)
    except (DataError, TrainingError) as error:
        return fail(error, FAILED)
    except KeyboardInterrupt as interrupt:
        return fail(str(interrupt) or "interrupted",
                    128 + getattr(interrupt, "signal", signal.SIGINT))
    except BrokenPipeError:
        return FAILED  # whoever read our output has gone
    except OSError as error:
        return fail(error if error.filename else "standard output cannot be written (%s)"
                    % error.strerror, FAILED)
    except Exception as error:
        first_line = str(error).partition("\n")[0]
        if isinstance(error, MemoryError) or NO_MEMORY in first_line:
            return fail("more memory is needed than there is: " + first_line, FAILED)
        if any(words in first_line for words in TOO_LARGE):
            return fail("a number is too large to compute with: " + first_line, WRONG_USAGE)
        raise


def make_streams_ready():
    """Let file names be any bytes, write what the encoding lacks, replace what is closed."""
    codecs.register_error("lenet.command.written", written)
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "lenet.command.written")):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))


def terminate(number, frame):
    raise Interrupted("terminated", number)


def written(error):
    """How standard output writes a character that its encoding lacks: a byte of a file name that
    is no text as that byte, any other as \\xfc."""
    character, after = error.object[error.start], error.start + 1
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xdc00]), after
    return character.encode("ascii", "backslashreplace").decode(), after


def fail(reason, status):
    """Print the reason in one line on standard error."""
    print("%s: %s" % (os.path.basename(sys.argv[0]), " ".join(str(reason).split())),
          file=sys.stderr)
    return status
