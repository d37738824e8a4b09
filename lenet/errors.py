"""The errors that a command reports in one line."""


class UsageError(ValueError):
    """An invalid argument, such as a learning rate of zero."""

    status = 2  # with which a command ends


class DataError(ValueError):
    """A file that cannot be read or written, or does not hold what was expected."""

    status = 1


class TrainingError(ArithmeticError):
    """A training cannot continue: its cost is not finite, or another process does not answer."""

    status = 1


class Interrupted(KeyboardInterrupt):
    """A signal, given by its number, ended the training; the message says what to do next."""

    def __init__(self, message, signal):
        super().__init__(message)
        self.signal, self.status = signal, 128 + signal


def one_line(error):
    """The beginning of what an exception says, which a damaged file may have filled with junk."""
    text = " ".join(str(error).split())[:100] or type(error).__name__
    return "".join(character if character.isprintable() else "?" for character in text)
