"""An evaluation as text for a person, and as CSV for a program."""

import csv

import numpy

from lenet.figures.plots import shorten_name
from lenet.reports.alignment import align_columns, text_width
from lenet.reports.evaluation import count_confusions, find_mistakes, wilson_interval

WIDTH = 100  # columns: of a confusion matrix that is printed as one
LONGEST_NAME = 18  # characters of a class's name in a table
MOST_PAIRS = 20  # of classes, listed where the matrix is too wide


def write_text(file, evaluation, class_names, n_mistakes=10):
    """Write the error, a table of the classes, the confusion matrix and the worst mistakes.

    The Evaluation is that of ``lenet.reports.evaluation``; ``n_mistakes`` of the most confident
    mistakes are listed.
    """
    _, labels, probabilities = evaluation
    counts = count_confusions(labels, probabilities.argmax(axis=1), len(class_names))
    n_images, n_right = int(counts.sum()), int(counts.trace())
    print(f"error: {describe_share(n_images - n_right, n_images)} images", file=file)
    names = [shorten_name(name, LONGEST_NAME) for name in class_names]
    for lines in (tabulate_classes(counts, names), tabulate_confusions(counts, names),
                  list_mistakes(evaluation, class_names, n_mistakes)):
        if lines:
            print("", *lines, sep="\n", file=file)


def describe_share(n_hits, n_trials):
    """5.00 % (0.9 to 23.6 %), 1 of 20"""
    digits = 1 if n_trials < 1000 else 2  # more would claim what the interval denies
    return f"{describe_percentage(n_hits, n_trials, digits)}, {n_hits} of {n_trials}"


def describe_percentage(n_hits, n_trials, digits=1):
    """5.00 % (0.9 to 23.6 %), or - where there were no trials; the interval has ``digits`` after
    the point."""
    if not n_trials:
        return "-"
    low, high = wilson_interval(n_hits, n_trials)
    return (f"{100 * n_hits / n_trials:.2f} % ({100 * low:.{digits}f} to "
            f"{100 * high:.{digits}f} %)")


def tabulate_classes(counts, names):
    """Lines: for each class its images, how many are found (recall), and how many of what is taken
    for it are (precision)."""
    rows = [("class", "images", "predicted", "right", "recall", "precision")]
    for name, n_images, n_predicted, n_right in zip(names, counts.sum(axis=1), counts.sum(axis=0),
                                                    counts.diagonal()):
        rows.append((name, str(n_images), str(n_predicted), str(n_right),
                     describe_percentage(n_right, n_images),
                     describe_percentage(n_right, n_predicted)))
    return align_columns(rows)


def tabulate_confusions(counts, names):
    """Lines: the confusion matrix where it is narrow enough, otherwise which classes are most often
    taken for others."""
    headings, sides = names, names
    if max(map(text_width, names)) > 4:  # names only at the rows, with the columns' numbers
        headings = [str(number) for number in range(len(names))]
        sides = [f"{number} {name}" for number, name in enumerate(names)]
    rows = [("", *headings)] + [(side, *(str(count) if count else "." for count in row))
                                for side, row in zip(sides, counts)]
    lines = align_columns(rows)
    if max(map(text_width, lines)) <= WIDTH:
        return ["confusion matrix: rows are the right class, columns the prediction", *lines]
    return list_pairs(counts, names)


def list_pairs(counts, names):
    """Lines: the classes that are most often taken for others."""
    wrong = counts - numpy.diag(counts.diagonal())
    n_pairs = int((wrong > 0).sum())
    most_frequent = numpy.argsort(-wrong, axis=None, kind="stable")[:min(MOST_PAIRS, n_pairs)]
    rows = [("right class", "prediction", "images")]
    for right, predicted in zip(*numpy.unravel_index(most_frequent, wrong.shape)):
        rows.append((names[right], names[predicted],
                     f"{wrong[right, predicted]} of {counts[right].sum()}"))
    shown = "all" if n_pairs <= MOST_PAIRS else f"the {MOST_PAIRS} most frequent of"
    return [f"{shown} {n_pairs} pairs of a class and a wrong prediction; --csv writes the matrix",
            *align_columns(rows)] if n_pairs else []


def list_mistakes(evaluation, class_names, most):
    """Lines: the most confident mistakes."""
    mistakes = find_mistakes(evaluation.labels, evaluation.probabilities)[:most]
    lines = ["the most confident mistakes"] if len(mistakes) else []
    for number in mistakes:
        of_image, right = evaluation.probabilities[number], evaluation.labels[number]
        predicted = of_image.argmax()
        lines.append(f"{evaluation.names[number]}: {class_names[predicted]} "
                     f"({100 * of_image[predicted]:.1f} %), is {class_names[right]} "
                     f"({100 * of_image[right]:.1f} %)")
    return lines


def write_csv(file, evaluation, class_names):
    """Write a row for each class: its numbers as fractions, then how often it was taken for each.
    An empty cell stands for a fraction of no images."""
    counts = count_confusions(evaluation.labels, evaluation.probabilities.argmax(axis=1),
                              len(class_names))
    writer = csv.writer(file, lineterminator="\n")
    fractions = [what + end for what in ("recall", "precision") for end in ("", "_low", "_high")]
    writer.writerow(["class", "images", "predicted", "right", *fractions,
                     *(f"taken_for_{name}" for name in class_names)])
    for name, row, n_predicted, n_right in zip(class_names, counts, counts.sum(axis=0),
                                               counts.diagonal()):
        cells = []
        for n_trials in (row.sum(), n_predicted):
            values = (n_right / n_trials, *wilson_interval(n_right, n_trials)) if n_trials else ()
            cells += [f"{value:.6f}" for value in values] or [""] * 3
        writer.writerow([name, row.sum(), n_predicted, n_right, *cells, *row])
