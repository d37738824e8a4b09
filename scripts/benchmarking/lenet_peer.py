"""A network of this package, or in plain Theano where LENET_OPS=0."""
import resource

import numpy
import theano
import theano.tensor as T

from lenet.convolutional_mlp import LeNet5
from lenet.data import load_data, shared_dataset
from lenet.lenet5_1998 import LeNet5_1998
from lenet.mlp import MLP
from lenet.network3 import conv_network
from lenet.training.functions import compile_functions

SGEMM_SIZE = 2048


def build(network, nkerns=(20, 50)):
    """(model, images, labels, cost, learning rate) of one of ``peers.NETWORKS``, as its script
    trains it by default."""
    x, y = T.matrix("x"), T.ivector("y")
    rng = numpy.random.RandomState(23455)
    if network == "network3":
        model = conv_network((1, 28, 28))
        return model, model.x, model.y, model.layers[-1].cost(model), 0.1
    if network == "mlp":
        model = MLP(rng, x, 784, 500, 10)
        return model, x, y, model.negative_log_likelihood(y) + 0.0001 * model.L2_sqr, 0.01
    if network == "lenet5_1998":
        model = LeNet5_1998(rng, x)
        return model, x, y, model.loss(y), 0.002
    model = LeNet5(rng, x, nkerns=nkerns)
    return model, x, y, model.negative_log_likelihood(y), 0.1


class Peer:
    """The tutorial's training; on MNIST, validation and test sets are cut to a minibatch."""

    def __init__(self, minibatch, nkerns=(20, 50), datasets=None, network="lenet5", **_):
        if datasets is None:
            datasets = load_data()
            for i in (1, 2):
                images = datasets[i].x.get_value(borrow=True)
                datasets[i] = shared_dataset((images[:minibatch],
                                              datasets[i].labels()[:minibatch]), borrow=False)
        model, x, y, cost, rate = build(network, nkerns)
        self.functions = compile_functions(model, x, y, cost, datasets, rate, minibatch)
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
