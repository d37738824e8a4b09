"""Measurements for a person to judge; ``scripts/benchmark.py`` prints them.

``worker.py`` is the process that each runs in, and ``lenet_peer.py`` or ``torch_peer.py`` what is
trained there. A speed is a median; compare only figures of one run on one machine.
"""
