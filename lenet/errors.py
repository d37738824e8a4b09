"""The kinds of failure that end a command in one line."""


class UsageError(ValueError):
    """An argument that cannot work: a learning rate of zero, say. Exit status 2."""


class DataError(ValueError):
    """A file that cannot be read or written, or holds something else than expected: status 1."""


class TrainingError(ArithmeticError):
    """Training that cannot go on, since the cost is no longer a finite number: status 1."""


class Interrupted(KeyboardInterrupt):
    """A signal ended the training: status 128 + its number.

    Parameters
    ----------
    message : str
        What to do next.
    signal : int
        The number of the signal.
    """

    def __init__(self, message, signal):
        super().__init__(message)
        self.signal = signal


def one_line(error):
    """The beginning of what an exception says, which a damaged file may have filled with junk."""
    text = " ".join(str(error).split())[:100] or type(error).__name__
    return "".join(character if character.isprintable() else "?" for character in text)
