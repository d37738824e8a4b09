"""Pictures: drawn with Matplotlib, written to a file, or shown on a display or in a notebook.

The functions ``draw_...`` and ``plot_errors`` return a ``matplotlib.figure.Figure``, which
``finish`` writes or shows.
"""

import io
import math
import os
import sys
from collections import Counter

import matplotlib
import numpy
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.textpath import TextPath

from lenet import kernel
from lenet.data.files import write_beside
from lenet.errors import DataError, UsageError

DPI = 100
GAP_INCHES = 0.08  # between images
CAPTION_POINTS = 8  # of the names of classes above misclassified images


def draw_images(images, captions=None, columns=10, cell=1.0, fontsize=9, **settings):
    """Draw images in rows, each with a caption above it.

    All images are in one ``Axes``, whose coordinates are inches from the top left.

    Parameters
    ----------
    images : sequence of arrays
        Grey of shape (height, width), or in colour of shape (height, width, 3), from 0 to 1.
    captions : list of str, optional
        One for each image, all with the same number of lines.
    columns : int
        Images per row.
    cell : float
        Inches from one image to the next.
    fontsize : int
        Points, of the captions.
    **settings
        For ``imshow``. By default each grey image is stretched to the range from black to white.
    """
    columns = max(1, min(columns, len(images)))
    rows = max(1, -(-len(images) // columns))
    height, width = numpy.max([image.shape[:2] for image in images] or [(1, 1)], axis=0)
    box_width = cell - GAP_INCHES
    box_height = box_width * height / width
    # A line takes 1.3 times its font size; a point is an inch / 72.
    above = (1 + captions[0].count("\n")) * 1.3 * fontsize / 72 if captions else 0
    step = above + box_height + GAP_INCHES
    figure = new_figure(columns * cell, rows * step, constrained_layout=False)
    axes = figure.add_axes((0, 0, 1, 1))
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        middle, top = (column + 0.5) * cell, row * step + GAP_INCHES / 2 + above
        scale = min(box_height / image.shape[0], box_width / image.shape[1])
        half, bottom = scale * image.shape[1] / 2, top + scale * image.shape[0]
        axes.imshow(image, extent=(middle - half, middle + half, bottom, top),
                    **{"cmap": "gray", **settings})
        if captions:
            axes.text(middle, top - GAP_INCHES / 2, captions[number], fontsize=fontsize,
                      ha="center", va="bottom", linespacing=1.1)
    axes.set_xlim(0, columns * cell)
    axes.set_ylim(rows * step, 0)
    axes.axis("off")
    return figure


def draw_weights(weights, titles=None, columns=10):
    """Draw the weights from each pixel to a unit as one picture per unit, on one scale: 0 is middle
    grey, light is positive.

    Parameters
    ----------
    weights : array of shape (number of units, height, width) or (number of units, height, width, 3)
    titles : list of str, optional
    columns : int
        Pictures per row.
    """
    largest = max(abs(weights).max(), 1e-12)
    captions = titles and [shorten_name(title, 10) for title in titles]
    return draw_images((weights / largest + 1) / 2, captions, columns, cell=0.95, vmin=0, vmax=1)


def draw_filters(filters, numbers=None, map_numbers=None):
    """Draw the filters of a convolution.

    Parameters
    ----------
    filters : array of shape (number of filters, number of maps below, height, width)
        With one map below, each filter is a grey picture; with three, a picture in colour; with
        more, a column of grey pictures, one for each map below. Each picture is stretched to the
        range from black (or no colour) to white.
    numbers, map_numbers : sequences of int, optional
        What the filters and the maps below are called; by default 0, 1, 2, ...
    """
    n, below, height, width = filters.shape
    if below == 1:
        return draw_images(filters[:, 0], cell=0.7)
    if below == 3:
        return draw_images(stretch_images(filters).transpose(0, 2, 3, 1), cell=0.7)
    # (n, below, height, width) -> (below * n, height, width): a row for each map below.
    picture = make_mosaic(filters.transpose(1, 0, 2, 3).reshape(-1, height, width), columns=n)
    inches = min(0.55 * n, 9)
    figure = new_figure(inches + 0.7, inches * picture.shape[0] / picture.shape[1] + 0.5)
    axes = figure.subplots()
    axes.imshow(picture, cmap="gray", interpolation="nearest")
    # A tick in the middle of each picture.
    axes.set_xticks([(width + 1) * i + (width - 1) / 2 for i in range(n)],
                    range(n) if numbers is None else numbers)
    axes.set_yticks([(height + 1) * i + (height - 1) / 2 for i in range(below)],
                    range(below) if map_numbers is None else map_numbers)
    axes.set_xlabel("filter")
    axes.set_ylabel("map below")
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)
    return figure


def draw_mistakes(indices, x, y, wrong, right, image_shape, class_names):
    """Draw misclassified images, each with what it was taken for above what it is.

    Parameters
    ----------
    indices : int array
        Of the images to draw.
    x, y : arrays of shape (n, number of pixels) and (n,)
        A set of images and their labels.
    wrong, right : arrays of shape (n, number of classes)
        The probabilities that misclassify, and those of which the one of the truth is shown.
    image_shape : tuple of 3 ints
        (channels, height, width) of an image.
    class_names : list of str
    """
    captions = ["{}: {:.0f} %\nis {}: {:.0f} %".format(
        shorten_name(class_names[wrong[i].argmax()], 8), 100 * wrong[i].max(),
        shorten_name(class_names[y[i]], 6), 100 * right[i, y[i]]) for i in indices]
    return draw_images([reshape_image(x[i], image_shape) for i in indices], captions, cell=1.05,
                       fontsize=7, vmin=0, vmax=1)


def plot_errors(error_locations, erroneous_predictions, test_data, image_shape, rows=12,
                columns=10, class_names=None):
    """Draw misclassified images, each with the truth in green and the prediction in red.

    Parameters
    ----------
    error_locations, erroneous_predictions : arrays of shape (number of errors,)
        As ``lenet.network3.get_error_locations`` returns them.
    test_data : pair (x, y)
        The set that the locations are indexes of, in shared variables.
    image_shape : tuple of 3 ints
        (channels, height, width) of an image.
    rows, columns : int
        At most rows * columns errors are drawn, the first ones; wide names make more rows of them.
    class_names : list of str, optional
        By default a class is written as its number. Names of one or two characters are in the
        corners of the image, longer ones above it.
    """
    images, labels = test_data[0].get_value(borrow=True), test_data[1].eval()
    error_locations = error_locations[:rows * columns]
    images = [reshape_image(images[i], image_shape) for i in error_locations]
    names = [[shorten_name(class_names[number] if class_names else str(number), 16)
              for number in pair] for pair in zip(labels[error_locations], erroneous_predictions)]
    long_names = {name for pair in names for name in pair if len(name) > 2}
    if long_names:
        widest = max(TextPath((0, 0), name, size=CAPTION_POINTS).get_extents().width
                     for name in long_names) / 72  # inches
        cell = max(0.8, widest + 2 * GAP_INCHES)
        columns = max(1, min(columns, int(10 / cell)))  # 10 inches are as wide as a page
        figure = draw_images(images, [f"{truth}\n" for truth, _ in names], columns, cell,
                             CAPTION_POINTS, cmap="binary")
    else:
        figure = draw_images(images, columns=columns, cell=0.8, cmap="binary")
    axes, = figure.axes
    truths = list(axes.texts)
    for number, (image, (truth, prediction)) in enumerate(zip(axes.images, names)):
        left, right, bottom, top = image.get_extent()
        axes.plot([left, left, right, right, left], [top, bottom, bottom, top, top],
                  color="black", linewidth=0.8)
        if long_names:  # in the line that the caption has left empty
            truths[number].set_color("tab:green")
            axes.text(*truths[number].get_position(), prediction, ha="center", va="bottom",
                      color="tab:red", fontsize=CAPTION_POINTS)
            continue
        for name, y, where, colour in ((truth, top + 0.04, "top", "tab:green"),
                                       (prediction, bottom - 0.04, "bottom", "tab:red")):
            axes.text(right - 0.03, y, name, ha="right", va=where, color=colour, fontsize=11,
                      fontweight="bold")
    return figure


def draw_network(image, layers, probabilities, class_names):
    """Draw how a network sees an image: the probabilities, and what each layer makes of it.

    Parameters
    ----------
    image : array of shape (height, width) or (height, width, 3)
        The input, grey, or in colour from 0 to 1.
    layers : list of (str, array)
        The name of each layer and its feature maps, of shape (number of maps, height, width), or
        its units, of shape (number of units,).
    probabilities : array of shape (number of classes,)
    class_names : list of str
    """
    pictures = []
    for name, maps in layers:
        kind = "{} units" if maps.ndim == 1 else "{} feature maps, {} x {}"
        if maps[0].size > 1:
            picture = make_mosaic(maps, columns=-(-len(maps) // 2))  # in two rows
        else:  # a map of one element has no range of its own: rows of up to 100, without gaps
            columns = min(len(maps), 100)
            picture = numpy.pad(maps.ravel(), (0, -len(maps) % columns),
                                constant_values=numpy.nan).reshape(-1, columns)
        pictures.append((f"{name}: {kind.format(*maps.shape)}", picture))
    width = 7.5  # inches
    heights = [2.6] + [min(width * p.shape[0] / p.shape[1], 2.2) + 0.36 for _, p in pictures]
    figure = new_figure(width, sum(heights))
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    height, width = image.shape[:2]
    draw_picture(figure.add_subplot(grid[0, 0]), image, f"image, {height} x {width}")
    draw_probabilities(figure.add_subplot(grid[0, 1]), probabilities, class_names)
    for row, (title, picture) in enumerate(pictures, start=1):
        draw_picture(figure.add_subplot(grid[row, :]), picture, title, anchor="W")
    return figure


def draw_picture(axes, picture, title, anchor="C"):
    """Draw a picture in the middle ("C") or on the left ("W") of axes without a frame."""
    axes.imshow(picture, cmap="gray", interpolation="nearest")
    axes.set_title(title, fontsize=10, loc="left" if anchor == "W" else "center")
    axes.set_anchor(anchor)
    axes.axis("off")


def draw_probabilities(axes, probabilities, class_names, most=10):
    """Draw a bar for each class, or for the most probable ones where there are many."""
    shown, title = numpy.arange(len(probabilities)), "probability of each class"
    if len(probabilities) > most:
        shown = numpy.argsort(-probabilities, kind="stable")[:most]
        title = f"the {most} most probable classes"
    axes.barh(range(len(shown)), probabilities[shown], color="0.4")
    axes.set_yticks(range(len(shown)), [shorten_name(class_names[i]) for i in shown], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_title(title, fontsize=10)


def make_mosaic(images, columns):
    """Put images side by side in one, each from 0 to 1, with a transparent gap (NaN) between them.

    (n, height, width) -> (rows * (height + 1) - 1, columns * (width + 1) - 1)
    """
    n, height, width = images.shape
    rows = -(-n // columns)
    tiles = numpy.full((rows * columns, height + 1, width + 1), numpy.nan)
    tiles[:n, :height, :width] = stretch_images(images)
    tiles = tiles.reshape(rows, columns, height + 1, width + 1).transpose(0, 2, 1, 3)
    return tiles.reshape(rows * (height + 1), columns * (width + 1))[:-1, :-1]


def stretch_images(images):
    """Each image (along the first axis) stretched to the range from 0 to 1."""
    axes = tuple(range(1, images.ndim))
    low, high = images.min(axis=axes, keepdims=True), images.max(axis=axes, keepdims=True)
    return (images - low) / numpy.where(high > low, high - low, 1)


def draw_confusion(counts, class_names):
    """Draw how often each class was taken for each: counts are an int array of shape (number of
    classes, number of classes), whose rows are the truth, and whose columns are the prediction."""
    n = len(counts)
    with_numbers = n <= 20
    inches = max(0.55 * n + 1.6, 4) if with_numbers else 9
    figure = new_figure(inches, 0.92 * inches)
    axes = figure.subplots()
    # Each row by its own number of examples; the square root makes a few errors visible.
    shares = counts / numpy.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(numpy.sqrt(shares), cmap="gray_r", vmin=0, vmax=1.15)
    step = -(-n // 40)  # at most 40 names fit
    ticks, names = range(0, n, step), [shorten_name(name) for name in class_names[::step]]
    fontsize = 10 if with_numbers else 7
    upright = with_numbers and max(map(len, names)) <= 3
    axes.set_xticks(ticks, names, fontsize=fontsize, rotation=0 if upright else 90)
    axes.set_yticks(ticks, names, fontsize=fontsize)
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth")
    axes.tick_params(length=0)
    if with_numbers:
        for row, column in zip(*counts.nonzero()):
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=9,
                      color="white" if shares[row, column] > 0.3 else "black")
    return figure


def draw_curves(rows):
    """Draw the cost, on the left, and the errors, on the right, over the epochs.

    The rows are dicts, one for each validation, with the keys of a run's log: "epoch" (from 1),
    "cost", "validation" and "test" (fractions). A test error is None where the validation error was
    not the best so far.
    """
    epochs = validation_epochs([row["epoch"] for row in rows])
    costs = [row["cost"] for row in rows]
    validation = [100 * row["validation"] for row in rows]
    tested = [(epoch, 100 * row["test"]) for epoch, row in zip(epochs, rows)
              if row["test"] is not None]
    test_epochs, test = zip(*tested) if tested else ((), ())
    left, right = new_figure(9, 3.6).subplots(1, 2)
    size = 4 if len(rows) <= 40 else 2
    left.plot(epochs, costs, "o-", color="0.3", markersize=size, linewidth=1.2)
    right.plot(epochs, validation, "o-", color="tab:blue", markersize=size, linewidth=1.2,
               label="validation set")
    right.plot(test_epochs, test, "s", color="tab:red", markersize=4, markerfacecolor="none",
               label="test set, where validation was best so far")
    right.legend(fontsize=8, frameon=False, loc="upper right")
    left.set_title("cost of the training", fontsize=10)
    right.set_title("errors (%)", fontsize=10)
    for axes, values in ((left, costs), (right, validation + list(test))):
        set_range(axes, max(epochs, default=1), values)
    return left.figure


def draw_runs(names, logs):
    """Draw several trainings over the epochs: the cost on the left, the validation on the right.
    For each name there is a log, the rows that ``draw_curves`` takes."""
    left, right = new_figure(9, 3.6).subplots(1, 2)
    for axes, key, factor, title in (
            (left, "cost", 1, "cost of the training"),
            (right, "validation", 100, "errors on the validation set (%)")):
        last, values = 1, []
        for name, rows in zip(names, logs):
            epochs = validation_epochs([row["epoch"] for row in rows])
            curve = [factor * row[key] for row in rows]
            axes.plot(epochs, curve, "o-", markersize=4 if len(rows) <= 40 else 2, linewidth=1.2,
                      label=shorten_name(name, 30))
            last, values = max([last] + epochs), values + curve
        axes.set_title(title, fontsize=10)
        set_range(axes, last, values)
    right.legend(fontsize=8, frameon=False, loc="upper right")
    return left.figure


def draw_rejection(panels):
    """Draw what rejecting the images of the highest scores brings.

    A panel is a title, and its curves by name: arrays of fractions of the images that are kept or
    rejected, with 0, 1, ..., n - 1 of n images rejected.
    """
    figure = new_figure(4.5 * len(panels), 3.6)
    for axes, (title, curves) in zip(numpy.atleast_1d(figure.subplots(1, len(panels))),
                                     panels.items()):
        for name, curve in curves.items():
            # Of the last hundredth of the images, too few are kept to say anything.
            shown = max(1, len(curve) * 99 // 100)
            axes.plot(100 * numpy.arange(shown) / len(curve), 100 * curve[:shown], label=name)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("rejected images of the test set (%)")
        axes.legend(fontsize=8, frameon=False, loc="lower right")
    return figure


def set_range(axes, last_epoch, values):
    """Set the axes of the curves, logarithmic where the values need it."""
    axes.set_xlabel("epoch")
    axes.set_xlim(0, 1.03 * last_epoch)
    axes.locator_params(axis="x", integer=True)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    values = [value for value in values if math.isfinite(value)] or [1.0]
    if 0 < 5 * min(values) < max(values):
        # Late in training, small values change little: a logarithmic axis shows it.
        axes.set_yscale("log")
        axes.set_ylim(min(values) / 1.3, max(values) * 1.5)
        axes.locator_params(axis="y", subs=(1, 2, 5))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
    else:
        axes.set_ylim(0, 1.2 * max(values) or 1)


def validation_epochs(epochs):
    """Where each validation stands on an axis of epochs, given its epoch, from 1.

    With one validation per epoch, at the epoch; with two, those of epoch 1 are at 0.5 and 1.
    """
    most = max(Counter(epochs).values(), default=1)  # the last epoch may have fewer
    return [epoch - 1 + (number - epochs.index(epoch) + 1) / most
            for number, epoch in enumerate(epochs)]


def draw_bars(axes, names, values, digits, color="0.6"):
    """Draw a horizontal bar for each name, the first at the top, with its value at its end."""
    axes.bar_label(axes.barh(names, values, color=color), fmt=f"%.{digits}f", padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)


def reshape_image(pixels, image_shape):
    """One rasterized image as (height, width), or (height, width, 3) in colour."""
    image = pixels.reshape(image_shape)
    return image.transpose(1, 2, 0) if len(image) == 3 else image.mean(axis=0)


def shorten_name(name, most=14):
    """A name that fits beside a picture."""
    return name if len(name) <= most else name[:most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def new_figure(width, height, constrained_layout=True):
    """An empty figure, its size in inches; without a display it can only be written to a file."""
    in_cell = kernel.is_notebook()
    if not in_cell and not has_display():
        matplotlib.use("Agg")
    from matplotlib import pyplot  # chooses a window system, so it is imported late

    figure = pyplot.figure(figsize=(width, height), dpi=DPI, constrained_layout=constrained_layout)
    if in_cell:
        pyplot.close(figure)  # or it would appear a second time when the cell ends
    return figure


def has_display():
    """Whether this process can hope to open a window."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def check_output(output):
    """Refuse a file that ``finish`` could not write a picture to, before the work for it begins:
    with a UsageError if Matplotlib does not know the format, with a DataError if its folder is
    missing or cannot be written to."""
    if output is None:
        return
    if picture_format(output) not in FigureCanvasBase.get_supported_filetypes():
        raise UsageError(f"output {output}; expected a name that ends in .png, .pdf or .svg")
    if not os.access(os.path.dirname(os.path.abspath(output)), os.W_OK):
        raise DataError(f"output {output}: its folder is missing or cannot be written to")


def picture_format(path):
    """The format that a file name asks for: "png"."""
    return os.path.splitext(path)[1][1:].lower()


def draw_png(figure):
    """Draw a figure as the bytes of a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def finish(figure, output):
    """Write a figure to a file; if ``output`` is None, show it on a display or in a notebook.

    Raises the errors of ``check_output``, and a DataError if the file cannot be written.
    """
    from matplotlib import pyplot

    if output is not None:
        check_output(output)
        with write_beside(output) as file:
            figure.savefig(file, format=picture_format(output))
    elif kernel.is_notebook():
        kernel.show_png(draw_png(figure))
    elif has_display() and matplotlib.get_backend().lower() != "agg":
        pyplot.show()
    else:
        print("no display to show the picture on; --output FILE.png writes it to a file",
              file=sys.stderr)
    pyplot.close(figure)
