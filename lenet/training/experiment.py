"""An experiment of the tutorial: load the data, build a model, train it, say what it reached."""

import math
import signal
import sys
import timeit

import numpy
import theano
import theano.tensor as T

from lenet.data import load_data, shape_of
from lenet.errors import Interrupted, TrainingError, UsageError
from lenet.gpu import memory
from lenet.training.functions import compile_functions
from lenet.training.loop import Result, early_stopping
from lenet.training.report import TutorialReport


def run_experiment(build, dataset, learning_rate, n_epochs, batch_size, file_name, chunk_mb=None,
                   run=None, **options):
    """Load a dataset, build a model for it, and train it; print the tutorial's lines.

    Parameters
    ----------
    build : function
        Takes the expressions of a minibatch, x (a matrix, one rasterized image a row) and y (a
        vector of labels), and the datasets; returns the model and its cost.
    dataset, chunk_mb
        See ``lenet.data.load_data``.
    learning_rate, n_epochs, batch_size, file_name, run, **options
        See ``train``.

    Returns
    -------
    (model, lenet.training.loop.Result)

    Raises
    ------
    UsageError, DataError, TrainingError, Interrupted
        See ``train``; or the dataset cannot be read.
    """
    print("... loading data", flush=True)
    datasets = load_data(dataset, chunk_mb)
    if run is not None:
        run.made_for(datasets)

    print("... building the model", flush=True)
    x = T.matrix("x")  # the images, one rasterized image a row
    y = T.ivector("y")  # the labels
    model, cost = build(x, y, datasets)
    return model, train(model, x, y, datasets, learning_rate, n_epochs, batch_size, file_name,
                        cost, run=run, **options)


def train(model, x, y, datasets, learning_rate, n_epochs, batch_size, file_name, cost=None,
          report=TutorialReport, run=None, **early):
    """Train a model with early stopping, and print the tutorial's lines.

    Parameters
    ----------
    model, x, y, datasets, batch_size, cost
        See ``lenet.training.functions.compile_functions``.
    learning_rate : float, or sequence of floats
        Factor of the gradient in each step; a sequence has one for each epoch, and the last one
        holds for all epochs after.
    n_epochs : int
        Passes over the training set at the most.
    file_name : str
        Named in the closing line.
    report : class
        Prints what happens; made with the number of minibatches in an epoch and of epochs, and
        of the minibatches done before.
    run : lenet.saved.run.Run, optional
        Keeps the training on disk, and knows what an earlier process reached.
    **early
        Patience and the like; see ``lenet.training.loop.early_stopping``.

    Returns
    -------
    lenet.training.loop.Result

    Raises
    ------
    UsageError
        An argument cannot work.
    DataError
        The run cannot be written, or is one of another network; or a GPU's memory is full.
    TrainingError
        The cost is no longer finite.
    Interrupted
        Ctrl-C or SIGTERM: after the minibatch at hand, and after the best result was printed.
    """
    rates = numpy.atleast_1d(learning_rate)
    for rate in rates:
        if not (rate > 0 and math.isfinite(rate)):
            raise UsageError("learning rate %s; expected a positive number, such as 0.1" % rate)
    if n_epochs < 1:
        raise UsageError("number of epochs %s; expected a positive number" % n_epochs)

    def needs():
        return {"the data set": memory.of_datasets(datasets),
                "a minibatch": memory.of_minibatch(model, x, batch_size, shape_of(datasets[0])[1])}

    if len(rates) == 1:
        learning_rate = float(rates[0])
    else:
        learning_rate = theano.shared(numpy.asarray(rates[0], dtype=theano.config.floatX))
        early["epoch_begins"] = lambda epoch: learning_rate.set_value(
            rates[min(epoch, len(rates)) - 1].astype(theano.config.floatX))
    with memory.in_one_line(needs):
        functions = compile_functions(model, x, y, datasets, learning_rate, batch_size, cost)

    result = Result()
    if run is not None:
        run.begin(model, result)
    report = report(functions.n_train_batches, n_epochs, result.iteration + 1)
    observers = [report] if run is None else [report, run]
    report.training_begins()
    start_time = timeit.default_timer()
    with report.stopping_on_signals(), memory.in_one_line(needs):
        early_stopping(*functions, n_epochs, observers=observers, result=result, **early)
        if run is not None:
            run.end(result)
    end_time = timeit.default_timer()

    report.training_ended(result)
    print("The code for file %s ran for %.2fm" % (file_name, (end_time - start_time) / 60.0),
          file=sys.stderr)
    if result.stopped == "diverged":
        raise TrainingError(
            "the cost is %s at iteration %d with learning rate %g; try a smaller learning rate"
            % (result.cost, result.iteration, rates.max())
        )
    if result.stopped == "interrupted":
        go_on = "" if run is None else "; go on with --resume %s" % run.folder
        raise Interrupted("interrupted" + go_on, report.stop_signal or signal.SIGINT)
    return result
