"""LeNet in Theano, as the deeplearning.net tutorial teaches it.

After ``import lenet``, ``import theano`` starts Theano with settings that work and with the fast
operations of this package (``lenet.finder``), and ``from mlp import HiddenLayer`` finds ours.
"""

from lenet import finder, kernel, processors
from lenet.theano_start import missing, refusal

__version__ = "0.1.0"

refusal.end_in_one_line(missing.explain)
processors.limit_threads()  # NumPy, imported later, reads it as well
finder.register()

if kernel.find_shell() is not None:
    from lenet.notebook import cells

    cells.register(kernel.find_shell())
