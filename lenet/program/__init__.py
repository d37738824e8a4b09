"""Other people's programs, run as they were written.

    running.py       the program as ``__main__``, also in the processes that it starts
    child.py         the module that these processes run in its place
    loader.py        the program's own modules, found beside it
    translation.py   Python 2 to code of this Python, line by line
    python2.py       what Python 2's operators, built-in names and methods do
    old_modules.py   Python 2's library, for translated modules
    past.py          names that Python and its packages once had, for all modules of the program;
    names.py         which they are, and where each is now
    old_*.py         those that are nowhere any more
"""
