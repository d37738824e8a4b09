"""Train a small LeNet-5 a few steps on the device that THEANO_FLAGS names; print what came out.

A process of its own for each device; ``test_device.py`` compares what they print.
"""

import json
import sys

import numpy

import lenet  # noqa: F401  (before Theano, which it gives its settings)

import theano  # isort: skip
import theano.tensor as T  # isort: skip

from lenet.convolutional_mlp import LeNet5
from lenet.data import Datasets, shared_dataset
from lenet.data.chunks import ChunkedSet, Window
from lenet.data.shuffled import ShuffledSet
from lenet.training.functions import compile_functions

BATCH, N, SIDE = 10, 20, 16


def main(how=None):
    """``how``: "shuffled", or the megabytes of a chunk."""
    rng = numpy.random.RandomState(1)
    arrays = [(rng.uniform(size=(N, SIDE * SIDE)).astype("float32"),
               rng.randint(0, 10, N).astype("float32")) for _ in range(3)]
    sets = [shared_dataset(pair) for pair in arrays]
    if how == "shuffled":
        sets[0] = ShuffledSet(*sets[0])
        sets[0].set_order(numpy.arange(N)[::-1].copy())
    elif how is not None:
        window = Window(float(how))
        sets = [ChunkedSet(x, y, window) for x, y in arrays]
    x, y = sets[0]
    variables = [x] + theano.gof.graph.inputs([y])
    datasets = Datasets(sets, (1, SIDE, SIDE), [str(i) for i in range(10)], "resize")
    x, y = T.matrix("x"), T.ivector("y")
    model = LeNet5(numpy.random.RandomState(23455), x, (1, SIDE, SIDE), nkerns=(2, 3), n_hidden=20,
                   filter_size=(3, 3))

    compiled = []
    compile_function = theano.function

    def remember(*arguments, **named):
        compiled.append(compile_function(*arguments, **named))
        return compiled[-1]
    theano.function = remember
    functions = compile_functions(model, x, y, model.negative_log_likelihood(y), datasets, 0.1,
                                  BATCH)
    theano.function = compile_function

    costs = [float(functions.train_minibatch(index % 2)) for index in range(6)]
    errors = [[functions.validation_error(), functions.test_error()] for _ in range(3)][-1]
    print(json.dumps({
        "device": theano.config.device,
        "costs": costs,
        "errors": errors,
        "params": [numpy.asarray(p.get_value()).ravel().tolist() for p in model.params],
        "types": [type(v.type).__name__ for v in variables + model.params],
        "to_device": [[str(node.inputs[0].type) for node in f.maker.fgraph.toposort()
                       if type(node.op).__name__ == "GpuFromHost"] for f in compiled],
        "ops": [[type(node.op).__name__ for node in f.maker.fgraph.toposort()] for f in compiled],
    }))


if __name__ == "__main__":
    main(*sys.argv[1:])
