"""The classes of seed 001 with their calls, in Python 3: a network3 that a reader has typed."""

import gzip
import pickle

import numpy as np
import theano
import theano.tensor as T
from theano.tensor import shared_randomstreams
from theano.tensor.nnet import conv, sigmoid, softmax
from theano.tensor.signal import pool


def load_data_shared(filename="../data/mnist.pkl.gz"):
    with gzip.open(filename, 'rb') as f:
        sets = pickle.load(f, encoding="latin1")

    def shared(data):
        shared_x = theano.shared(np.asarray(data[0], dtype=theano.config.floatX), borrow=True)
        shared_y = theano.shared(np.asarray(data[1], dtype=theano.config.floatX), borrow=True)
        return shared_x, T.cast(shared_y, "int32")

    return [shared(data) for data in sets]


def drawn(scale, size):
    return theano.shared(np.asarray(np.random.normal(loc=0, scale=scale, size=size),
                                    dtype=theano.config.floatX), borrow=True)


class Network(object):
    def __init__(self, layers, mini_batch_size):
        self.layers = layers
        self.mini_batch_size = mini_batch_size
        self.params = [param for layer in self.layers for param in layer.params]
        self.x = T.matrix("x")
        self.y = T.ivector("y")
        inpt, inpt_dropout = self.x, self.x
        for layer in layers:
            layer.set_inpt(inpt, inpt_dropout, self.mini_batch_size)
            inpt, inpt_dropout = layer.output, layer.output_dropout

    def SGD(self, training_data, epochs, mini_batch_size, eta, validation_data, test_data,
            lmbda=0.0):
        training_x, training_y = training_data
        validation_x, validation_y = validation_data
        num_training_batches = size(training_data) // mini_batch_size
        num_validation_batches = size(validation_data) // mini_batch_size
        l2_norm_squared = sum([(layer.w ** 2).sum() for layer in self.layers])
        cost = self.layers[-1].cost(self) + 0.5 * lmbda * l2_norm_squared / num_training_batches
        grads = T.grad(cost, self.params)
        updates = [(param, param - eta * grad) for param, grad in zip(self.params, grads)]
        i = T.lscalar()
        train_mb = theano.function(
            [i], cost, updates=updates,
            givens={self.x: training_x[i * mini_batch_size: (i + 1) * mini_batch_size],
                    self.y: training_y[i * mini_batch_size: (i + 1) * mini_batch_size]})
        validate_mb_accuracy = theano.function(
            [i], self.layers[-1].accuracy(self.y),
            givens={self.x: validation_x[i * mini_batch_size: (i + 1) * mini_batch_size],
                    self.y: validation_y[i * mini_batch_size: (i + 1) * mini_batch_size]})
        for epoch in range(epochs):
            for minibatch_index in range(num_training_batches):
                train_mb(minibatch_index)
            accuracy = np.mean([validate_mb_accuracy(j) for j in range(num_validation_batches)])
            print("Epoch {0}: validation accuracy {1:.2%}".format(epoch, accuracy))
        return accuracy


class ConvPoolLayer(object):
    def __init__(self, filter_shape, image_shape, poolsize=(2, 2), activation_fn=sigmoid):
        self.filter_shape = filter_shape
        self.image_shape = image_shape
        self.poolsize = poolsize
        self.activation_fn = activation_fn
        n_out = filter_shape[0] * np.prod(filter_shape[2:]) / np.prod(poolsize)
        self.w = drawn(np.sqrt(1.0 / n_out), filter_shape)
        self.b = drawn(1.0, (filter_shape[0],))
        self.params = [self.w, self.b]

    def set_inpt(self, inpt, inpt_dropout, mini_batch_size):
        self.inpt = inpt.reshape(self.image_shape)
        conv_out = conv.conv2d(input=self.inpt, filters=self.w, filter_shape=self.filter_shape,
                               image_shape=self.image_shape)
        pooled_out = pool.pool_2d(input=conv_out, ds=self.poolsize, ignore_border=True, mode='max')
        self.output = self.activation_fn(pooled_out + self.b.dimshuffle('x', 0, 'x', 'x'))
        self.output_dropout = self.output


class FullyConnectedLayer(object):
    def __init__(self, n_in, n_out, activation_fn=sigmoid, p_dropout=0.0):
        self.n_in = n_in
        self.activation_fn = activation_fn
        self.p_dropout = p_dropout
        self.w = drawn(np.sqrt(1.0 / n_out), (n_in, n_out))
        self.b = drawn(1.0, (n_out,))
        self.params = [self.w, self.b]

    def set_inpt(self, inpt, inpt_dropout, mini_batch_size):
        self.inpt = inpt.reshape((mini_batch_size, self.n_in))
        self.output = self.activation_fn(
            (1 - self.p_dropout) * T.dot(self.inpt, self.w) + self.b)
        self.inpt_dropout = dropout_layer(
            inpt_dropout.reshape((mini_batch_size, self.n_in)), self.p_dropout)
        self.output_dropout = self.activation_fn(T.dot(self.inpt_dropout, self.w) + self.b)


class SoftmaxLayer(FullyConnectedLayer):
    def __init__(self, n_in, n_out, p_dropout=0.0):
        FullyConnectedLayer.__init__(self, n_in, n_out, softmax, p_dropout)

    def cost(self, net):
        return -T.mean(T.log(self.output_dropout)[T.arange(net.y.shape[0]), net.y])

    def accuracy(self, y):
        return T.mean(T.eq(y, T.argmax(self.output, axis=1)))


def size(data):
    return data[0].get_value(borrow=True).shape[0]


def dropout_layer(layer, p_dropout):
    srng = shared_randomstreams.RandomStreams(np.random.RandomState(0).randint(999999))
    mask = srng.binomial(n=1, p=1 - p_dropout, size=layer.shape)
    return layer * T.cast(mask, theano.config.floatX)
