"""lenet.finder: when Theano starts, for whom, and with what; the line that setup.py installs."""

import ast
import os

import pytest
from conftest import REPOSITORY, assert_refused, run_python


def check(code, expected, **changes):
    process = run_python("-c", code, **changes)
    assert (process.stdout, process.stderr) == (expected, ""), process.stderr


def test_finding_imports_nothing():
    """Python holds a lock meanwhile: a thread that imports something would wait for ever."""
    check("import sys, lenet, importlib.util\n"
          "before = set(sys.modules)\n"
          "for name in 'theano', 'lenet.mlp', 'mlp':\n"
          "    importlib.util.find_spec(name)\n"
          "print(set(sys.modules) - before)\n", "set()\n")


def test_a_training_imports_what_it_needs():
    check("import sys, lenet.convolutional_mlp\n"
          "print([name for name in ('PIL', 'fissix', 'matplotlib', 'pygpu', 'scipy.signal',\n"
          "                         'scipy.stats', 'tarfile', 'theano.gpuarray')\n"
          "       if name in sys.modules])", "[]\n")


def test_modules_are_reloaded():
    check("import lenet, importlib, theano\n"
          "for module in theano, lenet, theano:\n"
          "    importlib.reload(module)" + DOT, "[6. 6.] float64\n")


@pytest.mark.parametrize("variable", ["THEANO_FLAGS", "THEANORC"])
def test_a_program_sets_flags_before_its_import_of_theano(variable, tmp_path):
    (tmp_path / "rc").write_text("[global]\nfloatX = float32\n")
    value = "floatX=float32" if variable == "THEANO_FLAGS" else str(tmp_path / "rc")
    check(f"import lenet, os; os.environ[{variable!r}] = {value!r}\n"
          "import theano.tensor, theano; print(theano.config.floatX)", "float32\n")


def test_flags_that_come_too_late_are_one_line():
    process = run_python("-c", """
import os, lenet, theano, theano.tensor as T
theano.function([], T.constant(1))
os.environ["THEANO_FLAGS"] = "floatX=float32"
for value in 2, 3:
    theano.function([], T.constant(value))
""")
    assert_refused(process, 0, "THEANO_FLAGS was changed after `import theano`", "no effect")


DOT = """
import numpy, theano, theano.tensor as T
x, w = T.matrix(), theano.shared(numpy.array([1., 2., 3.]))
print(theano.function([x], T.dot(x, w))(numpy.ones((2, 3))), theano.config.floatX)
"""


def test_another_program_has_theanos_own_type():
    check("import lenet" + DOT, "[6. 6.] float64\n")


@pytest.mark.parametrize("code, expected", [
    ("import lenet.mlp, theano", "float32"), ("import lenet, mlp, theano", "float32"),
    ("import lenet, theano, lenet.mlp", "float32"),  # whoever comes first
    ("import lenet, theano; theano.config.floatX = 'float64'; import lenet.mlp", "float64"),
])
def test_our_modules_have_float32_unless_the_program_chooses(code, expected):
    check(code + "; print(theano.config.floatX)", expected + "\n")


def test_another_theano_is_left_alone(tmp_path):
    (tmp_path / "theano").mkdir()
    (tmp_path / "theano" / "__init__.py").write_text("version = '1.1.2'")
    (tmp_path / "theano" / "_version.py").write_text('{"version": "1.1.2"}')
    code = "import sys; sys.path.insert(0, %r); import lenet, theano; print(theano.version)"
    check(code % str(tmp_path), "1.1.2\n")
    process = run_python("-c", (code % str(tmp_path)).replace("lenet,", "lenet.mlp,"))
    assert_refused(process, 2, "another Theano, 1.1.2, not Theano 1.0.5")


def test_another_program_without_a_compiler_is_interpreted(tmp_path):
    process = run_python("-c", "import lenet" + DOT, PATH=str(tmp_path))
    assert process.stdout == "[6. 6.] float64\n"
    assert "g++ not" in process.stderr  # Theano's own warning


def read_startup_line():
    """What setup.py has Python execute when it starts."""
    with open(os.path.join(REPOSITORY, "setup.py"), encoding="utf-8") as file:
        return next(ast.literal_eval(node.value) for node in ast.parse(file.read()).body
                    if isinstance(node, ast.Assign) and node.targets[0].id == "AT_START")


@pytest.mark.parametrize("wanted", ["1", "0"])
def test_what_python_executes_when_it_starts(wanted):
    """It needs nothing that is not there, imports nothing, and leads ``import theano`` here."""
    code = f"""
import os, sys
os.environ["LENET_THEANO"] = {wanted!r}
before = set(sys.modules)
exec({read_startup_line()!r}, {{}})
print(set(sys.modules) - before, "TheanoFinder" in str(sys.meta_path))
if {wanted} == 1:
    import theano.tensor
    print(type(theano.__spec__.loader).__module__)
"""
    check(code, "set() True\nlenet.theano_start.today.view\n" if wanted == "1" else
          "set() False\n", LENET_THEANO="0", PYTHONPATH=REPOSITORY)


def test_without_the_package_the_line_does_nothing(bare_python):
    code = (f"exec({read_startup_line()!r}, {{}})\n"
            "try:\n    import theano\nexcept ImportError as error:\n    print(error)")
    process = run_python("-I", "-c", code, python=bare_python)
    assert (process.stdout, process.stderr) == ("No module named 'theano'\n", "")
