"""From a model to the compiled functions of minibatch stochastic gradient descent."""

import math
from collections import namedtuple

import numpy
import theano
import theano.tensor as T

from lenet.data import SET_NAMES
from lenet.errors import UsageError
from lenet.parallel import ranks
from lenet.parallel.split_step import compile_split_step

Functions = namedtuple("Functions", "train_minibatch validation_error test_error n_train_batches")


@ranks.one_per_host_first
def compile_functions(model, x, y, cost, datasets, learning_rate, batch_size, momentum=0.0):
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
    momentum : float
        The fraction of a step that is added to the next one; ``model.velocities`` are the steps,
        as ``velocities`` makes them.

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
    if momentum:
        steps = [momentum * velocity - learning_rate * gradient
                 for velocity, gradient in zip(model.velocities, gradients)]
        updates = list(zip(model.velocities, steps)) + [
            (param, param + step) for param, step in zip(model.params, steps)]

    # The function takes a minibatch's number only. ``givens`` puts a slice of the shared variables
    # in the place of x and y, so that no image is copied to a GPU on the way.
    if train_set.shards is None:
        index = T.lscalar("index")
        train_minibatch = showing(train_set, batch_size, theano.function(
            [index], cost, updates=updates,
            givens=dict(zip((x, y), train_set.minibatch(index, batch_size))),
        ))
    else:  # the gradients come from several functions, or processes
        train_minibatch = compile_split_step(model, x, y, cost, gradients, updates, train_set)

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
    # The last minibatch may be smaller than the others, so the wrong examples are counted, by each
    # rank in its part of the minibatches.
    world = ranks.world
    n_wrong = compile_over_set([x, y], model.errors(y) * y.shape[0], evaluated_set, batch_size,
                               part=(world.rank, world.size))
    return lambda: (world.total(int(round(sum(map(float, n_wrong())))))
                    / evaluated_set.n_examples)


def compile_predictions(model, x, evaluated_set, batch_size):
    """Compile the predictions for a set: a function without arguments.

    It returns the most probable class of every example, an array of shape (n_examples,). See
    ``compile_functions`` for the parameters.
    """
    predictions = compile_over_set([x], model.y_pred, evaluated_set, batch_size)
    return lambda: numpy.concatenate(predictions())


def compile_over_set(inputs, expression, evaluated_set, batch_size, part=(0, 1)):
    """Compile a function that returns the values of an expression, one per minibatch of a set.

    ``inputs`` are the variables x, or x and y, that the expression is made of; ``part`` is the
    number of a part of the minibatches, from 0, and how many parts there are.
    """
    index = T.lscalar("index")
    value = showing(evaluated_set, batch_size, theano.function(
        [index], expression,
        givens=dict(zip(inputs, evaluated_set.minibatch(index, batch_size))),
    ))
    # Every example counts: the number of minibatches is rounded up.
    n_batches = -(-evaluated_set.n_examples // batch_size)
    number, n_parts = part
    first, end = number * n_batches // n_parts, (number + 1) * n_batches // n_parts
    return lambda: [value(i) for i in range(first, end)]


def showing(a_set, batch_size, function):
    """A function of a minibatch's number that has its set show this minibatch first."""
    def shown_first(index):
        a_set.show(index, batch_size)
        return function(index)

    return shown_first


def in_training(cost, noise):
    """A cost as training computes it, with random numbers where evaluation takes their mean.

    Parameters
    ----------
    cost : scalar expression
        Made from the outputs of evaluation.
    noise : list of pairs of expressions
        From the input to the output: an expression that all the later ones depend on, and what
        takes its place in training. The cost does not change if there is none.
    """
    replace = {}
    for evaluated, trained in noise:
        replace = {evaluated: theano.clone(trained, replace)}
    return theano.clone(cost, replace) if replace else cost


def falling_rate(learning_rate, decay, warmup=0):
    """A learning rate that is multiplied by ``decay`` after each epoch.

    During the first ``warmup`` epochs it rises to that: a share of 1 / (warmup + 1) in the first
    epoch, 2 / (warmup + 1) in the second. Large rates, as for large minibatches, need this (Goyal
    et al., arXiv:1706.02677, section 2.2).

    Returns
    -------
    (float or scalar shared variable, function of an int or None)
        The rate for ``compile_functions``, and what ``lenet.training.loop.early_stopping`` calls
        before each epoch. A decay of 1 without warm-up leaves the rate as it is.

    Raises
    ------
    UsageError
        The rate is not positive, the decay is not in (0, 1], or the warm-up is negative.
    """
    check_learning_rate(learning_rate)
    if not 0 < decay <= 1:
        raise UsageError(f"learning rate decay {decay}; expected more than 0 and at most 1, "
                         "such as 0.95")
    if warmup < 0:
        raise UsageError(f"warmup {warmup}; expected a number of epochs, 0 for none")
    if decay == 1 and not warmup:
        return learning_rate, None
    return rate_by_epoch(lambda epoch: (learning_rate * decay ** (epoch - 1)
                                        * min(1.0, epoch / (warmup + 1))))


def rate_by_epoch(rate_of):
    """A learning rate that each epoch sets anew.

    Parameters
    ----------
    rate_of : function of an int
        Gives the rate of an epoch, from 1.

    Returns
    -------
    (scalar shared variable, function of an int)
        As for ``falling_rate``; the rate is NaN until the first epoch begins.
    """
    rate = theano.shared(numpy.asarray(math.nan, dtype=theano.config.floatX))

    def epoch_begins(epoch):
        rate.set_value(numpy.asarray(rate_of(epoch), dtype=rate.dtype))

    return rate, epoch_begins


def velocities(params, momentum):
    """The last step of each parameter, at first 0; none without momentum.

    Raises
    ------
    UsageError
        The momentum is not in [0, 1).
    """
    if not 0 <= momentum < 1:
        raise UsageError(f"momentum {momentum}; expected at least 0 and less than 1, such as 0.9")
    return [theano.shared(numpy.zeros_like(param.get_value(borrow=True)))
            for param in params if momentum]


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
