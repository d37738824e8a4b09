"""The table of a sweep as a picture: how the validation error depends on the options."""

import math
import os

import matplotlib
import numpy

from lenet.figures import plots

# A map of this many options shows every trial; more options, or points that are not a grid, are
# parallel coordinates.
MAX_MAP_OPTIONS = 3


def draw(options, rows):
    """Draw the validation errors of a sweep, given the rows of its table, see
    ``lenet.sweep.table``, and the values of the options with several: {"--seed": ["1", "2"]}."""
    if len(options) <= MAX_MAP_OPTIONS and math.prod(map(len, options.values())) == len(rows):
        return draw_maps(options, rows)
    return draw_coordinates(options, rows)


def draw_maps(options, rows):
    """Draw a heat map of two options for each value of a third.

    The options with the most values are the axes, so that there are as few maps as possible.
    """
    names = sorted(options, key=lambda name: -len(options[name]))
    names += (3 - len(names)) * [None]
    columns, lines, maps = ([None] if name is None else options[name] for name in names)
    errors = numpy.full((len(maps), len(lines), len(columns)), numpy.nan)
    for row in rows:
        index = [values.index(row.get(name)) for name, values in
                 zip(reversed(names), (maps, lines, columns))]
        if row["validation"] is not None:
            errors[tuple(index)] = 100 * row["validation"]

    width, height = max(2.2, 0.75 * len(columns) + 0.9), max(1.3, 0.5 * len(lines) + 0.9)
    per_row = max(1, min(len(maps), int(10 / width)))
    figure = plots.new_figure(width * per_row, height * -(-len(maps) // per_row))
    grid = figure.subplots(-(-len(maps) // per_row), per_row, squeeze=False).ravel()
    colours = choose_colours(errors)
    for axes, value, error in zip(grid, maps, errors):
        axes.imshow(error, cmap=colours.cmap, norm=colours.norm, aspect="auto")
        axes.set_facecolor("0.85")  # trials that diverged or failed
        set_ticks(axes.xaxis, names[0], columns)
        set_ticks(axes.yaxis, names[1], lines)
        if value is not None:
            axes.set_title(f"{names[2][2:]} {plots.shorten_name(value)}", fontsize=9)
        for (line, column), percent in numpy.ndenumerate(error):
            failed = numpy.isnan(percent)
            axes.text(column, line, "-" if failed else f"{percent:.2f}", ha="center", va="center",
                      fontsize=8, color="white" if not failed and colours.norm(percent) < 0.5
                      else "black")
        axes.tick_params(length=0, labelsize=8)
        axes.spines[:].set_visible(False)
    for axes in grid[len(maps):]:
        axes.axis("off")
    figure.suptitle("validation error (%)", fontsize=10)
    return figure


def set_ticks(axis, name, values):
    """Name an axis after an option, and its ticks after the values."""
    axis.set_ticks(range(len(values)), [plots.shorten_name(value or "") for value in values])
    if name is not None:
        axis.set_label_text(name[2:], fontsize=9)


def draw_coordinates(options, rows):
    """Draw a line for each trial, through its value of each option to its error."""
    done = [row for row in rows if row["validation"] is not None]
    errors = numpy.array([100 * row["validation"] for row in done])
    colours = choose_colours(errors)
    figure = plots.new_figure(max(4, 1.5 * (len(options) + 1)), 3.6)
    axes = figure.subplots()
    # The best trials are drawn last, above the others, and pass each value at the bottom.
    order = numpy.argsort(-errors, kind="stable")
    for rank, index in enumerate(order):
        aside = 0.5 - (rank + 0.5) / len(order)
        heights = [find_height(values, done[index][name], aside)
                   for name, values in options.items()]
        axes.plot(range(len(options) + 1), heights + [colours.norm(errors[index])],
                  color=colours.to_rgba(errors[index]), linewidth=1.2)
    white = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    for x, values in enumerate(options.values()):
        axes.axvline(x, color="0.6", linewidth=0.8)
        for value in values:
            axes.text(x - 0.05, find_height(values, value), plots.shorten_name(value), fontsize=8,
                      ha="right", va="center", bbox=white)
    axes.axvline(len(options), color="0.6", linewidth=0.8)
    for height in (0, 0.25, 0.5, 0.75, 1):
        axes.text(len(options) + 0.05, height, f"{colours.norm.inverse(height):.2f}", fontsize=8,
                  ha="left", va="center")
    axes.set_xticks(range(len(options) + 1),
                    [name[2:] for name in options] + ["validation\nerror (%)"], fontsize=9)
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.margins(x=0.12)
    axes.spines[:].set_visible(False)
    return figure


def find_height(values, value, aside=0):
    """Where a value stands on its axis, from 0 to 1, in the order in which they were typed.

    ``aside``, from -0.5 to 0.5, tells trials of one value apart.
    """
    return (values.index(value) + 0.5 + 0.6 * aside) / len(values)


def choose_colours(errors):
    """Colours of errors: dark is good. Logarithmic, because halving an error is what counts."""
    errors = errors[numpy.isfinite(errors) & (errors > 0)]
    low, high = (errors.min(), errors.max()) if errors.size else (1, 1)
    norm = matplotlib.colors.LogNorm(low, max(high, 1.001 * low), clip=True)
    return matplotlib.cm.ScalarMappable(norm, "viridis")


def write(folder, options, rows):
    """Write table.png to the folder of a study, if it has options with several values."""
    if options:
        plots.finish(draw(options, rows), os.path.join(folder, "table.png"))
