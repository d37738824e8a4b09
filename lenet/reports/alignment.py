"""Tables as text."""

import unicodedata


def align_columns(rows, n_left=1):
    """Rows of cells as lines: the first ``n_left`` columns on the left, the others on the right."""
    widths = [max(map(text_width, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = []
        for number, (cell, width) in enumerate(zip(row, widths)):
            space = " " * (width - text_width(cell))
            cells.append(cell + space if number < n_left else space + cell)
        lines.append("  ".join(cells).rstrip())
    return lines


def text_width(text):
    """The columns of a terminal that a text takes; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else
               not unicodedata.combining(character) for character in text)
