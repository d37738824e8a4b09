"""What every command does in the same way: options, one-line errors, exit statuses."""

import argparse
import os
import sys

from lenet.errors import DataError, TrainingError, UsageError

WRONG_USAGE, FAILED, INTERRUPTED = 2, 1, 130


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
            epilog="example: " + example,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )

    def error(self, message):
        """Say in one line what is wrong with the arguments."""
        self.exit(WRONG_USAGE, "%s: %s; see --help\n" % (self.prog, message))


def run(main):
    """Call ``main`` and end the process: wrong input is one line and its own exit status.

    0: done; 1: a file or the training failed; 2: wrong usage; 130: Ctrl-C.
    """
    try:
        status = main() or 0
        sys.stdout.flush()
    except UsageError as error:
        status = fail(error, WRONG_USAGE)
    except (DataError, TrainingError) as error:
        status = fail(error, FAILED)
    except KeyboardInterrupt:
        status = fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone: nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = FAILED
    except OSError as error:
        status = fail(error, FAILED)
    sys.exit(status)


def fail(reason, status):
    """Print the reason in one line on standard error."""
    print("%s: %s" % (os.path.basename(sys.argv[0]), " ".join(str(reason).split())),
          file=sys.stderr)
    return status
