"""Pictures: drawn with Matplotlib, written to a file or shown where there is a display."""

import math
import os
import sys

import matplotlib
import numpy
from matplotlib.backend_bases import FigureCanvasBase

from lenet.data.files import write_beside
from lenet.errors import DataError, UsageError

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


def draw_network(image, layers, probabilities, class_names):
    """Draw how a network sees an image: what each layer makes of it, and its probabilities.

    Parameters
    ----------
    image : array of shape (height, width) or (height, width, 3)
        The input, grey, or in colour from 0 to 1.
    layers : list of (str, array)
        The name of each layer and its feature maps, of shape (number of maps, height, width), or
        its units, of shape (number of units,).
    probabilities : array of shape (number of classes,)
        What the last layer says.
    class_names : list of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    mosaics, titles = [], []
    for name, maps in layers:
        kind = "%d units" if maps.ndim == 1 else "%d feature maps, %d x %d"
        titles.append("%s: %s" % (name, kind % maps.shape))
        if maps[0].size == 1:  # side by side: a map of one element has no range of its own
            mosaics.append(in_rows(maps.ravel(), columns=100))
        else:
            mosaics.append(mosaic(maps, columns=-(-len(maps) // 2)))  # in two lines
    width = 7.2  # inches of the right side
    heights = [min(width * m.shape[0] / m.shape[1], 2.2) + 0.32 for m in mosaics]
    if layers:
        figure = new_figure(10.5, max(sum(heights), 4.2), constrained_layout=True)
        left, right = figure.add_gridspec(1, 2, width_ratios=[1, 2.6])
        left = left.subgridspec(2, 1)
        right = right.subgridspec(len(layers), 1, height_ratios=heights)
    else:
        figure = new_figure(6, 2.6, constrained_layout=True)
        left, right = figure.add_gridspec(1, 2), ()
    axes = figure.add_subplot(left[0])
    axes.imshow(image, cmap="gray", interpolation="nearest")
    axes.set_title("image, %d x %d" % image.shape[:2], fontsize=10)
    axes.axis("off")
    draw_probabilities(figure.add_subplot(left[1]), probabilities, class_names)

    for cell, title, picture in zip(right, titles, mosaics):
        axes = figure.add_subplot(cell)
        axes.imshow(picture, cmap="gray", interpolation="nearest")
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_anchor("W")
        axes.axis("off")
    return figure


def draw_probabilities(axes, probabilities, class_names, most=10):
    """Draw a bar for each class, or for the most probable ones where there are many."""
    if len(probabilities) > most:
        shown = numpy.argsort(-probabilities, kind="stable")[:most]
    else:
        shown = numpy.arange(len(probabilities))
    axes.barh(range(len(shown)), probabilities[shown], color="0.4")
    axes.set_yticks(range(len(shown)))
    axes.set_yticklabels([shortened(class_names[i]) for i in shown], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_title("probability of each class" if len(shown) == len(probabilities)
                   else "the %d most probable classes" % most, fontsize=10)


def shortened(name, most=14):
    """A name that fits beside a picture."""
    return name if len(name) <= most else name[:most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def in_rows(units, columns):
    """Numbers as a picture, row by row; NaN where the last row has none."""
    columns = min(columns, len(units))
    rows = -(-len(units) // columns)
    picture = numpy.full(rows * columns, numpy.nan)
    picture[:len(units)] = units
    return picture.reshape(rows, columns)


def draw_filters(filters):
    """Draw the filters of a convolution.

    Parameters
    ----------
    filters : array of shape (number of filters, number of maps below, height, width)
        Of one map below, each filter is a grey picture, of three a picture in colour; of more, a
        column of grey pictures, one for each map below. Each picture is stretched to the range from
        black (or no colour) to white.

    Returns
    -------
    matplotlib.figure.Figure
    """
    n, below, height, width = filters.shape
    if below in (1, 3):
        columns = min(n, 10)
        if below == 1:
            picture = mosaic(filters[:, 0], columns)
        else:
            low = filters.min(axis=(1, 2, 3), keepdims=True)
            high = filters.max(axis=(1, 2, 3), keepdims=True)
            colour = (filters - low) / numpy.where(high > low, high - low, 1)
            picture = numpy.stack([mosaic(colour[:, c], columns, stretch=False)
                                   for c in range(3)], axis=-1)
            picture = numpy.where(numpy.isnan(picture), 1, picture)  # white between the filters
        inches = 0.7 * columns
    else:
        picture = mosaic(filters.transpose(1, 0, 2, 3).reshape(below * n, height, width), columns=n)
        inches = min(0.3 * n + 0.5, 9)
    rows_a_column = picture.shape[0] / picture.shape[1]
    figure = new_figure(inches + 0.7, inches * rows_a_column + 0.5, constrained_layout=True)
    axes = figure.subplots()
    axes.imshow(picture, cmap="gray", interpolation="nearest")
    if below in (1, 3):
        axes.axis("off")
        return figure
    # A tick in the middle of every fifth picture.
    axes.set_xticks([(width + 1) * i + (width - 1) / 2 for i in range(0, n, 5)])
    axes.set_xticklabels(range(0, n, 5))
    axes.set_yticks([(height + 1) * i + (height - 1) / 2 for i in range(0, below, 5)])
    axes.set_yticklabels(range(0, below, 5))
    axes.set_xlabel("filter")
    axes.set_ylabel("map below")
    axes.tick_params(length=0, labelsize=8)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure


def draw_weights(weights, titles=None, columns=10):
    """Draw the weights from each pixel to a unit as a picture for each unit.

    Parameters
    ----------
    weights : array of shape (number of units, height, width) or (number of units, height, width, 3)
        Drawn on one scale: 0 is the grey in the middle, light is positive.
    titles : list of str, optional
        A title for each.
    columns : int
        Pictures in a row.

    Returns
    -------
    matplotlib.figure.Figure
    """
    largest = max(abs(weights).max(), 1e-12)
    columns = min(columns, len(weights))
    rows = -(-len(weights) // columns)
    height, width = weights.shape[1:3]
    figure = new_figure(columns * 0.95, rows * (0.95 * height / width + (0.24 if titles else 0)))
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.02, wspace=0.06,
                           top=1 - 0.24 / (rows * 1.19) if titles else 0.98,
                           hspace=0.32 if titles else 0.06)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for number, axes in enumerate(grid):
        axes.axis("off")
        if number < len(weights):
            axes.imshow((weights[number] / largest + 1) / 2, cmap="gray", vmin=0, vmax=1,
                        interpolation="nearest")
            if titles:
                axes.set_title(shortened(titles[number], 10), fontsize=9, pad=3)
    return figure


def draw_confusion(counts, class_names):
    """Draw how often each class was taken for each.

    Parameters
    ----------
    counts : int array of shape (number of classes, number of classes)
        Rows are the truth, columns the prediction.
    class_names : list of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    n = len(counts)
    with_numbers = n <= 20
    inches = 0.55 * n + 1.6 if with_numbers else 9
    figure = new_figure(max(inches, 4), max(inches, 4) * 0.92, constrained_layout=True)
    axes = figure.subplots()
    # Each row by its own number of examples; the square root makes a few errors visible.
    shares = counts / numpy.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(numpy.sqrt(shares), cmap="gray_r", vmin=0, vmax=1.15)
    step = 1 if with_numbers else -(-n // 40)
    ticks, names = range(0, n, step), [shortened(name) for name in class_names[::step]]
    long_names = max(map(len, names)) > 3 or not with_numbers
    axes.set_xticks(ticks)
    axes.set_xticklabels(names, rotation=90 if long_names else 0, fontsize=10 if n <= 20 else 7)
    axes.set_yticks(ticks)
    axes.set_yticklabels(names, fontsize=10 if n <= 20 else 7)
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth")
    axes.tick_params(length=0)
    if with_numbers:
        for (row, column), count in numpy.ndenumerate(counts):
            if count:
                axes.text(column, row, str(count), ha="center", va="center", fontsize=9,
                          color="white" if shares[row, column] > 0.3 else "black")
    return figure


def draw_errors(images, captions, columns=10):
    """Draw misclassified images, each with a line or two above it.

    Parameters
    ----------
    images : list of arrays
        As for ``draw_panels``; grey ones from 0 (black) to 1 (white).
    captions : list of str
        What to write above each.
    columns : int
        Images in a row.

    Returns
    -------
    matplotlib.figure.Figure
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height, width = images[0].shape[:2]
    cell = 1.05, 1.05 * height / width + 0.42
    figure = new_figure(columns * cell[0], rows * cell[1])
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.06 / rows, top=1 - 0.4 / cell[1] / rows,
                           wspace=0.12, hspace=0.46)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, image, caption in zip(grid, images, captions):
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(caption, fontsize=7, pad=3, linespacing=1.1)
    return figure


def mosaic(images, columns, stretch=True):
    """Put images side by side in one, with a transparent gap (NaN) between them.

    Parameters
    ----------
    images : array of shape (n, height, width)
    columns : int
        Images in a row.
    stretch : bool
        Whether each is stretched to the range from 0 to 1.

    Returns
    -------
    array of shape (rows * (height + 1) - 1, columns * (width + 1) - 1)
    """
    n, height, width = images.shape
    rows = -(-n // columns)
    if stretch:
        low = images.min(axis=(1, 2), keepdims=True)
        high = images.max(axis=(1, 2), keepdims=True)
        images = (images - low) / numpy.where(high > low, high - low, 1)
    tiles = numpy.full((rows * columns, height + 1, width + 1), numpy.nan)
    tiles[:n, :height, :width] = images
    tiles = tiles.reshape(rows, columns, height + 1, width + 1).transpose(0, 2, 1, 3)
    return tiles.reshape(rows * (height + 1), columns * (width + 1))[:-1, :-1]


def plot_errors(error_locations, erroneous_predictions, test_data, image_shape, rows=12,
                columns=10, class_names=None):
    """Draw misclassified images: the truth at the top right, the prediction at the bottom right.

    Parameters
    ----------
    error_locations, erroneous_predictions : arrays of shape (number of errors,)
        As ``lenet.network3.get_error_locations`` returns them.
    test_data : pair (x, y)
        The set that the locations are indexes of, in shared variables.
    image_shape : tuple of 3 ints
        (channels, height, width) of an image.
    rows, columns : int
        The first rows * columns errors are drawn, in fewer rows if they do not fill them.
    class_names : list of str, optional
        What to write for each class; its number unless given.

    Returns
    -------
    matplotlib.figure.Figure
    """
    images, labels = test_data[0].get_value(borrow=True), test_data[1].eval()
    rows = min(rows, max(1, -(-len(error_locations) // columns)))
    figure = new_figure(columns * 0.8, rows * 0.8)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.99, wspace=0.08, hspace=0.08)
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes in grid:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_visible(False)
    for axes, location, prediction in zip(figure.axes, error_locations, erroneous_predictions):
        truth, prediction = (shortened(class_names[number] if class_names else str(number), 10)
                             for number in (labels[location], prediction))
        axes.set_visible(True)
        axes.imshow(as_image(images[location], image_shape), cmap="binary")
        for name, where, colour in ((truth, "top", "tab:green"), (prediction, "bottom", "tab:red")):
            axes.text(0.96, 0.96 if where == "top" else 0.04, name, ha="right", va=where,
                      color=colour, fontsize=11 if len(name) < 3 else 7, fontweight="bold",
                      transform=axes.transAxes)
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


def as_image(pixels, image_shape):
    """One rasterized image as (height, width), or (height, width, 3) in colour."""
    image = pixels.reshape(image_shape)
    return image[0] if image_shape[0] == 1 else image.transpose(1, 2, 0)


def new_figure(width, height, **settings):
    """An empty figure of so many inches; without a display one that can only be written."""
    if not has_display():
        matplotlib.use("Agg")
    from matplotlib import pyplot  # chooses a window system, so it has to be imported late

    return pyplot.figure(figsize=(width, height), dpi=DPI, **settings)


def check_output(output):
    """Refuse a name that ``finish`` could not write a picture to, before the work for it begins.

    Parameters
    ----------
    output : str or None

    Raises
    ------
    UsageError
        Matplotlib does not know the format.
    DataError
        The folder is missing, or cannot be written to.
    """
    if output is None:
        return
    if ending_of(output) not in FigureCanvasBase.get_supported_filetypes():
        raise UsageError("output %s; expected a name that ends in .png, .pdf or .svg" % output)
    if not os.access(os.path.dirname(os.path.abspath(output)), os.W_OK):
        raise DataError("output %s: its folder is missing or cannot be written to" % output)


def ending_of(path):
    """The format that the name of a file says: "png"."""
    return os.path.splitext(path)[1][1:].lower()


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
    DataError
        The file cannot be written.
    """
    from matplotlib import pyplot

    if output is not None:
        check_output(output)
        with write_beside(output) as file:
            figure.savefig(file, format=ending_of(output))
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
