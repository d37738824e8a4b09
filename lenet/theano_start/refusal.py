"""What the start says: one line on standard error, and the end where Theano cannot work."""

import sys


class SetupError(SystemExit):
    """Theano is not started; the reason has been said in one line (exit status 2)."""

    def __init__(self, reason, status=2):
        say(reason)
        self.reason = reason
        super().__init__(status)


def say(line):
    """Print one line about the set-up on standard error."""
    print("lenet: " + line, file=sys.stderr, flush=True)
