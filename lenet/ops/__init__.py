"""Compiled ops that make the tutorial's LeNet fast on the CPU and on a GPU, its graph untouched.

    import lenet.ops
    lenet.ops.register()

From then on ``theano.function`` puts the ops of this package in wherever their pattern stands in
a graph that is compiled for the CPU with the ``fast_run`` optimisations (Theano's default):

* ``convpool.py``: convolution and max-pooling as one op, and both its gradients as another;
* ``activation.py``: tanh and sigmoid, with the bias before them and its gradient;
* ``rewrites.py``: the patterns, and how they enter Theano's optimisation database.

In a graph that is compiled for a GPU, convolutions become one product for the whole minibatch:
``columns.py`` has the pattern, ``gpu_columns.py`` runs its kernels, ``gpu_rewrites.py`` puts them
in.

``LENET_OPS=0`` in the environment keeps them out for a process,
``mode=theano.compile.get_default_mode().excluding('lenet_ops')`` for one function, and Theano's
flag ``optimizer_excluding=lenet_ops`` for all.
"""
import os

import theano

__all__ = ["register"]


def register():
    """Put the rewrites into Theano's optimisation database, once; a second call does nothing.

    Returns
    -------
    bool
        Whether they are there now: False with ``LENET_OPS=0`` in the environment.
    """
    if os.environ.get("LENET_OPS", "") == "0":
        return False
    from . import rewrites
    rewrites.register()
    if on_gpu():
        from . import gpu_rewrites  # needs pygpu
        gpu_rewrites.register()
    return True


def on_gpu():
    """Whether graphs are compiled for an NVIDIA GPU that Theano has started."""
    return theano.config.device.startswith("cuda") and theano.gpuarray.pygpu_activated
