"""What the tests of the page need: a trained network, its page in a process, a browser."""

import contextlib
import os
import subprocess
import sys

import pytest
from conftest import REPOSITORY, environment, write_dataset

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory, mnist_arrays):
    """The folder of a run of a small LeNet-5 that knows its digits, and its dataset."""
    from lenet.convolutional_mlp import evaluate_lenet5
    from lenet.runs.run import Run

    folder = tmp_path_factory.mktemp("trained")
    dataset = write_dataset(folder / "digits.pkl.gz", [
        (x[:n], y[:n]) for (x, y), n in zip(mnist_arrays, (6000, 500, 500))])
    run = str(folder / "run")
    evaluate_lenet5(n_epochs=4, dataset=dataset, nkerns=(6, 12), batch_size=20, n_hidden=80,
                    observers=[Run.create(run, {"dataset": dataset})])
    return run, dataset


@contextlib.contextmanager
def serve_page(*arguments, cwd=None):
    """The address of the page that draw.py serves inside the ``with`` block, and its process."""
    process = subprocess.Popen(
        [sys.executable, os.path.join(REPOSITORY, "scripts", "draw.py"), *map(str, arguments),
         "--no-browser", "--port", "0"], env=environment(), cwd=cwd, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), process.communicate()
        yield address, process
        assert process.poll() is None, process.communicate()
    finally:
        process.terminate()
        out, err = process.communicate(timeout=60)
        print(out, err)  # where a test fails
        assert "Traceback" not in err


@pytest.fixture(scope="module")
def browser():
    """A Chromium; the tests are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not os.path.exists(CHROMIUM):
        pytest.skip(f"there is no {CHROMIUM}")
    with playwright.sync_playwright() as started:
        # Its sandbox does not work for root, nor in most containers.
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=[
            "--no-sandbox", "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream"])
        yield chromium
        chromium.close()
