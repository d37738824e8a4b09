"""Start Theano 1.0.5 on the systems of today.

    start.py       all of the following, in order, around the import of Theano

Before ``import theano``:

    settings.py    the user's settings, with our defaults underneath
    compiler.py    g++, its flags, and the BLAS that its code calls
    device.py      the tutorial's device=gpu; the CPU where no GPU can be used
    supported.py   which versions of Python, NumPy and Theano work together
    missing.py     which package is missing, and what to type for it
    refusal.py     one line where Theano cannot work
    today/         what Theano needs on current versions of Python and NumPy

After it:

    cache.py       find on disk what was compiled before
    headers.py     parse the headers of the generated C++ once
    ahead.py       compile the modules of a graph in parallel
    threads.py     several threads, and processes that fork, use what is compiled
    late.py        flags that came too late
"""
