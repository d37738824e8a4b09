"""LeNet in Theano, as the deeplearning.net tutorial teaches it.

Importing the package starts Theano with settings that work (``lenet.theano_start``) and registers
the package's fast operations with its compiler (``lenet.ops``); after that, every module can
``import theano`` as the tutorial does.
"""

from lenet import theano_start

__version__ = "0.1.0"

theano_start.start()

from lenet import ops  # noqa: E402  (it needs Theano)

ops.register()
