"""Evaluate a model on a whole set, minibatch by minibatch; every example counts."""

import numpy


def compile_error(model, x, y, evaluated_set, batch_size):
    """Compile the error on a set: a function without arguments.

    It returns the fraction of all the examples of ``evaluated_set`` that are classified wrongly.
    See ``lenet.training.functions.compile_functions`` for the parameters.
    """
    # The last minibatch may be smaller than the others, so the wrong examples are counted.
    count_wrong = evaluated_set.compile_count((x, y), model.errors(y) * y.shape[0], batch_size)
    return lambda: count_wrong() / evaluated_set.n_examples


def compile_predictions(model, x, evaluated_set, batch_size):
    """Compile the predictions for a set: a function without arguments.

    It returns the most probable class of every example, an array of shape (n_examples,).
    """
    predict_batches = evaluated_set.compile_all((x,), model.y_pred, batch_size)
    return lambda: numpy.concatenate(predict_batches())
