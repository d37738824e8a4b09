"""Let Theano 1.0.5, of 2020, run on the Python and NumPy of today.

    view.py         Theano's own view of the modules that it imports, and mends to its modules
    python.py       modules that Python and its packaging no longer have
    numpy_names.py  names that NumPy no longer has
    dtypes.py       what NumPy 2 changed about the types of numbers (NEP 50)
    generated.py    the C++ that Theano writes, with generated.h before it
    scan.py         the loop of theano.scan

Theano's files stay as they are, and nobody else in the process sees another NumPy or Python: what
Theano imports is answered by ``view.py``, and each mend is a function of a module of Theano, called
once after that module has been executed. A mend says which version needs it first, and the line of
Theano 1.0.5 that it is about.
"""

from lenet.theano_start.today import view


def apply():
    """Let Theano see what it needs, from its import on."""
    from lenet.theano_start.today import dtypes, generated, numpy_names, python, scan

    numpy_names.show()
    python.show()
    scan.refuse_old_cython()
    view.install(numpy_names.MENDS + dtypes.MENDS + generated.MENDS)
