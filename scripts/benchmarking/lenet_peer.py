"""LeNet-5 of this package, or in plain Theano where LENET_OPS=0."""
import resource

import numpy
import theano
import theano.tensor as T

from lenet.convolutional_mlp import LeNet5
from lenet.data import load_data, shared_dataset
from lenet.training.functions import compile_functions

SGEMM_SIZE = 2048


class Peer:
    """The tutorial's training; on MNIST, validation and test sets are cut to a minibatch."""

    def __init__(self, minibatch, nkerns=(20, 50), datasets=None, **_):
        if datasets is None:
            datasets = load_data()
            for i in (1, 2):
                images = datasets[i].x.get_value(borrow=True)
                datasets[i] = shared_dataset((images[:minibatch],
                                              datasets[i].labels()[:minibatch]), borrow=False)
        x, y = T.matrix("x"), T.ivector("y")
        model = LeNet5(numpy.random.RandomState(23455), x, nkerns=nkerns)
        self.functions = compile_functions(model, x, y, model.negative_log_likelihood(y),
                                           datasets, 0.1, minibatch)
        self.facts = {"parameters": sum(p.get_value(borrow=True).size for p in model.params),
                      "versions": {"theano": theano.__version__}}
        self.multiply = None

    def train(self, i):
        return float(self.functions.train_minibatch(i % self.functions.n_train_batches))

    def evaluate(self, i):
        return self.functions.validation_error()

    def sgemm(self, i):
        """A product of two square matrices by Theano's BLAS."""
        if self.multiply is None:
            rng = numpy.random.RandomState(0)
            a, b = rng.rand(2, SGEMM_SIZE, SGEMM_SIZE).astype("float32")
            c = theano.shared(a)
            self.multiply = theano.function([], updates=[(c, T.dot(*map(theano.shared, (a, b))))])
            self.corner = theano.function([], c[0, 0])  # on the host, so that a GPU has to be done
        self.multiply()
        self.corner()


def peak_mb():
    """The most resident memory of this process, in units of 2 ** 20 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
