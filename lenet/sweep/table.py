"""The results of a sweep: a row for each trial, the best first."""

import csv
import io
import os

from lenet.data.files import make_read_error, write_beside
from lenet.errors import DataError

# epochs: how many are done; validation: the least error so far, a fraction; test: the error on the
# test set after the same minibatch, which nothing is chosen by; stopped: "n_epochs", "patience",
# "halving", "diverged" or "failed"; reason: of the last two, in a line.
RESULTS = ("epochs", "validation", "test", "stopped", "reason")


def sort_rows(rows):
    """The rows by their validation error; those without one are last. Equal ones stay in order."""
    return sorted(rows, key=lambda row: (row["validation"] is None, row["validation"] or 0))


def write(folder, varied, rows):
    """Replace table.csv in the folder of a study: the name of a trial, its options, its results.

    ``varied`` are the options with several values: ["--seed"]. The rows are dicts with the values
    of ``RESULTS``, of "trial" and of the options, in the order of the trials.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, ["trial", *varied, *RESULTS], lineterminator="\n")
    writer.writerow({name: name.lstrip("-") for name in writer.fieldnames})
    writer.writerows(sort_rows(rows))
    with write_beside(os.path.join(folder, "table.csv")) as file:
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))


def read_diverged(folder):
    """What an earlier sweep wrote of the trials that diverged: {name: {column: value}}; a DataError
    if table.csv cannot be read."""
    path = os.path.join(folder, "table.csv")
    if not os.path.exists(path):
        return {}
    try:
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
            return {row["trial"]: {**{name: None for name in RESULTS}, "epochs": int(row["epochs"]),
                                   "stopped": "diverged", "reason": row["reason"]}
                    for row in csv.DictReader(file) if row["stopped"] == "diverged"}
    except OSError as error:
        raise make_read_error(path, error) from None
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: no table of a sweep ({error!r:.80}); remove it") from None


def describe_row(row):
    """A row in a line: "learning-rate=0.1: validation error 9.23 %, test error ..."."""
    if row["validation"] is None:
        return f"{row['trial']}: {row['stopped']}: {row['reason']}"
    return (f"{row['trial']}: validation error {100 * row['validation']:.2f} %, test error "
            f"{100 * row['test']:.2f} %, {row['epochs']} epochs")


def format_table(rows):
    """The table as it is printed."""
    width = max(len(row["trial"]) for row in rows)
    lines = [f"{'trial':{width}}  epochs  validation error  test error"]
    for row in sort_rows(rows):
        lines.append(f"{row['trial']:{width}}  {row['epochs']:6}  " + (
            f"{row['stopped']}: {row['reason']}" if row["validation"] is None else
            f"{100 * row['validation']:14.2f} %  {100 * row['test']:8.2f} %"))
    return "\n".join(lines)
