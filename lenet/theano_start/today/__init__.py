"""Let Theano 1.0.5, of 2020, run on current versions of Python and NumPy.

    view.py           Theano's own view of the modules that it imports, and mends to its modules
    python.py         modules that Python and its packaging no longer have
    numpy_names.py    names that NumPy no longer has
    dtypes.py         what NumPy 2 changed about types of numbers (NEP 50)
    generated.py      the C++ that Theano writes, with generated.h in front
    scan.py           the loop of theano.scan
    scipy_parts.py    SciPy's convolutions and statistics
    gpu_pool.py       the gradient of pooling by sums on a GPU
    old_names.py      where the modules and names of Theano 0.6 to 0.9 are now
    old_interface.py  what the tutorials call under its old name
    old_gpu.py        the same for Theano's first GPU back end
    old_pickles.py    graphs that Theano 0.7 to 0.9 pickled

Theano's files stay as they are, and the rest of the process sees the real NumPy and Python:
``view.py`` answers what Theano imports, and each mend is a function that is called with a module of
Theano once that module has been executed. A mend names the line of Theano 1.0.5 that it is about;
the list at the end of each file gives the first NumPy that needs it.
"""

from lenet.theano_start.today import view


def apply():
    """Give Theano what it needs, from its import on."""
    from lenet.theano_start.today import (
        dtypes,
        generated,
        gpu_pool,
        numpy_names,
        old_interface,
        old_names,
        old_pickles,
        python,
        scan,
        scipy_parts,
    )

    numpy_names.show()
    python.show()
    scipy_parts.show()
    scan.refuse_old_cython()
    old_names.show()
    view.install(numpy_names.MENDS + dtypes.MENDS + generated.MENDS + gpu_pool.MENDS
                 + old_interface.MENDS + old_names.MENDS + old_pickles.MENDS
                 + scipy_parts.MENDS)
