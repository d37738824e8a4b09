"""LeNet in Theano, as the deeplearning.net tutorial teaches it.

Importing the package starts Theano with settings that work (``lenet.theano_setup``) and lets its
compiler use the package's fast operations (``lenet.ops``); every other module may then
``import theano`` as the tutorial does.
"""

from lenet import theano_setup

__version__ = "0.1.0"

theano_setup.start()

from lenet import ops, theano_fixes, theano_headers  # noqa: E402  (they need Theano)

theano_fixes.apply()
theano_headers.apply()
ops.register()
