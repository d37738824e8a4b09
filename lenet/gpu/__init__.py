"""What it takes to reach an NVIDIA GPU with Theano 1.0.5, before Theano is imported.

    driver.py      the driver and its devices, asked directly
    libraries.py   CUDA's compiler and BLAS: where they are, which go together
    names.py       the plain names by which libgpuarray asks for them
    start.py       all of it in order; the reason, in one line, where it cannot be done
    doctor.py      what of it is there, what is missing, what to type next
    first.py       a first function of Theano's on the device
    memory.py      what to say when the device's memory is full

None of these but ``first.py``, which is run by itself, imports Theano or pygpu at the top: they are
asked before Theano starts.
"""
