"""lenet.kernel: a notebook is found, and costs nothing where there is none."""

from conftest import run_python

from lenet import kernel


def test_nothing_of_it_is_imported_without_ipython():
    process = run_python("-c", "import lenet, sys; "
                         "print(sorted({'IPython', 'lenet.notebook'} & set(sys.modules)))")
    assert process.stdout == "[]\n", process.stderr
    assert kernel.find_shell() is None and not kernel.is_notebook()


def test_a_shell_in_a_terminal_is_no_notebook(notebook):
    assert kernel.find_shell() is notebook and kernel.is_notebook()
    notebook.kernel = None
    assert kernel.find_shell() is notebook and not kernel.is_notebook()
