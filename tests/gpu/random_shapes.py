"""Convolve, pool and differentiate over random shapes on the device that THEANO_FLAGS names.

Prints the results; a process of its own for each device, ``test_device.py`` compares them.
"""

import json
import sys

import numpy

import lenet  # noqa: F401  (before Theano, which it gives its settings)

import theano  # isort: skip
import theano.tensor as T  # isort: skip

from lenet.convolutional_mlp import LeNetConvPoolLayer


def main(n_shapes):
    rng = numpy.random.RandomState(6)
    for _ in range(int(n_shapes)):
        filter_size, poolsize = rng.randint(1, 6, 2), rng.randint(1, 4, 2)
        # Up to two rows and columns of a map do not fill a window.
        size = filter_size - 1 + poolsize * rng.randint(1, 5, 2) + rng.randint(0, 3, 2)
        n, channels, n_filters = rng.randint(1, 8, 3)
        image_shape = tuple(int(number) for number in (n, channels, *size))
        filter_shape = tuple(int(number) for number in (n_filters, channels, *filter_size))

        x = T.tensor4("x")
        layer = LeNetConvPoolLayer(rng, x, filter_shape, (None,) + image_shape[1:],
                                   tuple(int(window) for window in poolsize))
        wanted = [layer.output] + T.grad((layer.output ** 2).sum(), [x] + layer.params)
        layer.b.set_value(rng.normal(size=n_filters).astype("float32"))
        values = theano.function([x], wanted)(rng.normal(size=image_shape).astype("float32"))
        print(json.dumps([image_shape, filter_shape] + [numpy.asarray(v).tolist() for v in values]))


if __name__ == "__main__":
    main(*sys.argv[1:])
