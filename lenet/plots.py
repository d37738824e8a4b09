"""Pictures: drawn with Matplotlib, written to a file or shown where there is a display."""

import math
import os
import sys

import matplotlib
import numpy

from lenet.errors import UsageError
from lenet.files import write_beside

DPI = 100


def draw_panels(images, titles, columns=None, cell=2.6):
    """Draw images side by side.

    Parameters
    ----------
    images : list of arrays
        Grey of shape (height, width), drawn from the smallest number (black) to the largest
        (white), or in colour of shape (height, width, 3), from 0 to 1.
    titles : list of str
        A title for each.
    columns : int, optional
        Images in a row; all of them unless given.
    cell : float
        Inches for an image.

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    height, width = numpy.max([image.shape[:2] for image in images], axis=0)
    figure = new_figure(columns * cell, rows * (cell * height / width + 0.28),
                        constrained_layout=True)
    for axes, image, title in zip(figure.subplots(rows, columns, squeeze=False).flat,
                                  images, titles):
        axes.imshow(image, cmap="gray", interpolation="nearest")
        axes.set_title(title, fontsize=10)
    for axes in figure.axes:
        axes.axis("off")
    return figure


def draw_network(image, filters, maps, probabilities):
    """Draw how LeNet-5 sees an image: filters, feature maps layer by layer, probabilities.

    Parameters
    ----------
    image : array of shape (height, width)
        The input, grey.
    filters : array of shape (number of filters, height, width)
        The filters of the first layer.
    maps : list of arrays of shape (number of maps, height, width)
        The feature maps of each convolution.
    probabilities : array of shape (number of classes,)
        What the last layer says.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = [("%d filters of layer 0, %d x %d" % filters.shape, filters)]
    rows += [("%d feature maps of layer %d, %d x %d" % ((len(m), i) + m.shape[1:]), m)
             for i, m in enumerate(maps)]
    figure = new_figure(10, 4.8, constrained_layout=True)
    left, right = figure.add_gridspec(1, 2, width_ratios=[1, 3.4])
    left = left.subgridspec(2, 1)
    axes = figure.add_subplot(left[0])
    axes.imshow(image, cmap="gray")
    axes.set_title("image, %d x %d" % image.shape, fontsize=10)
    axes.axis("off")

    axes = figure.add_subplot(left[1])
    axes.bar(range(len(probabilities)), probabilities, color="0.4")
    axes.set_xticks(range(len(probabilities)))
    axes.set_ylim(0, 1)
    axes.set_title("probability of each class", fontsize=10)

    mosaics = [mosaic(images, columns=-(-len(images) // 2)) for _, images in rows]  # in two lines
    heights = [m.shape[0] / m.shape[1] for m in mosaics]
    right = right.subgridspec(len(rows), 1, height_ratios=heights)
    for cell, (title, _), picture in zip(right, rows, mosaics):
        axes = figure.add_subplot(cell)
        axes.imshow(picture, cmap="gray", interpolation="nearest")
        axes.set_title(title, fontsize=10, loc="left")
        axes.axis("off")
    return figure


def mosaic(images, columns):
    """Put images side by side in one, with a transparent gap (NaN) between them.

    Parameters
    ----------
    images : array of shape (n, height, width)
        Each is stretched to the range from 0 to 1.
    columns : int
        Images in a row.

    Returns
    -------
    array of shape (rows * (height + 1) - 1, columns * (width + 1) - 1)
    """
    n, height, width = images.shape
    rows = -(-n // columns)
    low = images.min(axis=(1, 2), keepdims=True)
    high = images.max(axis=(1, 2), keepdims=True)
    tiles = numpy.full((rows * columns, height + 1, width + 1), numpy.nan)
    tiles[:n, :height, :width] = (images - low) / numpy.where(high > low, high - low, 1)
    tiles = tiles.reshape(rows, columns, height + 1, width + 1).transpose(0, 2, 1, 3)
    return tiles.reshape(rows * (height + 1), columns * (width + 1))[:-1, :-1]


def plot_errors(error_locations, erroneous_predictions, test_data, image_shape, rows=12,
                columns=10):
    """Draw misclassified digits: the truth at the top right, the prediction at the bottom right.

    Parameters
    ----------
    error_locations, erroneous_predictions : arrays of shape (number of errors,)
        As ``lenet.network3.get_error_locations`` returns them.
    test_data : pair (x, y)
        The set that the locations are indexes of.
    image_shape : tuple of 3 ints
        (1, height, width) of an image.
    rows, columns : int
        The first rows * columns errors are drawn.

    Returns
    -------
    matplotlib.figure.Figure
    """
    images, labels = test_data[0].get_value(borrow=True), test_data[1].eval()
    height, width = image_shape[1:]
    figure = new_figure(columns * 0.8, rows * 0.8)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.99, wspace=0.08, hspace=0.08)
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes in grid:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_visible(False)
    for axes, location, prediction in zip(figure.axes, error_locations, erroneous_predictions):
        axes.set_visible(True)
        axes.imshow(images[location].reshape(height, width), cmap="binary")
        for text, where, colour in ((labels[location], "top", "tab:green"),
                                    (prediction, "bottom", "tab:red")):
            axes.text(0.96, 0.96 if where == "top" else 0.04, str(text), ha="right", va=where,
                      color=colour, fontsize=11, fontweight="bold", transform=axes.transAxes)
    return figure


def draw_curves(rows):
    """Draw how a training went: the cost on the left, the errors on the right, over the epochs.

    Parameters
    ----------
    rows : list of dicts
        One for each validation, with the keys of a run's log: "epoch" (from 1), "cost",
        "validation" and "test" (fractions). A test error is None unless the validation error
        was the best so far.

    Returns
    -------
    matplotlib.figure.Figure
    """
    epochs = validation_epochs([row["epoch"] for row in rows])
    costs = [row["cost"] for row in rows]
    validation, test = ([None if row[name] is None else 100 * row[name] for row in rows]
                        for name in ("validation", "test"))
    figure = new_figure(9, 3.6)
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.14, top=0.91, wspace=0.18)
    left, right = figure.subplots(1, 2)
    draw_curve(left, epochs, costs, "o-", color="0.3")
    draw_curve(right, epochs, validation, "o-", color="tab:blue", label="validation set")
    draw_curve(right, epochs, test, "s", color="tab:red", markerfacecolor="none",
               label="test set, where validation was best so far")
    right.legend(fontsize=8, frameon=False, loc="upper right")
    left.set_title("cost of the training", fontsize=10)
    right.set_title("errors (%)", fontsize=10)
    for axes, values in ((left, costs), (right, validation + test)):
        set_range(axes, max(epochs, default=1), values)
    return figure


def set_range(axes, last_epoch, values):
    """Give the curves of a training their axes, a logarithmic one where the values ask for it."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullLocator

    axes.set_xlabel("epoch")
    axes.set_xlim(0, 1.03 * last_epoch)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    values = [value for value in values if value is not None and math.isfinite(value)] or [1.0]
    if 0 < 5 * min(values) < max(values):
        # Late in a training little changes, of little: a logarithmic axis shows it.
        axes.set_yscale("log")
        axes.set_ylim(min(values) / 1.3, max(values) * 1.5)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(0, 1.2 * max(values) or 1)


def validation_epochs(epochs):
    """Where each validation stands on an axis of epochs.

    Parameters
    ----------
    epochs : list of int
        The epoch, from 1, of each validation, ascending.

    Returns
    -------
    list of float
        With one validation an epoch, the epoch; with two, those of epoch 1 at 0.5 and 1.
    """
    counts = {epoch: epochs.count(epoch) for epoch in set(epochs)}
    most = max(counts.values(), default=1)  # the last epoch may have fewer
    return [epoch - 1 + (number - epochs.index(epoch) + 1) / most
            for number, epoch in enumerate(epochs)]


def draw_curve(axes, x, values, style, **settings):
    """Draw the values that are there, with small marks where there are many."""
    shown = [(a, value) for a, value in zip(x, values) if value is not None]
    axes.plot([a for a, _ in shown], [value for _, value in shown], style,
              markersize=4 if len(shown) <= 40 else 2, linewidth=1.2, **settings)


def draw_bars(names, values, label):
    """Draw a horizontal bar for each name, the first at the top, with its value at its end."""
    figure = new_figure(7, 0.6 * len(names) + 1, constrained_layout=True)
    axes = figure.subplots()
    bars = axes.barh(names, values, color="0.6")
    axes.bar_label(bars, fmt="%.2f", padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(label)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def new_figure(width, height, **settings):
    """An empty figure of so many inches; without a display one that can only be written."""
    if not has_display():
        matplotlib.use("Agg")
    from matplotlib import pyplot  # chooses a window system, so it has to be imported late

    return pyplot.figure(figsize=(width, height), dpi=DPI, **settings)


def finish(figure, output):
    """Write a figure to a file; without one show it, if there is a display.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    output : str or None
        The file; its ending says the format, such as .png.

    Raises
    ------
    UsageError
        Matplotlib does not know the format.
    lenet.errors.DataError
        The file cannot be written.
    """
    from matplotlib import pyplot

    if output is not None:
        ending = os.path.splitext(output)[1][1:].lower()
        if ending not in figure.canvas.get_supported_filetypes():
            raise UsageError("output %s; expected a name that ends in .png, .pdf or .svg" % output)
        with write_beside(output) as file:
            figure.savefig(file, format=ending)
    elif has_display() and matplotlib.get_backend().lower() != "agg":
        pyplot.show()
    else:
        print("no display to show the picture on; --output FILE.png writes it to a file",
              file=sys.stderr)
    pyplot.close(figure)


def has_display():
    """Whether this process can hope to open a window."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
