"""What it takes to reach an NVIDIA GPU with Theano 1.0.5.

    driver.py      the driver and its devices, asked directly
    libraries.py   CUDA's compiler and BLAS: where they are, which go together
    names.py       the plain names by which libgpuarray asks for them
    start.py       all of it in order; one line that says why, where it cannot be done
    doctor.py      what is there, what is missing, what to type next
    first.py       a first function of Theano's on the device
    graphs.py      what a device is told to do, recorded once and launched as one

The first five run before Theano starts; only ``first.py``, a program of its own, imports Theano.
"""
