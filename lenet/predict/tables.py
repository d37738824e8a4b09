"""Results as text, CSV or JSON, and the outputs of a layer as an array.

The writers take an open text file, an iterable of ``lenet.predict.results.Result``, the number of
classes of each, and the distance beyond which images were rejected, or None. They write each result
as it comes.
"""

import csv
import json

import numpy


def write_text(file, results, top, threshold):
    """image.png: 7 (99.8 %), 1 (0.1 %)"""
    for path, classes, distance, _ in results:
        if classes:
            print(path + ": " + ", ".join(f"{name} ({100 * probability:.1f} %)"
                                          for name, probability in classes)
                  + ("" if threshold is None else f"; distance {distance:.3g} of {threshold:.3g}"),
                  file=file)
        elif classes is not None:
            print(f"{path}: rejected (distance {distance:.3g}, more than {threshold:.3g})",
                  file=file)


def write_csv(file, results, top, threshold):
    """A row per image, with empty cells if it was rejected or could not be used."""
    writer = csv.writer(file, lineterminator="\n")
    numbers = [""] + [f"_{rank}" for rank in range(2, top + 1)]
    writer.writerow(["file"] + [name + number for number in numbers
                                for name in ("class", "probability")]
                    + ["distance"] * (threshold is not None))
    for path, classes, distance, _ in results:
        row = [path]
        for name, probability in classes or [("", None)] * top:
            row += [name, "" if probability is None else f"{probability:.6f}"]
        if threshold is not None:
            row.append("" if distance is None else f"{distance:.6g}")
        writer.writerow(row)


def write_json(file, results, top, threshold):
    """An object per image; "classes" is empty if it was rejected, null if it could not be used."""
    separator = "[\n"
    for path, classes, distance, _ in results:
        if classes is not None:
            classes = [{"class": name, "probability": probability}
                       for name, probability in classes]
        found = {"file": path, "classes": classes}
        if threshold is not None:
            found["distance"] = None if distance is None else float(distance)
        print(separator + json.dumps(found), end="", file=file)
        separator = ",\n"
    print("[]" if separator == "[\n" else "\n]", file=file)


def stack_rows(rows):
    """Arrays of one shape as one array, with NaN for each that is None."""
    rows = list(rows)
    shapes = {row.shape: row.dtype for row in rows if row is not None} or {(): "float32"}
    (shape, dtype), = shapes.items()
    stacked = numpy.full((len(rows),) + shape, numpy.nan, dtype)
    for number, row in enumerate(rows):
        if row is not None:
            stacked[number] = row
    return stacked
