"""A training is watched on the page: one of another process, and one that the page starts."""

import asyncio
import inspect
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest
from conftest import REPOSITORY, environment
from served import browser, serve_page, trained_run  # noqa: F401
from test_server import connect, draw_seven, is_answer, pack_drawing, receive_until

from lenet.convolutional_mlp import evaluate_lenet5
from lenet.networks import parameters
from lenet.page.eye import load_eye
from lenet.page.trainer import DEFAULTS, Reporter, Training, train
from lenet.page.watcher import Watcher
from lenet.predict.predictor import Predictor
from lenet.runs.log import read_log

pytest.importorskip("tornado", reason="tornado is not installed")

A_WHILE = 120000  # milliseconds, against hanging


@pytest.fixture
def run_copy(trained_run, tmp_path):  # noqa: F811
    """A copy of the run, to be changed."""
    return shutil.copytree(trained_run[0], tmp_path / "run")


def add_noise(path, rng):
    """Write the parameters of a run anew, a little changed."""
    model = str(path / "model.safetensors")
    arrays, metadata = parameters.read(model)
    arrays = {name: value + rng.normal(0, 0.01, value.shape).astype(value.dtype)
              for name, value in arrays.items()}
    parameters.write(model, arrays, metadata)
    return arrays


def test_new_parameters_without_compiling_again(run_copy, rng, mnist_arrays):
    eye = load_eye(str(run_copy))
    function, watcher = eye.function, Watcher(str(run_copy), eye)
    assert watcher.news() == {} and len(watcher.rows) == 4
    arrays = add_noise(run_copy, rng)
    assert watcher.news() == {"parameters": True} and watcher.news() == {}
    numpy.testing.assert_array_equal(eye.values()["layer0.W"], arrays["layer0.W"])
    assert eye.function is function
    image = mnist_arrays[2][0][0]
    numpy.testing.assert_allclose(
        eye.see(image)[-1], Predictor(str(run_copy)).probabilities(image[None])[0], atol=1e-6)


def test_a_run_that_changes_into_another_network(run_copy, trained_run):  # noqa: F811
    eye = load_eye(str(run_copy))
    watcher, before = Watcher(str(run_copy), eye), eye.values()["layer0.W"].copy()
    model = str(run_copy / "model.safetensors")
    arrays, metadata = parameters.read(model)
    other = json.loads(metadata["network"])
    other["architecture"]["activation"] = "relu"  # of the same parameters
    parameters.write(model, arrays, {"network": json.dumps(other)})
    assert "another network now" in watcher.news()["line"]
    numpy.testing.assert_array_equal(eye.values()["layer0.W"], before)
    shutil.copy(os.path.join(trained_run[0], "model.safetensors"), model)
    assert watcher.news() == {"parameters": True}
    shutil.rmtree(run_copy)
    assert "has disappeared" in watcher.news()["line"] and watcher.news() == {}
    os.makedirs(run_copy)
    (run_copy / "model.safetensors").write_bytes(b"damaged")
    assert "no intact file" in watcher.news()["line"]


def test_a_run_that_is_not_validated_yet(run_copy):
    os.unlink(run_copy / "model.safetensors")
    last = parameters.read(str(run_copy / "last.safetensors"))[0]
    numpy.testing.assert_array_equal(load_eye(str(run_copy)).values()["layer2.W"], last["layer2.W"])


def test_a_training_is_watched_to_its_second_epoch(browser, trained_run, tmp_path):  # noqa: F811
    """Its curves grow and its answer to the drawing changes while it trains."""
    _, dataset = trained_run
    run = str(tmp_path / "run")
    train = [sys.executable, os.path.join(REPOSITORY, "scripts", "convolutional_mlp.py"),
             "--dataset", dataset, "--nkerns", "2", "3", "--n-hidden", "20", "--batch-size", "50"]
    subprocess.run([*train, "--n-epochs", "1", "--output", run], env=environment(), check=True,
                   capture_output=True)
    with serve_page(run) as (address, _):
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("#curves .chart")
        box = page.locator("#paper").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 250, steps=5)
        page.mouse.up()
        page.wait_for_selector(".bars .winner")
        shown = "() => [...document.querySelectorAll('.bars li')].map((li) => " \
                "Number(li.dataset.probability))"
        page.wait_for_timeout(500)
        before = page.evaluate(shown)
        subprocess.run([*train[:2], "--resume", run, "--n-epochs", "2"], env=environment(),
                       check=True, capture_output=True)
        page.wait_for_function(
            "() => document.querySelector('#curves .chart').textContent.includes('epoch 2')",
            timeout=A_WHILE)
        row = read_log(os.path.join(run, "log.csv"))[-1]
        assert f"{100 * row['validation']:.3g} %" in page.locator("#curves").inner_text()
        page.wait_for_function(f"before => ({shown})().some((p, k) => p !== before[k])",
                               arg=before, timeout=A_WHILE)
        page.wait_for_timeout(500)
        image = numpy.array(page.evaluate("""async () => {
          const { page } = await import("./main.js");
          return Array.from(page.answer.values.subarray(0, 784));
        }"""), "float32")
        numpy.testing.assert_allclose(page.evaluate(shown),
                                      Predictor(run).probabilities(image[None])[0], atol=1e-6)
        page.close()


def test_the_options_are_the_tutorials_but_a_class_can_wait():
    tutorials = {name: parameter.default for name, parameter in
                 inspect.signature(evaluate_lenet5).parameters.items()}
    assert DEFAULTS["learning_rate"] == tutorials["learning_rate"]
    assert (DEFAULTS["first_filters"], DEFAULTS["second_filters"]) == tutorials["nkerns"]
    assert DEFAULTS["batch_size"] == tutorials["batch_size"]
    assert DEFAULTS["n_epochs"] <= 10


@pytest.mark.parametrize("has_read", [True, False])
def test_a_training_ends_with_its_page(monkeypatch, has_read):
    pipe, other_end = multiprocessing.Pipe()
    if not has_read:  # what the page has not read makes the end of the pipe an error
        pipe.send("news")
    other_end.close()
    steps = []

    def evaluate(observers):
        assert isinstance(observers[0], Reporter)
        steps.append("begun")
        observers[0].minibatch_begins(0)
        steps.append("done")

    monkeypatch.setattr("lenet.convolutional_mlp.evaluate_lenet5", evaluate)
    monkeypatch.setattr("signal.signal", lambda *arguments: None)
    train(pipe, {})
    assert steps == ["begun"]


def test_a_training_from_the_page(browser, trained_run):  # noqa: F811
    _, dataset = trained_run
    with serve_page("--train", "--dataset", dataset) as (address, _):
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("#begin")
        for name, value in (("first_filters", 3), ("second_filters", 4), ("batch_size", 50),
                            ("n_epochs", 1000)):
            page.fill(f"#option-{name}", str(value))
        page.click("#begin")
        page.wait_for_selector(".bars li", timeout=A_WHILE)
        page.wait_for_selector("#pause:enabled", timeout=A_WHILE)
        page.wait_for_function(
            "() => document.querySelectorAll('#training .chart circle').length === 3",
            timeout=A_WHILE)  # validation, test and cost
        page.click("#pause")
        page.wait_for_function("() => document.getElementById('pause').textContent === 'Go on'")
        minibatch = "() => Number(/minibatch (\\d+)/.exec(document.getElementById(" \
                    "'training-line').textContent)[1])"
        page.wait_for_timeout(1000)
        paused_at = page.evaluate(minibatch)
        page.wait_for_timeout(1000)
        assert page.evaluate(minibatch) == paused_at
        page.click("#step")
        page.wait_for_function(f"n => ({minibatch})() === n", arg=paused_at + 1)
        page.click("#pause")
        page.wait_for_function(f"n => ({minibatch})() > n + 5", arg=paused_at, timeout=A_WHILE)
        page.click("#stop")
        page.wait_for_function(
            "() => document.getElementById('training-line').textContent.startsWith('stopped')")
        page.close()


def test_a_new_training_while_one_is_paused(trained_run):  # noqa: F811
    training = Training(trained_run[1])

    def wait_for(status):
        end = time.monotonic() + A_WHILE / 1000
        while not training.state["status"].startswith(status):
            assert time.monotonic() < end, training.state["status"]
            training.news()
            time.sleep(0.05)

    small = {"first_filters": 2, "second_filters": 2, "batch_size": 50}
    training.start({**small, "n_epochs": 1000})
    wait_for("training")
    training.send_command("pause")
    wait_for("paused")
    first = training.process
    training.start({**small, "n_epochs": 1})
    assert not first.is_alive()
    wait_for("all epochs are done")
    assert [row["epoch"] for row in training.state["rows"]] == [1]
    training.dataset = "none.pkl.gz"
    training.start({**small, "n_epochs": 1})
    wait_for("ended: none.pkl.gz: not found")
    training.stop()


def test_the_network_that_is_trained_answers(trained_run):  # noqa: F811
    async def ask(address):
        connection = await connect(address)
        await connection.write_message(pack_drawing(draw_seven()), binary=True)
        nothing = await receive_until(connection, lambda m: "nothing" in m)
        refused = []
        for request in ({"train": {"learning_rate": "0.1"}}, {"train": {"batch_size": 0}},
                        {"train": {"n": 1}}, {"train": 3}, {"command": "reset"}):
            await connection.write_message(json.dumps(request))
            refused.append((await receive_until(connection, lambda m: m.get("line")))["line"])
        await connection.write_message(json.dumps({"train": {
            "first_filters": 3, "second_filters": 4, "batch_size": 100}}))
        hello = await receive_until(connection, lambda m: m.get("hello", {}).get("networks"))
        # The drawing's answer changes with the parameters, and is that of some of them.
        await connection.write_message(pack_drawing(draw_seven()), binary=True)
        first = await receive_until(connection, is_answer)
        answers = [first["values"][-10:]]
        while len(answers) < 20 and (answers[-1] == answers[0]).all():
            await receive_until(connection, lambda m: m.get("kind") == "parameters")
            await connection.write_message(pack_drawing(draw_seven()), binary=True)
            answers.append((await receive_until(connection, is_answer))["values"][-10:])
        return nothing, refused, hello["hello"], answers

    with serve_page("--train", "--dataset", trained_run[1]) as (address, _):
        with ThreadPoolExecutor(1) as thread:  # this one has playwright's loop
            nothing, refused, hello, answers = thread.submit(asyncio.run, ask(address)).result()
    assert "start the training" in nothing["nothing"]
    for line, words in zip(refused, ["learning rate 0.1; expected a number", "batch size 0",
                                     "option n;", "no object", "command reset"]):
        assert words in line
    assert [stage["shape"] for stage in hello["networks"][0]["stages"]][1:3] == \
        [[3, 24, 24], [3, 12, 12]]
    assert (answers[-1] != answers[0]).any()

