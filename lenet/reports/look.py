"""Pictures of what a saved network has learned, in a folder with a page that shows them."""

import html
import os
from collections import namedtuple

import numpy
import theano

from lenet import networks
from lenet.data import as_floats, open_arrays
from lenet.data.files import make_folder, write_beside
from lenet.errors import DataError, UsageError
from lenet.figures import plots
from lenet.predict import Predictor
from lenet.predict.reader import Reader
from lenet.reports.evaluation import count_confusions, find_mistakes
from lenet.runs.log import read_log

MAX_FILTERS_DRAWN = 50  # of a layer that sees the image
MAX_DEEP_FILTERS_DRAWN, MAX_MAPS_DRAWN = 16, 8  # of a layer that sees more maps than colours
MAX_UNITS_DRAWN = 100
MAX_ERRORS_DRAWN = 60

Picture = namedtuple("Picture", "file title caption figure")


def look(path, output, dataset="mnist.pkl.gz", image=None, index=0, without_dataset=None):
    """Write the pictures of a network, and a page that shows them.

    Returns the paths of the files, the page last. Raises a UsageError if there is no such image in
    the test set, and a DataError if a file cannot be read or written, or if the dataset is not one
    for this network.

    Parameters
    ----------
    path : str
        A model file, or the folder of a run, whose training curves are then drawn as well.
    output : str
        The folder for the pictures and ``index.html``; it is made if it does not exist.
    dataset : str
        The dataset whose test set is classified; see ``lenet.data.load_data``.
    image : str, optional
        An image file to show layer by layer, in place of an image of the test set.
    index : int
        The number of that image of the test set, from 0.
    without_dataset : function, optional
        Called with the DataError if the dataset cannot be used but an ``image`` is given. The
        pictures that need no test set are then written. By default the error is raised.
    """
    predictor = Predictor(path)
    log = os.path.join(path, "log.csv")
    rows = read_log(log) if os.path.isdir(path) and os.path.exists(log) else None
    test_set, title = None, type(predictor.model).__name__
    try:
        datasets = networks.fit_datasets(predictor, open_arrays(dataset))
    except DataError as error:
        if image is None or without_dataset is None:
            raise
        without_dataset(error)
    else:
        x, y = as_floats(datasets[2][0], predictor.pixels), datasets[2][1]
        test_set = x, y, predictor.evaluate(x)
        n_wrong = int((test_set[2].argmax(axis=1) != y).sum())
        title += (f": {n_wrong} of {len(x)} images of the test set are misclassified "
                  f"({100 * n_wrong / len(x):.2f} %)")
    if image is not None:
        reader = Reader(predictor.image_shape, predictor.preparation)
        pixels = as_floats(reader.read(image).reshape(1, -1), predictor.pixels)
        name = os.path.basename(image)
    elif 0 <= index < len(x):
        pixels, name = x[index:index + 1], f"image {index} of the test set"
    else:
        raise UsageError(f"index {index}; expected 0 to {len(x) - 1}, the images of the test set")
    make_folder(output)
    written, shown = [], []
    for picture in draw_pictures(predictor, rows, pixels, name, test_set):
        written.append(os.path.join(output, picture.file))
        plots.finish(picture.figure, written[-1])
        shown.append(picture._replace(figure=None))
    written.append(os.path.join(output, "index.html"))
    with write_beside(written[-1]) as file:
        file.write(build_page(shown, title).encode("utf-8"))
    return written


def draw_pictures(predictor, rows, pixels, name, test_set):
    """Yield each Picture of a network, in the order of the page.

    Parameters
    ----------
    predictor : lenet.predict.predictor.Predictor
    rows : list of dicts, or None
        The log of its training; see ``lenet.runs.log.read_log``.
    pixels, name : array of shape (1, ...), str
        The image to show layer by layer, in the format of the training.
    test_set : (x, y, probabilities), or None
        Arrays of shape (n, number of pixels), (n,), (n, number of classes): a test set and what
        the network makes of it.
    """
    model, names, shape = predictor.model, predictor.class_names, predictor.image_shape

    yield Picture(
        "network.png", "An image, layer by layer",
        f"What the network makes of {name}. Each map is stretched to the range from black to "
        "white.",
        plots.draw_network(plots.reshape_image(predictor.pixels.to_fractions(pixels)[0], shape),
                           compute_outputs(model, pixels),
                           predictor.evaluate(pixels.reshape(1, -1))[0], names))

    if rows is not None:
        yield Picture("curves.png", "The training",
                      "The cost, and the errors on the validation set and on the test set, after "
                      "each epoch.", plots.draw_curves(rows))

    for layer, param in networks.filters(model):
        caption, figure = draw_strongest_filters(param.get_value(borrow=True))
        yield Picture(f"filters_{layer.split('.')[0]}.png", f"Filters of {layer}", caption, figure)

    weights = find_pixel_weights(model, shape)
    if weights is not None:
        n, of_classes = len(weights), len(networks.layers_of(model)) == 1
        what, unit = (("A picture for each class", "the class") if of_classes else
                      (f"{min(n, MAX_UNITS_DRAWN)} of the {n} hidden units", "the unit"))
        yield Picture(
            "weights.png", "Weights on the pixels",
            f"{what}: light where ink speaks for {unit}, dark where it speaks against it.",
            plots.draw_weights(weights[:MAX_UNITS_DRAWN], names if of_classes else None))

    if test_set is None:
        return
    x, y, probabilities = test_set
    counts = count_confusions(y, probabilities.argmax(axis=1), len(names))
    yield Picture("confusion.png", "The confusion matrix",
                  "How many images of each class (row) the network takes for each class (column).",
                  plots.draw_confusion(counts, names))

    wrong = find_mistakes(y, probabilities)
    if len(wrong):
        shown = wrong[:MAX_ERRORS_DRAWN]
        yield Picture(
            "errors.png", "Misclassified images",
            f"{len(shown)} of the {len(wrong)} images of the test set that the network "
            "misclassifies, the most confident mistakes first. Above each: the predicted class and "
            "its probability; then the true class and the probability that the network gave it.",
            plots.draw_mistakes(shown, predictor.pixels.to_fractions(x), y, probabilities,
                                probabilities, shape, names))


def draw_strongest_filters(filters):
    """The caption and the figure of a convolution's filters, an array of shape (number of filters,
    number of maps below, height, width): of all, or of those with the largest weights."""
    n, below, height, width = filters.shape
    deep = below not in (1, 3)
    shown = find_strongest(filters, MAX_DEEP_FILTERS_DRAWN if deep else MAX_FILTERS_DRAWN)
    maps = find_strongest(filters[shown].swapaxes(0, 1), MAX_MAPS_DRAWN if deep else below)
    caption = f"{count_of(len(shown), n)} filters of {height} x {width}, for "
    caption += f"{count_of(len(maps), below)} map{'s' * (below > 1)} below"
    if len(shown) < n or len(maps) < below:
        caption += ", those with the largest weights"
    return (caption + ": what a feature map looks for.",
            plots.draw_filters(filters[numpy.ix_(shown, maps)], shown, maps))


def find_strongest(weights, most):
    """Which weights (along the first axis) have the largest sums of squares; in their order."""
    sums = (weights.reshape(len(weights), -1) ** 2).sum(axis=1)
    return numpy.sort(numpy.argsort(-sums, kind="stable")[:most])


def count_of(shown, n):
    """"16 of 50", or "50" if that is all."""
    return str(n) if shown == n else f"{shown} of {n}"


def compute_outputs(model, pixels):
    """Pairs of a layer's name and its output for one image, without the axis of the minibatch."""
    maps = networks.feature_maps(model)
    if not maps:  # logistic regression
        return []
    outputs = theano.function([model.input], [expression for _, expression in maps])(
        pixels.reshape(1, -1).astype(theano.config.floatX))
    return [(name, output[0]) for (name, _), output in zip(maps, outputs)]


def find_pixel_weights(model, image_shape):
    """The weights of a first layer that sees all pixels, as images of shape (number of units,
    height, width) or (number of units, height, width, 3); None if it is a convolution."""
    first = next(iter(networks.layers_of(model).values()))
    for param in first.params:
        values = param.get_value(borrow=True)
        if values.ndim == 2 and len(values) == int(numpy.prod(image_shape)):
            # A unit's weights are a column: (784, 10) -> (10, 28, 28).
            return numpy.stack([plots.reshape_image(unit, image_shape) for unit in values.T])
    return None


STYLE = """\
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff;
       font: 1rem/1.5 sans-serif; }
h1 { font-size: 1.4rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 0.3rem; }
p { margin: 0.3rem 0 0.8rem; }
img { max-width: 100%; height: auto; }
nav a { margin-right: 1rem; }"""


def build_page(shown, title):
    """An HTML page that shows pictures of its own folder and needs nothing else."""
    title, links, sections = html.escape(title), "", ""
    for picture in shown:
        name, heading = os.path.splitext(picture.file)[0], html.escape(picture.title)
        links += f'<a href="#{name}">{heading}</a>\n'
        sections += f"""\
<h2 id="{name}">{heading}</h2>
<p>{html.escape(picture.caption)}</p>
<img src="{picture.file}" alt="{heading}">
"""
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{STYLE}
</style>
</head>
<body>
<h1>{title}</h1>
<nav>{links}</nav>
{sections}</body>
</html>
"""
