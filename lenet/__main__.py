"""Run a program that was written for Theano: ``python -m lenet program.py [ARGUMENT ...]``.

It may be of Python 2 (``lenet.program``). Where the package is not installed, ``python FOLDER/lenet
program.py`` does the same from any folder.
"""

import os
import sys

import lenet  # noqa: F401  (in FOLDER, lenet.py puts the package on the path)


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else ""
    if not os.path.isfile(program):
        problem = f"{program} is not a file" if program else "no program is named"
        print(f"lenet: {problem}; usage: python -m lenet program.py [ARGUMENT ...]",
              file=sys.stderr)
        return 2
    from lenet.program import running

    del sys.argv[0]
    return running.run(program)


if __name__ == "__main__":
    sys.exit(main())
