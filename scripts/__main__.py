"""The command ``lenet``: each script of this folder by its name, and ``train`` for LeNet-5's."""

import ast
import os
import pathlib
import runpy
import sys

FOLDER = pathlib.Path(os.path.abspath(__file__)).parent


def list_commands():
    """{name: path of the script}: "lenet5-1998" for lenet5_1998.py"""
    scripts = {path.stem.replace("_", "-"): path for path in sorted(FOLDER.glob("[!_]*.py"))
               if path.stem != "lenet"}  # which leads to the package
    return {"train": scripts["convolutional-mlp"], **scripts}


def read_summary(path):
    """The first line of a script's docstring."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()[0]


def main():
    known = list_commands()
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print("usage: lenet COMMAND [OPTION ...]\n\n`lenet COMMAND --help` lists the options.\n")
        for command, path in known.items():
            print(f"  {command:18} {read_summary(path)}")
        return 0
    name = name.replace("_", "-")
    if name not in known:
        print(f"lenet: {name} is not a command; see lenet --help", file=sys.stderr)
        return 2
    sys.argv[:2] = [str(known[name])]
    sys.path.insert(0, str(FOLDER))  # as for any script that Python runs
    runpy.run_path(sys.argv[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
