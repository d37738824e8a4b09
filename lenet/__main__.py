"""Run a program that was written for Theano: ``python -m lenet program.py [ARGUMENT ...]``.

Theano has been started when the program imports it, as after ``import lenet``. Where the package is
not installed, ``python FOLDER/lenet program.py`` does the same from any folder.
"""

import os
import runpy
import sys

import lenet  # noqa: F401  (in FOLDER, lenet.py puts the package on the path)


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else ""
    if not os.path.isfile(program):
        problem = f"{program} is not a file" if program else "no program is named"
        print(f"lenet: {problem}; usage: python -m lenet program.py [ARGUMENT ...]",
              file=sys.stderr)
        return 2
    del sys.argv[0]
    sys.path[0] = os.path.dirname(os.path.abspath(program))
    runpy.run_path(program, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
