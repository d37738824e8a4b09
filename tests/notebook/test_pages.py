"""docs/tutorial.md as a notebook, and what it shows when it runs."""

import json
import os
import re

import pytest
from conftest import REPOSITORY, write_dataset

from lenet.notebook.pages import convert_page

PAGE = """\
# A page

```python
print(1)
```

```
1
```

Then

```
make test
```

```python
x = 2  # two

```
"""


def test_python_becomes_cells():
    notebook = json.loads(convert_page(PAGE))
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]] == [
        ("markdown", "# A page"), ("code", "print(1)"),
        ("markdown", "Then\n\n```\nmake test\n```"), ("code", "x = 2  # two")]
    assert len({cell["id"] for cell in notebook["cells"]}) == 4


def test_the_command(script, tmp_path):
    process = script("make_notebook.py", "--output", str(tmp_path / "tutorial.ipynb"))
    assert process.returncode is None or process.returncode == 0, process.stderr
    with open(os.path.join(REPOSITORY, "docs", "tutorial.md"), encoding="utf-8") as file:
        page = file.read()
    made = (tmp_path / "tutorial.ipynb").read_text(encoding="utf-8")
    assert made == convert_page(page)
    code = ["".join(cell["source"]) + "\n" for cell in json.loads(made)["cells"]
            if cell["cell_type"] == "code"]
    assert code == re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def test_no_page(script, tmp_path):
    process = script("make_notebook.py", str(tmp_path / "none.md"))
    assert process.returncode == 1 and "none.md: cannot be read" in process.stderr


def test_the_tutorial_runs_in_a_kernel(tmp_path, mnist_arrays):
    """On few digits; then it shows its network, its result and a layer."""
    reason = "no nbclient and ipykernel: pip install -e '.[notebook]'"
    nbclient = pytest.importorskip("nbclient", reason=reason)
    pytest.importorskip("ipykernel", reason=reason)
    import nbformat

    dataset = write_dataset(tmp_path / "small.pkl.gz", [
        (x[:n], y[:n]) for (x, y), n in zip(mnist_arrays, (250, 100, 100))])
    with open(os.path.join(REPOSITORY, "docs", "tutorial.md"), encoding="utf-8") as file:
        page = file.read()
    for name, value in (("n_epochs", 2), ("batch_size", 50), ("nkerns", (4, 6)),
                        ("dataset", dataset)):
        page, n = re.subn(rf"^{name} = .*$", f"{name} = {value!r}", page, flags=re.MULTILINE)
        assert n == 1
    notebook = nbformat.reads(convert_page(page), as_version=4)
    nbformat.validate(notebook)
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in (
        "model", "result", "model.layer2")]
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3",
                            resources={"metadata": {"path": str(tmp_path)}}).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not [output for cell in code for output in cell.outputs
                if output.get("name") == "stderr"]
    trained, = [cell for cell in code if "early_stopping(functions" in cell.source
                and "def " not in cell.source]
    bar, = [output for output in trained.outputs if output.output_type == "display_data"]
    assert bar.data["text/plain"].startswith("10 of 10 minibatches, cost ")
    printed = "".join(output.text for output in trained.outputs if output is not bar)
    assert printed.startswith("... loading data\n... building the model\nOptimization complete.\n"
                              "Best validation score of ")
    network, result, layer = (cell.outputs[0].data for cell in code[-3:])
    assert "layer3" in network["text/html"] and "object at" not in network["text/plain"]
    assert "10 minibatches; all epochs are done" in result["text/plain"]
    assert "data:image/png" in result["text/html"]
    assert "HiddenLayer" in layer["text/html"] and "object at" not in layer["text/plain"]
