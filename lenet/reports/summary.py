"""What a network is made of, layer by layer: shapes, parameters, connections, receptive fields.

Nothing here is a table of known networks: convolutions and products of matrices are found in the
graph, sizes come from compiling it, and what a unit sees from changing pixels.
"""

import copy
import inspect
from collections import namedtuple

import numpy
import theano
import theano.tensor as T
from theano.compile import SharedVariable
from theano.gof.graph import Constant, ancestors, io_toposort
from theano.tensor.nnet.abstract_conv import AbstractConv2d
from theano.tensor.signal.pool import Pool

from lenet import networks
from lenet.data.checks import guess_image_shape
from lenet.errors import UsageError
from lenet.network3 import n_elements
from lenet.reports.alignment import align_columns

# What ``lenet.networks.KINDS`` builds a network from, besides its own arguments.
GIVEN = ("rng", "x", "image_shape", "n_out", "layers")

N_RANDOM_IMAGES = 16  # with few maps, a maximum may hide a pixel in some of them
IMAGES_AT_ONCE = 32

# layer, what: the names of the layer and of what it does there
# output: the shape for one image
# weights, parameters: what training changes, the second with the biases
# connections, multiplications: from one unit to another or from a bias, and by weights; per image
# field, stride: (rows, columns) of the pixels that a unit sees, and from its first one to that of
# the next unit; None where there is no next one
Row = namedtuple("Row", "layer what output weights parameters connections multiplications field "
                        "stride")


def build_by_name(kind, image_shape=(1, 28, 28), n_out=10, **arguments):
    """Build a new network by the name of its class.

    Raises a UsageError if the class does not take such an argument, or if the sizes do not fit each
    other.

    Parameters
    ----------
    kind : str
        One of ``lenet.networks.KINDS``; "Network" is ``lenet.network3.conv_network``.
    image_shape : tuple of 3 ints
        (channels, height, width) of an image.
    n_out : int
        Number of classes.
    **arguments
        Of the network, such as nkerns=(20, 50).
    """
    typed = " ".join([kind] + [f"{name}={value}".replace(" ", "")
                               for name, value in arguments.items()])
    try:
        known = [name for name in inspect.signature(networks.KINDS[kind].build).parameters
                 if name not in GIVEN]
        for name in arguments:
            if name not in known:
                raise ValueError(f"no argument {name}; expected {', '.join(known) or 'none'}")
        model = networks.build({"kind": kind, **arguments}, image_shape, n_out)
        if not all(param.get_value(borrow=True).size for param in model.params):
            raise ValueError("a layer without units; expected at least 1")
        return model
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise UsageError(f"{typed}: {error}") from None


def summarize_network(model, image_shape):
    """The Rows of the table of a network of one of ``lenet.networks.KINDS``, from the image, of
    shape (channels, height, width), to the classes.

    A convolution with pooling in its layer makes two rows. Its biases count with the convolution,
    for a maximum does not depend on whether they are added before or after it.
    """
    return build_rows(list_steps(model), model.input, image_shape)


def summarize_part(part):
    """The rows of a network or of one layer, with the shape of its images found in its graph.

    Raises a UsageError if that begins neither with images nor with vectors that weights are
    applied to.
    """
    if not hasattr(part, "output") and hasattr(part, "set_inpt"):
        part = copy.copy(part)  # a layer of network3 that no Network has
        x = T.matrix("x")
        part.set_inpt(x, x, None)
    output = find_output(part)
    input, = [variable for variable in theano.gof.graph.inputs([output])
              if not isinstance(variable, (SharedVariable, Constant))]
    image_shape = find_image_shape(input, output)
    if getattr(part, "input", None) is input and type(part).__name__ in networks.KINDS:
        return summarize_network(part, image_shape)
    below = getattr(part, "input", getattr(part, "inpt", None))
    steps = [(type(part).__name__, *step)
             for step in find_layer_steps(part, output, [below] if below else [])]
    if steps[0][1] != "pooling":
        return build_rows(steps, input, image_shape)
    # What a unit of it sees of the map below follows from what a unit of that sees.
    pooled = next(node.inputs[0] for node in reversed(io_toposort([input], [output]))
                  if isinstance(node.op, Pool))
    return build_rows([("", "", pooled, 0, 0, 0), *steps], input, image_shape)[1:]


def find_image_shape(input, output):
    """(channels, height, width) of the images that a graph begins with; a row of n pixels is taken
    for a square image, grey or of three colours, if n allows it."""
    for node in io_toposort([input], [output]):
        if isinstance(node.op, T.Reshape) and node.inputs[0] is input and node.op.ndim == 4:
            return tuple(int(T.get_scalar_constant_value(length))
                         for length in node.inputs[1].owner.inputs[1:])
        if isinstance(node.op, AbstractConv2d) and node.inputs[0] is input:
            return tuple(map(int, node.op.imshp[1:]))
        if isinstance(node.op, T.Dot):
            return guess_image_shape(int(node.inputs[1].shape[0].eval()))
    raise UsageError("neither images nor vectors: their shape is unknown")


def build_rows(steps, input, image_shape):
    """The Rows of steps, as ``list_steps`` returns them, of a graph that begins with ``input``."""
    outputs = [step[2] for step in steps]
    shapes = [tuple(map(int, shape[1:])) for shape in
              theano.function([input], [output.shape for output in outputs])(
                  fit_images(input, numpy.zeros((1,) + tuple(image_shape))))]
    fields = iter(measure_fields(input, [output for output in outputs if output.ndim == 4],
                                   image_shape))

    rows, field, stride = [], (1, 1), (1, 1)  # a pixel sees itself
    for (name, what, output, weights, biases, parameters), shape in zip(steps, shapes):
        field_below, stride_below = field, stride
        field, stride = next(fields) if output.ndim == 4 else (tuple(image_shape[1:]), None)
        if rows and name == rows[-1].layer and shape == rows[-1].output:
            continue  # it pools nothing
        n_units = n_elements(shape)
        if what == "pooling":
            # Each unit sees that many of the row below, and has a coefficient and a bias or none.
            inputs = n_elements([(all_of_it - one) // step + 1 for all_of_it, one, step
                                 in zip(field, field_below, stride_below)]
                                if stride_below else rows[-1].output[1:])
            connections = n_units * (inputs + (biases > 0))
            multiplications = n_units * (weights > 0)
        else:
            # All weights are used once at each place of a map: 24 x 24 places, or 1.
            n_places = n_elements(shape[1:])
            connections, multiplications = n_places * (weights + biases), n_places * weights
        # The weights of radial basis functions are fixed: no parameters.
        rows.append(Row(name, what, shape, min(weights, parameters), parameters, connections,
                        multiplications, field, stride))
    return rows


def count_parameters(model):
    """How many numbers training changes in a network: those that a mask takes out do not count."""
    return sum(step[-1] for step in list_steps(model))


def list_steps(model):
    """List what the layers of a network do, one after another: (name of the layer, what,
    expression, number of weights, number of biases, number of parameters)."""
    steps, before = [], [model.input]
    for name, layer in networks.layers_of(model).items():
        output = find_output(layer)
        steps += [(name,) + step for step in find_layer_steps(layer, output, before)]
        before.append(output)
    return steps


def find_output(layer):
    """The output of a layer, or of a network."""
    return layer.output if hasattr(layer, "output") else layer.p_y_given_x


def find_layer_steps(layer, output, before):
    """Find what a layer does: one or two of the steps of ``list_steps``, without its name.

    ``before`` are the input of the network and the outputs of the layers before.
    """
    sizes = {param: param.get_value(borrow=True).size for param in layer.params}
    biases = sum(size for param, size in sizes.items() if param.name == "b")
    nodes = [variable.owner for variable in ancestors([output], blockers=before)
             if variable.owner is not None]
    for node in nodes:
        filters = node.inputs[1] if isinstance(node.op, AbstractConv2d) else None
        own = [param for param in ancestors([filters]) if param in sizes] if filters else []
        if own:
            # Weights that a mask takes out of the filters count for nothing.
            ones = theano.clone(filters, {own[0]: T.ones_like(own[0])}).eval()
            weights = numpy.count_nonzero(ones)
            return [("convolution", node.outputs[0], weights, biases,
                     sum(sizes.values()) - ones.size + weights),
                    ("pooling", output, 0, 0, 0)]
    for node in nodes:
        if isinstance(node.op, T.Dot):
            return [("fully connected", output, n_elements(node.inputs[1].shape.eval()), biases,
                     sum(sizes.values()))]
    parameters = sum(sizes.values())
    return [("pooling", output, parameters - biases, biases, parameters)]


def measure_fields(input, maps, image_shape):
    """Measure how many pixels a unit in the middle of each map sees, by changing them.

    Parameters
    ----------
    input : matrix or 4-d expression
        The images, of image_shape (channels, height, width).
    maps : list of 4-d expressions
        Feature maps, of shape (batch size, number of maps, rows, columns).

    Returns
    -------
    list of (field, stride)
        For each of maps (rows, columns) of the pixels that a unit depends on, and the (rows,
        columns) from its first pixel to that of the next unit, None if there is no next one.
    """
    if not maps:
        return []
    # With positive filters and no biases no unit is dead or saturated: whatever it sees counts.
    rng = numpy.random.RandomState(0)
    replaced = {}
    for param in theano.gof.graph.inputs(maps):
        if not isinstance(param, SharedVariable):
            continue
        value = param.get_value()
        if param.ndim == 4:
            # The numbers are 1/2 on average: each unit is about the mean of its inputs.
            positive = 2 / n_elements(value.shape[1:]) * rng.uniform(size=value.shape)
            replaced[param] = T.constant(positive.astype(value.dtype))
        elif param.name == "b":
            replaced[param] = T.constant(numpy.zeros_like(value))
    # The units in the middle, and those before them: (batch size, number of maps, 1 or 2, 1 or 2).
    middle = theano.function([input], [
        a_map[:, :, T.maximum(a_map.shape[2] // 2 - 1, 0):a_map.shape[2] // 2 + 1,
              T.maximum(a_map.shape[3] // 2 - 1, 0):a_map.shape[3] // 2 + 1] for a_map in maps],
        givens=replaced)
    spans = []  # for each axis, then for each map: (pixels seen, pixels to the next unit or None)
    for axis, length in enumerate(image_shape[1:], start=2):
        matters = [False] * len(maps)
        for _ in range(N_RANDOM_IMAGES):
            # A random image, and once more for each of its rows (columns) with that one changed.
            images = numpy.repeat(rng.uniform(size=(1,) + tuple(image_shape)), length + 1, axis=0)
            for line in range(length):
                numpy.moveaxis(images[line + 1], axis - 1, 0)[line] = rng.uniform()
            pixels = fit_images(input, images)
            parts = [middle(pixels[start:start + IMAGES_AT_ONCE])
                     for start in range(0, length + 1, IMAGES_AT_ONCE)]
            for number, output in enumerate(map(numpy.concatenate, zip(*parts))):
                change = abs(output[1:] - output[:1])
                # (length, number of maps, 1 or 2, 1 or 2) -> (length, 1 or 2), without what
                # rounding alone can change.
                matters[number] |= (change > 1e-5 * abs(output).max()).any(axis=(1, 5 - axis))
        spans.append([measure_span(lines) for lines in matters])
    return [((rows, columns), None if down is None or right is None else (down, right))
            for (rows, down), (columns, right) in zip(*spans)]


def fit_images(input, images):
    """Images as a graph takes them that begins with ``input``: rasterized for a matrix."""
    images = images.astype(input.dtype)
    return images.reshape(len(images), -1) if input.ndim == 2 else images


def measure_span(matters):
    """(lines that the last unit sees, lines from the first of the unit before to its first or
    None), given whether each line matters to each unit: bools of shape (lines, 1 or 2)."""
    seen = [numpy.flatnonzero(of_unit) for of_unit in matters.T]
    # Two units that see the same lines, all of them, are not apart.
    return int(numpy.ptp(seen[-1])) + 1, int(seen[-1][0] - seen[0][0]) or None


def format_table(rows, batch_size):
    """The table of a network as text, with its totals; see ``format_cells``."""
    return "\n".join(align_columns(format_cells(rows, batch_size), n_left=3))


def format_cells(rows, batch_size):
    """The cells of a network's table, line by line, with its totals, given its Rows and the images
    whose outputs are held in memory."""
    item = numpy.dtype(theano.config.floatX).itemsize

    def megabytes(n_numbers):
        return f"{n_numbers * item / 1e6:,.2f} MB"

    cells = [("layer", "", "output", "weights", "parameters", "connections", "multiplications",
              "field", "stride", f"memory of {batch_size}")]
    for row in rows:
        cells.append((row.layer, row.what, format_shape(row.output), f"{row.weights:,}",
                      f"{row.parameters:,}", f"{row.connections:,}", f"{row.multiplications:,}",
                      format_shape(row.field), format_shape(row.stride) if row.stride else "-",
                      megabytes(batch_size * n_elements(row.output))))
    sums = [sum(values) for values in
            zip(*[(r.weights, r.parameters, r.connections, r.multiplications) for r in rows])]
    cells.append(("in all", "", "", *(f"{value:,}" for value in sums), "", "",
                  megabytes(batch_size * sum(n_elements(row.output) for row in rows))))
    return cells


def format_shape(shape):
    """(20, 24, 24) as "20 x 24 x 24"."""
    return " x ".join(map(str, shape))
