"""Compiled ops that make the tutorial's LeNet fast on the CPU and on a GPU, its graph untouched.

    import lenet.ops
    lenet.ops.register()

From then on ``theano.function`` inserts the ops of this package wherever it finds their pattern in
a graph that is compiled for the CPU with the ``fast_run`` optimisations (Theano's default):

* ``convpool.py``: convolution and max-pooling as one op, and both its gradients as another;
* ``pool_first.py``, ``convpool_bias.py``: the same for graphs that pool after the activation;
* ``convolution.py``, ``pool_sum.py``: convolutions without pooling, and pooling by sums or means;
* ``activation.py``: tanh and sigmoid, with the bias before them and its gradient;
* ``products.py``: how many threads a product of matrices gets;
* ``rewrites.py``: the patterns, and how they enter Theano's optimisation database.

In a graph that is compiled for a GPU, a convolution becomes one product for the whole minibatch:
``columns.py`` has the pattern, ``gpu_columns.py`` runs the kernels, ``gpu_rewrites.py`` inserts
them. ``sums.py`` turns the gradients of biases into products as well, ``gpu_argmax.py`` finds the
largest number of each row, and ``gpu_capture.py`` launches all of a function at once.

``LENET_OPS=0`` in the environment keeps the ops out for a process,
``mode=theano.compile.get_default_mode().excluding('lenet_ops')`` for one function, and Theano's
flag ``optimizer_excluding=lenet_ops`` for all.
"""

import os

__all__ = ["register"]


def register():
    """Put the rewrites into Theano's optimisation database; a second call does nothing.

    Returns
    -------
    bool
        Whether they are in it: False with ``LENET_OPS=0`` in the environment.
    """
    if os.environ.get("LENET_OPS", "") == "0":
        return False
    from lenet.ops import products, rewrites
    rewrites.register()
    products.register()
    if uses_gpu():
        from lenet.ops import gpu_capture, gpu_rewrites  # need pygpu
        gpu_rewrites.register()
        gpu_capture.register()
    return True


def uses_gpu():
    """Whether Theano has started an NVIDIA GPU to compile graphs for."""
    from theano import config

    if not config.device.startswith("cuda"):
        return False
    from theano import gpuarray  # slow to import

    return gpuarray.pygpu_activated


import theano  # noqa: E402,F401  (at the end: where this starts Theano, that calls ``register``)
