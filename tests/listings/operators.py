"""Convolution and max-pooling by themselves, as seeds 000 and 001 call them."""

import numpy
import theano
import theano.tensor as T
from theano.tensor.nnet import conv
from theano.tensor.nnet.conv import conv2d
from theano.tensor.signal import downsample


def convolved(images, filters):
    x = T.tensor4(name="x", dtype="float64")
    W = theano.shared(numpy.asarray(filters, dtype=x.dtype), name="W")
    return theano.function([x], conv2d(x, W))(images)


def filtered(images, filters, biases):
    x = T.tensor4(name="x", dtype="float64")
    W = theano.shared(numpy.asarray(filters, dtype=x.dtype), name="W")
    b = theano.shared(numpy.asarray(biases, dtype=x.dtype), name="b")
    maps = T.nnet.sigmoid(conv.conv2d(x, W) + b.dimshuffle("x", 0, "x", "x"))
    return theano.function([x], maps)(images)


def pooled(images, window, ignore_border):
    x = T.dtensor4("x")
    pool_out = downsample.max_pool_2d(x, window, ignore_border=ignore_border)
    return theano.function([x], pool_out)(images)
