"""Compile a model into the functions of minibatch stochastic gradient descent."""

from collections import namedtuple

import numpy
import theano
import theano.tensor as T

from lenet.data import SET_NAMES, shape_of
from lenet.data.chunks import ChunkedSet
from lenet.errors import UsageError

Functions = namedtuple(
    "Functions", "train_minibatch validation_error test_error n_train_batches"
)


def compile_functions(model, x, y, datasets, learning_rate, batch_size, cost=None):
    """Compile training on a minibatch, and the errors on the validation and test sets.

    Parameters
    ----------
    model
        Has ``negative_log_likelihood(y)``, ``errors(y)`` and ``params``.
    x, y : matrix and vector expressions
        The model's images and labels, which minibatches take the place of.
    datasets : list of three pairs
        As ``lenet.data.load_data`` returns them.
    learning_rate : float or scalar shared variable
        Factor of the gradient in each step.
    batch_size : int
        Examples a minibatch.
    cost : scalar expression, optional
        What to minimise; ``model.negative_log_likelihood(y)`` unless given.

    Returns
    -------
    Functions
        ``train_minibatch(index)`` makes one step and returns the cost;
        ``validation_error()`` and ``test_error()`` return the fraction of all the examples of
        their set that are classified wrongly; ``n_train_batches`` is the number of whole
        minibatches in the training set (a rest is not trained on).

    Raises
    ------
    UsageError
        A minibatch is empty, or larger than a set or a chunk of it.
    """
    sizes = [size_of(a_set) for a_set in datasets]
    check_batch_size(batch_size, list(zip(SET_NAMES, sizes)))
    for a_set in datasets:
        if isinstance(a_set, ChunkedSet):
            a_set.window.batches_a_chunk(a_set.n_pixels, batch_size)  # complains if none
    train_set, validation_set, test_set = datasets

    # One step of gradient descent for every parameter.
    if cost is None:
        cost = model.negative_log_likelihood(y)
    gradients = T.grad(cost, model.params)
    updates = [
        (parameter, parameter - learning_rate * gradient)
        for parameter, gradient in zip(model.params, gradients)
    ]
    index = T.lscalar("index")  # number of a minibatch
    train_minibatch = theano.function(
        [index], cost, updates=updates, givens=minibatch(index, x, y, train_set, batch_size)
    )

    return Functions(
        in_the_set(train_minibatch, train_set, batch_size),
        validation_error=compile_error(model, x, y, validation_set, batch_size),
        test_error=compile_error(model, x, y, test_set, batch_size),
        n_train_batches=sizes[0] // batch_size,
    )


def compile_error(model, x, y, evaluated_set, batch_size):
    """Compile the error on a set: a function without arguments.

    It returns the fraction of all the examples of ``evaluated_set``, one pair (x, y), that are
    classified wrongly. See ``compile_functions`` for the parameters.
    """
    # The last minibatch of a set may be smaller than the others, so the wrong examples are counted.
    wrong = model.errors(y) * y.shape[0]
    counts = compile_over_set(wrong, x, y, evaluated_set, batch_size)
    size = size_of(evaluated_set)
    return lambda: int(round(sum(float(count) for count in counts()))) / size


def compile_predictions(model, x, y, evaluated_set, batch_size):
    """Compile the predictions for a set: a function without arguments.

    It returns the most probable class of every example of ``evaluated_set``, one pair (x, y), as
    an array of shape (number of examples,). See ``compile_functions`` for the parameters.
    """
    predictions = compile_over_set(model.y_pred, x, y, evaluated_set, batch_size)
    return lambda: numpy.concatenate(predictions())


def compile_over_set(expression, x, y, evaluated_set, batch_size):
    """Compile a function without arguments: the list of an expression's values, minibatch by
    minibatch over a whole set."""
    index = T.lscalar("index")
    # Predictions do not depend on the labels, and Theano's givens want what the graph has only.
    used = theano.gof.graph.inputs([expression])
    examples = minibatch(index, x, y, evaluated_set, batch_size)
    value = theano.function([index], expression,
                            givens={name: part for name, part in examples.items() if name in used})
    value = in_the_set(value, evaluated_set, batch_size)
    n_batches = -(-size_of(evaluated_set) // batch_size)  # rounded up: every example counts
    return lambda: [value(i) for i in range(n_batches)]


def minibatch(index, x, y, a_set, batch_size):
    """The examples of minibatch number ``index``, in the places of x and y.

    Of a set that comes in chunks, it is that number of the chunk that is seen.
    """
    set_x, set_y = a_set.window.variables if isinstance(a_set, ChunkedSet) else a_set
    start = index * batch_size
    return {x: set_x[start:start + batch_size], y: set_y[start:start + batch_size]}


def in_the_set(function, a_set, batch_size):
    """A function of a minibatch's number in the whole set, also where the set comes in chunks."""
    if not isinstance(a_set, ChunkedSet):
        return function
    return lambda index: function(a_set.window.show(a_set, batch_size, index))


def size_of(a_set):
    """Number of examples of a set, one pair (x, y)."""
    return shape_of(a_set)[0]


def check_batch_size(batch_size, names_and_sizes):
    """Raise a UsageError if a minibatch would be empty or larger than a set."""
    if batch_size < 1:
        raise UsageError("batch size %d; expected a positive number of examples" % batch_size)
    for name, size in names_and_sizes:
        if batch_size > size:
            raise UsageError("batch size %d; expected at most the %d examples of the %s"
                             % (batch_size, size, name))
