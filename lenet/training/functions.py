"""From a model to the compiled functions of minibatch stochastic gradient descent."""

import math
from collections import namedtuple

import numpy
import theano
import theano.tensor as T

from lenet.data import SET_NAMES
from lenet.errors import UsageError

Functions = namedtuple("Functions", "train_minibatch validation_error test_error n_train_batches")


def compile_functions(model, x, y, cost, datasets, learning_rate, batch_size):
    """Compile a training step on a minibatch, and the errors on the validation and test sets.

    Parameters
    ----------
    model
        Has ``params``, a list of shared variables, and ``errors(y)``.
    x, y : matrix and vector expressions
        The images and labels of a minibatch, of which the model and the cost are made.
    cost : scalar expression
        What to minimise.
    datasets : sequence of three sets
        As ``lenet.data.load_data`` returns them.
    learning_rate : float or scalar shared variable
        Factor of the gradient in each step.
    batch_size : int
        Examples per minibatch.

    Returns
    -------
    Functions
        ``train_minibatch(index)`` makes one step on minibatch number ``index`` and returns its
        cost; ``validation_error()`` and ``test_error()`` return the fraction of all the examples
        of their set that are classified wrongly; ``n_train_batches`` is the number of minibatches
        in the training set, of which an incomplete last one is skipped.

    Raises
    ------
    UsageError
        The learning rate is not positive, or a minibatch is empty or larger than a set.
    """
    check_learning_rate(learning_rate)
    check_batch_size(batch_size, datasets)
    train_set, validation_set, test_set = datasets

    # The gradient of the cost with respect to each parameter, an expression of the same shape.
    gradients = T.grad(cost, model.params)

    # How to update the parameters: a list of pairs, each a shared variable and the expression of
    # its new value. Theano computes all the new values from the old ones, then stores them.
    updates = [
        (param, param - learning_rate * gradient)
        for param, gradient in zip(model.params, gradients)
    ]

    # The function takes a minibatch's number only. ``givens`` puts a slice of the shared variables
    # in the place of x and y, so that no image is copied to a GPU on the way.
    index = T.lscalar("index")
    step = theano.function(
        [index], cost, updates=updates,
        givens=dict(zip((x, y), train_set.minibatch(index, batch_size))),
    )

    def train_minibatch(minibatch_index):
        train_set.show(minibatch_index, batch_size)
        return step(minibatch_index)

    return Functions(
        train_minibatch,
        validation_error=compile_error(model, x, y, validation_set, batch_size),
        test_error=compile_error(model, x, y, test_set, batch_size),
        n_train_batches=train_set.n_examples // batch_size,
    )


def compile_error(model, x, y, evaluated_set, batch_size):
    """Compile the error on a set: a function without arguments.

    It returns the fraction of all the examples of ``evaluated_set`` that are classified wrongly.
    See ``compile_functions`` for the parameters.
    """
    # The last minibatch may be smaller than the others, so the wrong examples are counted.
    n_wrong = compile_over_set([x, y], model.errors(y) * y.shape[0], evaluated_set, batch_size)
    return lambda: int(round(sum(map(float, n_wrong())))) / evaluated_set.n_examples


def compile_predictions(model, x, evaluated_set, batch_size):
    """Compile the predictions for a set: a function without arguments.

    It returns the most probable class of every example, an array of shape (n_examples,). See
    ``compile_functions`` for the parameters.
    """
    predictions = compile_over_set([x], model.y_pred, evaluated_set, batch_size)
    return lambda: numpy.concatenate(predictions())


def compile_over_set(inputs, expression, evaluated_set, batch_size):
    """Compile a function that returns the values of an expression, one per minibatch of a set.

    ``inputs`` are the variables x, or x and y, that the expression is made of.
    """
    index = T.lscalar("index")
    value = theano.function(
        [index], expression,
        givens=dict(zip(inputs, evaluated_set.minibatch(index, batch_size))),
    )

    def values():
        # Every example counts: the number of minibatches is rounded up.
        for i in range(-(-evaluated_set.n_examples // batch_size)):
            evaluated_set.show(i, batch_size)
            yield value(i)

    return lambda: list(values())


def check_learning_rate(rate):
    """Raise a UsageError unless a learning rate is positive, or a shared variable."""
    if not isinstance(rate, theano.Variable) and not 0 < rate < math.inf:
        raise UsageError(f"learning rate {rate}; expected a positive number, such as 0.1")


def check_batch_size(batch_size, datasets=()):
    """Raise a UsageError if a minibatch would be empty or larger than a set."""
    if batch_size < 1:
        raise UsageError(f"batch size {batch_size}; expected a positive number of examples")
    for name, a_set in zip(SET_NAMES, datasets):
        if batch_size > a_set.n_examples:
            raise UsageError(f"batch size {batch_size}; expected at most the {a_set.n_examples} "
                             f"examples of the {name}")
