"""lenet.theano_start.start: Theano imported before lenet, missing, or broken; how refusals end."""

import sys

import pytest
from conftest import assert_refused, run_python, run_script

from lenet.theano_start.refusal import SetupInterrupted
from lenet.theano_start.today.view import numpy_version


@pytest.mark.skipif(sys.version_info >= (3, 12) or numpy_version() >= (1, 24),
                    reason="this Python or NumPy is too new for Theano alone")
def test_a_theano_imported_before_is_used_with_its_settings():
    code = "import theano, lenet.logistic_sgd; print(theano.config.floatX)"
    process = run_python("-c", code, LENET_THEANO="0",
                         THEANO_FLAGS="floatX=float64,blas.ldflags=")
    assert process.stdout == "float64\n", process.stderr


def test_a_theano_that_failed_before_is_one_line():
    code = "try:\n    import theano\nexcept Exception:\n    pass\nimport lenet.mlp"
    process = run_python("-c", code, THEANO_FLAGS="floatX=nonsense")
    assert_refused(process, 2, "an earlier `import theano` failed; start Python again")


def test_a_missing_package_is_one_line():
    process = run_python("-c", "import sys; sys.modules['six'] = None; import lenet, theano")
    assert_refused(process, 2, "the package six is not installed; type `")


def test_python_without_docstrings():
    process = run_python("-OO", "-c", "import lenet, theano")
    assert_refused(process, 2, "Theano needs docstrings", "-OO")


def test_numbers_that_cannot_be_trained_with():
    process = run_python("-c", "import lenet.mlp", THEANO_FLAGS="floatX=float16")
    assert_refused(process, 2, "floatX=float16; expected float32 or float64")


REFUSED = {"THEANO_FLAGS": "floatX=float16"}  # a reason that every start has to give


def test_a_program_that_catches_import_errors_goes_on():
    code = ("import sys\ntry:\n    import lenet.mlp\nexcept ImportError as error:\n"
            "    print(type(error).__name__, error)")
    process = run_python("-c", code, **REFUSED)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout == "SetupError floatX=float16; expected float32 or float64\n"


def test_other_errors_go_to_the_hook_of_before():
    code = ("import sys\nsys.excepthook = lambda kind, error, traceback: print('mine:', error)\n"
            "try:\n    import lenet.mlp\nexcept ImportError:\n    raise ValueError('other')")
    process = run_python("-c", code, **REFUSED)
    assert (process.returncode, process.stdout, process.stderr) == (1, "mine: other\n", "")


def test_the_hook_of_theano_is_left_alone():
    code = "import sys, lenet, theano; print(sys.excepthook.__module__)"
    assert run_python("-c", code).stdout == "theano.gof.link\n"  # it calls ours, which was there


def test_an_interactive_session_goes_on():
    process = run_python("-i", "-c", "import lenet.mlp", **REFUSED)
    assert process.returncode == 0
    assert process.stderr.splitlines()[0] == "lenet: floatX=float16; expected float32 or float64"


def test_every_command_ends_in_one_line(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import lenet.mlp")
    for process in (run_python("-m", "lenet", program, **REFUSED),
                    run_script("convolutional_mlp.py", **REFUSED),
                    run_script("__main__.py", "train", **REFUSED)):
        assert_refused(process, 2, "lenet: floatX=float16; expected float32 or float64")


def test_ctrl_c_while_theano_is_imported(tmp_path):
    (tmp_path / "theano").mkdir()
    (tmp_path / "theano" / "_version.py").write_text('"version": "1.0.5"')
    (tmp_path / "theano" / "__init__.py").write_text("raise KeyboardInterrupt")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import lenet, theano"
    process = run_python("-c", code)
    assert_refused(process, 130, "lenet: interrupted")


def test_ctrl_c_is_no_import_error():
    assert not issubclass(SetupInterrupted, Exception)
