"""From a model to the compiled functions of minibatch stochastic gradient descent."""

import theano
import theano.tensor as T

from lenet.errors import UsageError
from lenet.training.evaluation import compile_error
from lenet.training.loop import Functions
from lenet.training.updates import check_learning_rate


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
    learning_rate : float, scalar shared variable, or optimiser
        Factor of the gradient in each step; or what makes the updates instead, a function of the
        parameters and the gradients, such as a ``lenet.training.updates.Momentum``.
    batch_size : int
        Examples per minibatch.

    Returns
    -------
    lenet.training.loop.Functions

    Raises
    ------
    UsageError
        The learning rate is not positive, or a minibatch is empty or larger than the training set.
    """
    check_learning_rate(learning_rate)
    train_set, validation_set, test_set = datasets
    check_batch_size(batch_size, train_set)

    # The gradient of the cost with respect to each parameter, an expression of the same shape.
    gradients = T.grad(cost, model.params)

    # How to update the parameters: a list of pairs, each a shared variable and the expression of
    # its new value. Theano computes all the new values from the old ones, then stores them.
    if callable(learning_rate):
        updates = learning_rate(model.params, gradients)
    else:
        updates = [
            (param, param - learning_rate * gradient)
            for param, gradient in zip(model.params, gradients)
        ]

    return Functions(
        train_minibatch=train_set.compile_step((x, y), cost, gradients, updates, batch_size),
        validation_error=compile_error(model, x, y, validation_set, batch_size),
        test_error=compile_error(model, x, y, test_set, batch_size),
        n_train_batches=train_set.n_examples // batch_size,
        state=list_state(cost, updates),
    )


def list_state(cost, updates):
    """All the shared variables that a training computes with, and those that it changes: the
    parameters, the velocities of an optimiser, the states of random numbers."""
    found = [variable for variable, _ in updates]
    found += [variable for variable in theano.gof.graph.inputs([cost])
              if isinstance(variable, theano.compile.SharedVariable) and variable not in found]
    return found


def find_random_states(cost):
    """The states of the random numbers in a cost, shared variables that each step changes."""
    return [variable for variable in theano.gof.graph.inputs([cost])
            if getattr(variable, "default_update", None) is not None]


def check_batch_size(batch_size, train_set):
    """Raise a UsageError if a minibatch would be empty or larger than the training set."""
    if batch_size < 1:
        raise UsageError(f"batch size {batch_size}; expected a positive number of examples")
    if batch_size > train_set.n_examples:
        raise UsageError(f"batch size {batch_size}; expected at most the {train_set.n_examples} "
                         "examples of the training set")
