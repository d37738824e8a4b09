"""docs/tutorial.md is a program that prints what it says; docs/concordance.md names real code."""

import ast
import os
import re
import subprocess

import numpy
import pytest
import theano.tensor as T
from conftest import REPOSITORY, write_dataset

from lenet.convolutional_mlp import LeNet5, evaluate_lenet5

TUTORIAL = os.path.join(REPOSITORY, "docs", "tutorial.md")


def read(*path):
    with open(os.path.join(REPOSITORY, *path), encoding="utf-8") as file:
        return file.read()


def read_blocks():
    """Each Python block of the page, and the output that is shown right below it, or None."""
    return re.findall(r"^```python\n(.*?)^```\n(?:\n^```\n(.*?)^```\n)?", read(TUTORIAL),
                      re.DOTALL | re.MULTILINE)


def change_settings(code, **settings):
    """The code with other values in the lines that assign the settings."""
    for name, value in settings.items():
        code, n = re.subn(rf"^{name} = .*$", f"{name} = {value!r}", code, flags=re.MULTILINE)
        assert n == 1, name
    return code


def test_the_blocks_are_evaluate_lenet5(tmp_path, mnist_arrays, capsys):
    """Two epochs: the same printed lines, and bit-identical parameters."""
    # Whole minibatches, since the page leaves out a last one that is not full.
    dataset = write_dataset(tmp_path / "small.pkl.gz", [
        (x[:n], y[:n]) for (x, y), n in zip(mnist_arrays, (250, 100, 100))])
    settings = {"n_epochs": 2, "batch_size": 50, "nkerns": (2, 3), "dataset": dataset,
                "learning_rate": 0.1}
    (first, _), *others = read_blocks()
    program, printed = {}, ""
    for code, expected in [(change_settings(first, **settings), ""), *others]:
        exec(compile(code, "docs/tutorial.md", "exec"), program)
        output = capsys.readouterr().out
        if expected:
            assert output == expected
        else:
            printed += output
    model, result = evaluate_lenet5(**settings)
    assert result.iteration == program["result"].iteration == 9
    assert vars(result) == vars(program["result"])
    assert printed == capsys.readouterr().out
    assert len(program["model"].params) == len(model.params) == 8
    for found, param in zip(program["model"].params, model.params):
        numpy.testing.assert_array_equal(found.get_value(), param.get_value())


def strip_docstrings(node):
    """What a function or class says, as text that does not depend on layout."""
    for inner in ast.walk(node):
        if isinstance(inner, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(inner):
            inner.body = inner.body[1:] or [ast.Pass()]
    return ast.dump(node)


# Where the definitions of the page come from.
QUOTED = {
    "lenet/logistic_sgd.py": ["Classifier", "LogisticRegression"],
    "lenet/mlp.py": ["HiddenLayer"],
    "lenet/convolutional_mlp.py": ["LeNetConvPoolLayer", "LeNet5"],
    "lenet/data/sets.py": ["SharedSet", "shared_dataset"],
    "lenet/training/functions.py": ["compile_functions"],
    "lenet/training/loop.py": ["early_stopping"],
}


def find_definitions(code):
    """The functions and classes that a program defines, by name."""
    return {node.name: node for node in ast.parse(code).body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef))}


def test_the_page_quotes_the_package():
    on_page = {name: node for code, _ in read_blocks()
               for name, node in find_definitions(code).items()}
    for path, names in QUOTED.items():
        in_package = find_definitions(read(*path.split("/")))
        for name in names:
            assert strip_docstrings(on_page.pop(name)) == strip_docstrings(in_package[name]), (
                f"{name} is not as in {path}; copy it there, without its docstrings")
    # Nothing else of the package is written a second time.
    assert list(on_page) == ["some_cost"]


def test_the_command_in_the_page_cuts_out_the_blocks():
    command = re.search(r"^(sed .*) > tutorial\.py$", read(TUTORIAL), re.MULTILINE).group(1)
    program = subprocess.run(command, shell=True, cwd=REPOSITORY, check=True, text=True,
                             capture_output=True).stdout
    assert program == "".join(f"\n{code}\n" for code, _ in read_blocks())


def test_the_numbers_of_the_table():
    model = LeNet5(numpy.random.RandomState(0), T.matrix())
    layers = [model.layer0, model.layer1, model.layer2, model.layer3]
    sizes = [sum(param.get_value().size for param in layer.params) for layer in layers]
    table = re.findall(r"\+ \d+ = ([\d,]+) \|$", read(TUTORIAL), re.MULTILINE)
    assert [int(number.replace(",", "")) for number in table] == sizes


# --- the concordance ------------------------------------------------------------------------

PLACE = re.compile(r"`((?:lenet|scripts)/[\w/]+\.py)`(?:: ((?:`[\w.]+`(?:, )?)+))?")
PLACES = PLACE.findall(read("docs", "concordance.md"))
COMMANDS = re.findall(r"`(\w+\.py)( [^`]*)?`", read("docs", "concordance.md"))


def list_names(path):
    """What a module defines or imports: its names, and those of its classes as ``Class.name``."""
    names = set()
    for node in ast.parse(read(path)).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{inner.name}" for inner in node.body
                      if isinstance(inner, ast.FunctionDef)}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize("path", sorted({path for path, _ in PLACES}))
def test_the_places_exist(path):
    named = {name for place, names in PLACES if place == path
             for name in re.findall(r"`([\w.]+)`", names)}
    assert named, f"{path} comes without a name in it"
    assert named - list_names(path) == set()


@pytest.mark.parametrize("name", sorted({name for name, _ in COMMANDS
                                         if name != "imagestopkl.py"}))
def test_the_commands_have_the_options(name, script):
    shown = script(name, "--help").stdout
    for option in re.findall(r"--[\w-]+", " ".join(rest for n, rest in COMMANDS if n == name)):
        assert option in shown
