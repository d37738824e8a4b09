"""How every command ends: an error is one line on standard error, and an exit status."""

import codecs
import os
import signal
import sys

from lenet.errors import DataError, Interrupted, TrainingError, UsageError
from lenet.parallel import ranks

WRONG_USAGE, FAILED = 2, 1

ERROR_HANDLER = "lenet.written"  # its name among those of codecs


def run(main):
    """Call ``main`` and end the process, reporting an error in one line.

    0: done; 1: a file or the training failed; 2: wrong usage; 130: Ctrl-C; 143: SIGTERM.
    """
    prepare_streams()
    before = signal.getsignal(signal.SIGTERM)
    if before is signal.SIG_DFL:  # clean up as after Ctrl-C
        signal.signal(signal.SIGTERM, terminate)
    try:
        status = call_main(main)
    finally:
        signal.signal(signal.SIGTERM, before)
    try:
        sys.stdout.flush()
    except OSError:  # it is gone; Python flushes it again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def run_training(main):
    """As ``run``, for a command that trains, alone or as one of the ranks of ``mpiexec``."""
    def join_and_train():
        ranks.join()
        return main()

    with ranks.end_together():
        run(join_and_train)


def call_main(main):
    """Call ``main``, print a line for an error, and return the exit status."""
    try:
        status = main() or 0
        sys.stdout.flush()
        return status
    except (UsageError, DataError, TrainingError) as error:
        return fail(error, error.status)
    except KeyboardInterrupt as interrupt:
        return fail(str(interrupt) or "interrupted",
                    128 + getattr(interrupt, "signal", signal.SIGINT))
    except BrokenPipeError:
        return FAILED  # the reader of our output is gone
    except OSError as error:
        return fail(error if error.filename else
                    f"standard output cannot be written ({error.strerror})", FAILED)
    except MemoryError as error:
        first_line = str(error).partition("\n")[0]
        return fail(f"more memory is needed than there is: {first_line}", FAILED)


def prepare_streams():
    """Let any file name be read and printed, and replace a closed stream."""
    codecs.register_error(ERROR_HANDLER, replace_character)
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, ERROR_HANDLER)):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))


def terminate(number, frame):
    raise Interrupted("terminated", number)


def replace_character(error):
    """How to write a character that the encoding lacks: an undecodable byte of a file name as that
    byte, any other escaped, as in \\xfc."""
    character, after = error.object[error.start], error.start + 1
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xdc00]), after
    return character.encode("ascii", "backslashreplace").decode(), after


def warn(message):
    """Print a message in one line on standard error."""
    print(f"{os.path.basename(sys.argv[0])}: {' '.join(str(message).split())}", file=sys.stderr)


def fail(reason, status):
    """Print the reason in one line on standard error."""
    warn(reason)
    return status


def report_failures(results, failed):
    """The same results, whose first is a path and whose last is None or an error: each error is
    reported in one line, and its path is added to the list ``failed``."""
    for result in results:
        path, *_, error = result
        if error is not None:
            failed.append(path)
            fail(error, FAILED)
        yield result
