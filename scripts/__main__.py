"""The command ``lenet``: each script of this folder by its name, and ``train`` for LeNet-5's."""

import ast
import os
import runpy
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
TRAIN = "convolutional_mlp"


def commands():
    """{name: path of the script}: "lenet5-1998" for lenet5_1998.py"""
    names = sorted(name[:-3] for name in os.listdir(FOLDER)
                   if name.endswith(".py") and not name.startswith("_"))
    paths = {name.replace("_", "-"): os.path.join(FOLDER, name + ".py") for name in names}
    return dict({"train": os.path.join(FOLDER, TRAIN + ".py")}, **paths)


def summary(path):
    """The first line of a script's text."""
    with open(path, encoding="utf-8") as file:
        return ast.get_docstring(ast.parse(file.read())).splitlines()[0]


def main():
    known = commands()
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print("usage: lenet COMMAND [OPTION ...]\n\n`lenet COMMAND --help` lists the options.\n")
        for command, path in known.items():
            print("  %-18s %s" % (command, summary(path)))
        return 0
    if name not in known:
        print("lenet: %s is no command; see lenet --help" % name, file=sys.stderr)
        return 2
    sys.argv[:2] = [known[name]]
    runpy.run_path(known[name], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
