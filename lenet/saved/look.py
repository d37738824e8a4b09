"""Pictures of what a saved network has learned, in a folder with a page that shows them."""

import html
import os
from collections import namedtuple

import numpy
import theano

from lenet.data import as_floats, open_arrays
from lenet.data.files import write_beside
from lenet.errors import DataError, UsageError
from lenet.pictures import plots
from lenet.saved import networks
from lenet.saved.predict import Predictor, Reader
from lenet.saved.run import read_log

MOST_FILTERS = 50  # of a layer that are drawn
MOST_UNITS = 100  # hidden units whose weights are drawn
MOST_ERRORS = 60  # misclassified images that are drawn

Picture = namedtuple("Picture", "file title caption figure")


def look(path, output, dataset="mnist.pkl.gz", image=None, index=0):
    """Write the pictures of a network, and a page that shows them.

    Parameters
    ----------
    path : str
        A model file, or the folder of a run, whose training curves are drawn then, too.
    output : str
        The folder for the pictures and ``index.html``; is made if it does not exist.
    dataset : str
        The dataset whose test set is classified; see ``lenet.data.load_data``.
    image : str, optional
        An image file to show layer by layer; an image of the test set unless given.
    index : int
        The number of that image of the test set, from 0.

    Returns
    -------
    list of str
        The paths of the files that were written, the page last.

    Raises
    ------
    UsageError
        There is no such image in the test set.
    DataError
        A file cannot be read or written, or the dataset is not one for this network.
    """
    predictor = Predictor(path)
    datasets = open_arrays(dataset)
    networks.check_images(predictor, datasets)
    log = os.path.join(path, "log.csv")
    rows = read_log(log) if os.path.isdir(path) and os.path.exists(log) else None
    x, y = as_floats(datasets[2][0]), datasets[2][1]
    if image is not None:
        pixels = Reader(predictor.image_shape, predictor.preparation).read(image)[None] / 256
        name = os.path.basename(image)
    elif 0 <= index < len(x):
        pixels, name = x[index:index + 1], "image %d of the test set" % index
    else:
        raise UsageError("index %d; expected 0 to %d, the images of the test set"
                         % (index, len(x) - 1))
    probabilities = predictor.probabilities(x)
    n_wrong = int((probabilities.argmax(axis=1) != y).sum())
    written, shown = [], []
    try:
        os.makedirs(output, exist_ok=True)
    except OSError as error:
        raise DataError("%s: cannot be made (%s); name another folder"
                        % (output, error.strerror)) from None
    for picture in pictures(predictor, rows, pixels, name, x, y, probabilities):
        written.append(os.path.join(output, picture.file))
        plots.finish(picture.figure, written[-1])
        shown.append(picture._replace(figure=None))
    page = page_of(shown, "%s: %d of %d images of the test set are misclassified (%.2f %%)"
                   % (type(predictor.model).__name__, n_wrong, len(x), 100 * n_wrong / len(x)))
    written.append(os.path.join(output, "index.html"))
    with write_beside(written[-1]) as file:
        file.write(page.encode("utf-8"))
    return written


def pictures(predictor, rows, pixels, name, x, y, probabilities):
    """The pictures of a network, one at a time, in the order of the page.

    Parameters
    ----------
    predictor : lenet.saved.predict.Predictor
    rows : list of dicts, or None
        The log of its training, where there is one; see ``lenet.saved.run.read_log``.
    pixels, name : array of shape (1, ...), str
        The image to show layer by layer, in the format of the training.
    x, y, probabilities : arrays of shape (n, number of pixels), (n,), (n, number of classes)
        A test set and what the network makes of it.

    Yields
    ------
    Picture
    """
    model, names, shape = predictor.model, predictor.class_names, predictor.image_shape
    predictions = probabilities.argmax(axis=1)

    layers = layers_of(model, pixels)
    yield Picture(
        "network.png", "An image, layer by layer",
        "What the network makes of %s. Each map is stretched to the range from black to white."
        % name, plots.draw_network(plots.as_image(pixels[0], shape), layers,
                                   predictor.probabilities(pixels)[0], names))

    if rows is not None:
        yield Picture("curves.png", "The training",
                      "The cost, and the errors on the validation set and on the test set, after "
                      "each epoch.", plots.draw_curves(rows))

    for layer, filters in networks.filters(model):
        n, below, height, width = filters.get_value(borrow=True).shape
        yield Picture(
            "filters_%s.png" % layer.split(".")[0], "Filters of %s" % layer,
            "%s filters of %d x %d for %d map%s below: what a feature map looks for."
            % (n if n <= MOST_FILTERS else "The first %d of %d" % (MOST_FILTERS, n),
               height, width, below, "" if below == 1 else "s"),
            plots.draw_filters(filters.get_value()[:MOST_FILTERS]))

    weights = weights_on_pixels(model, shape)
    if weights is not None:
        of_classes = len(weights) == len(names) and len(networks.layers_of(model)) == 1
        yield Picture(
            "weights.png", "Weights on the pixels",
            "%s: light where ink speaks for %s, dark where it speaks against."
            % (("A picture for each class", "the class") if of_classes else
               ("%d of the %d hidden units" % (min(len(weights), MOST_UNITS), len(weights)),
                "the unit")),
            plots.draw_weights(weights[:MOST_UNITS], names if of_classes else None))

    counts = numpy.zeros((len(names), len(names)), dtype=int)
    numpy.add.at(counts, (y, predictions), 1)
    yield Picture("confusion.png", "The confusion matrix",
                  "How many images of each class (row) the network takes for each class (column).",
                  plots.draw_confusion(counts, names))

    wrong = numpy.flatnonzero(predictions != y)
    if len(wrong):
        # Those first of which it is most sure.
        wrong = wrong[numpy.argsort(-probabilities[wrong].max(axis=1), kind="stable")]
        shown = wrong[:MOST_ERRORS]
        captions = ["%s: %.0f %%\nis %s: %.0f %%" % (
            plots.shortened(names[predictions[i]], 8), 100 * probabilities[i, predictions[i]],
            plots.shortened(names[y[i]], 6), 100 * probabilities[i, y[i]]) for i in shown]
        yield Picture(
            "errors.png", "Misclassified images",
            "%d of the %d images of the test set that the network takes for another class, those "
            "first of which it is most sure. Above each: its answer with the probability of that, "
            "and what it is with the probability that the network gave that."
            % (len(shown), len(wrong)),
            plots.draw_errors([plots.as_image(x[i], shape) for i in shown], captions))


def layers_of(model, pixels):
    """Pairs of the name of a layer and its output for one image, without the batch's axis."""
    maps = networks.feature_maps(model)
    outputs = theano.function([model.input], [expression for _, expression in maps])(
        pixels.reshape(1, -1).astype(theano.config.floatX)) if maps else []
    return [(name, output[0]) for (name, _), output in zip(maps, outputs)]


def weights_on_pixels(model, image_shape):
    """The weights of a first layer that sees all pixels, as images; None if it is a convolution.

    Returns
    -------
    array of shape (number of units, height, width) or (number of units, height, width, 3)
    """
    first = next(iter(networks.layers_of(model).values()))
    for param in first.params:
        values = param.get_value(borrow=True)
        if values.ndim == 2 and len(values) == int(numpy.prod(image_shape)):
            # A unit's weights are a column: (784, 10) -> (10, 28, 28).
            return numpy.stack([plots.as_image(unit, image_shape) for unit in values.T])
    return None


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%(title)s</title>
<style>
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff;
       font: 1rem/1.5 sans-serif; }
h1 { font-size: 1.4rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 0.3rem; }
p { margin: 0.3rem 0 0.8rem; }
img { max-width: 100%%; height: auto; }
nav a { margin-right: 1rem; }
</style>
</head>
<body>
<h1>%(title)s</h1>
<nav>%(links)s</nav>
%(sections)s
</body>
</html>
"""

SECTION = """<h2 id="%(name)s">%(title)s</h2>
<p>%(caption)s</p>
<img src="%(file)s" alt="%(title)s">"""


def page_of(shown, title):
    """A page in HTML that shows pictures of its own folder and needs nothing else."""
    values = [{"name": os.path.splitext(picture.file)[0], "file": picture.file,
               "title": html.escape(picture.title), "caption": html.escape(picture.caption)}
              for picture in shown]
    return PAGE % {
        "title": html.escape(title),
        "links": "".join('<a href="#%(name)s">%(title)s</a>\n' % value for value in values),
        "sections": "\n".join(SECTION % value for value in values),
    }
