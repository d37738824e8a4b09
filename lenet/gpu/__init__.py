"""What it takes to reach an NVIDIA GPU with Theano 1.0.5, before Theano is imported.

    driver.py      the driver and its devices, asked directly
    libraries.py   CUDA's compiler and BLAS: where they are, which go together
    names.py       the plain names by which libgpuarray asks for them
    start.py       all of it in order; the reason, in one line, where it cannot be done
    memory.py      what to say when the device's memory is full

Nothing here imports Theano or pygpu at the top, so that it works where they do not.
"""
