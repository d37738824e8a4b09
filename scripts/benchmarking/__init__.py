"""Measurements for a person to judge; ``scripts/benchmark.py`` prints them.

* ``start.py``: how soon LeNet-5 starts to train, its speed, its memory;
* ``peers.py``: its speed beside plain Theano's and PyTorch's, in turn, each in a process of its
  own (``worker.py``), which runs ``lenet_peer.py`` or ``torch_peer.py``;
* ``picture.py``: the bars of ``peers.py``;
* ``keeping.py``: the cost of keeping a training, of chunks, and the speed of predictions;
* ``minibatches.py``: what an example costs in small minibatches (``network3``).

A speed is a median; compare only figures of one run on one machine.
"""
