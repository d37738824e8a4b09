"""The rooms of the package: each imports only from itself and from rooms below it."""

import ast
import os
import re

import pytest
from conftest import REPOSITORY

# From the top to the bottom; rooms of one line do not import each other.
ROOMS = (
    ("scripts",),
    ("commands",),
    ("page", "sweep", "notebook"),
    ("reports", "export"),
    ("predict",),
    ("runs",),
    ("networks",),
    ("network3", "lenet5_1998", "pooling"),
    ("convolutional_mlp",),
    ("mlp",),
    ("logistic_sgd",),
    ("parallel",),
    ("training",),
    ("figures", "images"),
    ("data",),
    ("finder",),
    ("program",),
    ("ops",),
    ("theano_start",),
    ("gpu",),
    ("shared", "processors", "installed", "kernel"),
    ("errors",),
)
HEIGHTS = {room: -height for height, rooms in enumerate(ROOMS) for room in rooms}

# Before anything else is imported, the package itself starts Theano and registers its operations;
# run as a file, a module of the syllabus asks for that first.
STARTS = ("lenet",)


def list_modules():
    """Each module's path from the top of the repository, and what it imports of the package: pairs
    of a line number and a dotted name."""
    for top in ("lenet", "scripts"):
        for folder, _, files in os.walk(os.path.join(REPOSITORY, top)):
            for file in sorted(files):
                if file.endswith(".py"):
                    path = os.path.join(folder, file)
                    with open(path, encoding="utf-8") as opened:
                        yield os.path.relpath(path, REPOSITORY), find_imports(opened.read())


def find_imports(source):
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = ([f"lenet.{alias.name}" for alias in node.names] if node.module == "lenet"
                     else [node.module])
        for name in names:
            if name.split(".")[0] == "lenet" and name not in STARTS:
                yield node.lineno, name


def room_of(path):
    """The room of "lenet/data/sets.py" is "data", that of "lenet/mlp.py" is "mlp"."""
    parts = path[:-len(".py")].split(os.sep)
    return "scripts" if parts[0] == "scripts" else parts[1]


def test_every_file_is_in_a_room():
    rooms = {room_of(path) for path, _ in list_modules()} - {"__init__", "__main__", "lenet"}
    assert rooms - set(HEIGHTS) == set()
    assert set(HEIGHTS) - rooms == set()


def test_no_arrow_goes_up_or_sideways():
    upward = []
    for path, imports in list_modules():
        here = room_of(path)
        for line, name in imports:
            there = name.split(".")[1]
            if here in HEIGHTS and here != there and HEIGHTS[there] >= HEIGHTS[here]:
                upward.append(f"{path}:{line} imports {name}")
    assert upward == []


# --- the path of a learner ------------------------------------------------------------------

SERVICES = ("MPI", "rank", "ranks", "shard", "shards", "chunk", "chunks", "resume", "resumed")


def read_path():
    """The files that docs/development.md says to read first."""
    with open(os.path.join(REPOSITORY, "docs", "development.md"), encoding="utf-8") as file:
        table = file.read().split("## The reading path")[1].split("\n## ")[0]
    return re.findall(r"^\| \[(?:\.\./)?((?:lenet|docs)/[\w/.]+)\]", table, re.MULTILINE)


def test_the_reading_path_is_short():
    path = read_path()
    assert path[0] == "docs/tutorial.md" and len(path) <= 7
    n_lines = 0
    for name in path[1:]:
        with open(os.path.join(REPOSITORY, name), encoding="utf-8") as file:
            n_lines += len(file.readlines())
    assert 500 < n_lines <= 1200


@pytest.mark.parametrize("name", read_path())
def test_the_reading_path_speaks_of_no_service(name):
    with open(os.path.join(REPOSITORY, name), encoding="utf-8") as file:
        words = set(re.findall(r"[A-Za-z]+", file.read()))
    assert words & set(SERVICES) == set()
