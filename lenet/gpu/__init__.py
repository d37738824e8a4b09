"""What it takes to reach an NVIDIA GPU with Theano 1.0.5.

All of it runs before Theano starts, but for ``first.py``, a program of its own, and ``graphs.py``.
"""
