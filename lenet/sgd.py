"""Compile a model into the functions of minibatch stochastic gradient descent."""

from collections import namedtuple

import theano
import theano.tensor as T

from lenet.data import SET_NAMES
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
    learning_rate : float
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
        A minibatch is empty or larger than a set.
    """
    sizes = [set_x.get_value(borrow=True).shape[0] for set_x, _ in datasets]
    if batch_size < 1:
        raise UsageError("batch size %d; expected a positive number of examples" % batch_size)
    for name, size in zip(SET_NAMES, sizes):
        if batch_size > size:
            raise UsageError("batch size %d; expected at most the %d examples of the %s"
                             % (batch_size, size, name))

    index = T.lscalar("index")  # number of a minibatch

    def minibatch(set_x, set_y):
        """The examples of minibatch number ``index``, in the places of x and y."""
        start = index * batch_size
        return {x: set_x[start:start + batch_size], y: set_y[start:start + batch_size]}

    train_set, validation_set, test_set = datasets

    # One step of gradient descent for every parameter.
    if cost is None:
        cost = model.negative_log_likelihood(y)
    gradients = T.grad(cost, model.params)
    updates = [
        (parameter, parameter - learning_rate * gradient)
        for parameter, gradient in zip(model.params, gradients)
    ]
    train_minibatch = theano.function([index], cost, updates=updates, givens=minibatch(*train_set))

    # The last minibatch of a set may be smaller than the others, so the wrong examples are counted.
    wrong = model.errors(y) * y.shape[0]

    def error_on(evaluated_set, size):
        count = theano.function([index], wrong, givens=minibatch(*evaluated_set))
        n_batches = -(-size // batch_size)  # rounded up: every example counts
        return lambda: int(round(sum(float(count(i)) for i in range(n_batches)))) / size

    return Functions(
        train_minibatch,
        validation_error=error_on(validation_set, sizes[1]),
        test_error=error_on(test_set, sizes[2]),
        n_train_batches=sizes[0] // batch_size,
    )
