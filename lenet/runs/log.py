"""The log of a run as a table of comma-separated values, one row for each validation."""

import csv
import io

from lenet.data.files import make_read_error
from lenet.errors import DataError

COLUMNS = ("iteration", "epoch", "cost", "validation", "test", "seconds")


def format_log(rows):
    """The log as text: "iteration,epoch,..." and a line for each row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_log(path):
    """The rows of a log file, see ``Run.rows``; a DataError if it cannot be read or is no log."""
    try:
        with open(path, newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError(f"the columns are {reader.fieldnames!s:.80}")
            return [_parse_row(row) for row in reader]
    except OSError as error:
        raise make_read_error(path, error) from None
    except (ValueError, TypeError, csv.Error) as error:
        raise DataError(f"{path}: no log of a run ({error}); expected {','.join(COLUMNS)} and "
                        "numbers") from None


def _parse_row(cells):
    """A row of the log; only the test error may be missing from it."""
    row = {column: _parse_number(cells[column] or "") for column in COLUMNS}
    for column, value in row.items():
        if value is None and column != "test":
            raise ValueError(f"a row has no {column}")
    return row


def _parse_number(text):
    """The int or float that a cell of the log holds, or None for an empty one."""
    if text == "":
        return None
    return int(text) if text.isdigit() else float(text)
