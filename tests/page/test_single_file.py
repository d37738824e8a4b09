"""look.py --interactive: the page as one file, which computes as Theano and needs no server."""

import glob
import os

import numpy
import pytest
from conftest import assert_refused
from served import browser, trained_run  # noqa: F401
from test_browser import draw, wait_for_verdict

from lenet.errors import DataError
from lenet.images import digit
from lenet.page.single_file import CLIENT_FILES, join_modules, write_page
from lenet.predict.predictor import Predictor
from lenet.runs.log import read_log


@pytest.fixture(scope="module")
def file(trained_run, tmp_path_factory):  # noqa: F811
    path = tmp_path_factory.mktemp("file") / "page.html"
    write_page(str(path), *trained_run)
    return path


@pytest.fixture
def page(browser, file):  # noqa: F811
    context = browser.new_context(offline=True)
    page, requests, failures = context.new_page(), [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda message: failures.append(message.text)
            if message.type == "error" else None)
    page.goto(file.as_uri())
    page.wait_for_selector(".bars li")
    yield page
    context.close()
    assert failures == [] and requests == [file.as_uri()]


def read_bars(page):
    lines = page.locator(".bars li")
    return [float(lines.nth(k).get_attribute("data-probability")) for k in range(10)]


def test_a_seven_without_a_server(page, trained_run):  # noqa: F811
    assert page.locator(".verdict").inner_text() == "Draw something"
    draw(page)
    wait_for_verdict(page, "7 –")
    page.wait_for_timeout(300)
    # What is on the paper, brought into the format by lenet.images.digit.
    grey = numpy.array(page.evaluate("() => Array.from(lenet.paper.bytes())"), "uint8")
    grey = grey.reshape(200, 200)
    image = digit.to_mnist(grey)
    expected = Predictor(trained_run[0]).probabilities(image[None])[0]
    numpy.testing.assert_allclose(read_bars(page), expected, atol=1e-4)
    page.locator(".bars button").nth(7).click()
    assert "The largest contributions" in page.locator("#explained").inner_text()


def test_a_dropped_file_leaves_the_drawing(page):
    draw(page)
    wait_for_verdict(page, "7 –")
    assert not page.evaluate("""() => {
      const data = new DataTransfer();
      data.items.add(new File(["nothing"], "none.png"));
      return window.dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
    }""")  # prevented: the browser would open the file in the place of the page
    assert "takes no pictures" in page.locator("#status").inner_text()
    assert page.locator(".verdict").inner_text().startswith("7 –")


def test_images_of_the_test_set(page, trained_run, mnist_arrays):  # noqa: F811
    x, y = mnist_arrays[2]
    expected = Predictor(trained_run[0]).probabilities(x[:500])
    for index in range(3):
        page.click("#following")
        page.wait_for_function(
            "start => document.getElementById('test').textContent.startsWith(start)",
            arg=f"Test image {index} of 500, a {y[index]}")
        page.wait_for_timeout(200)
        numpy.testing.assert_allclose(read_bars(page), expected[index], atol=1e-4)
    wrong = numpy.flatnonzero(expected.argmax(axis=1) != y[:500])
    page.check("#wrong")  # which shows the next one
    page.wait_for_function("start => document.getElementById('test').textContent.includes(start)",
                           arg=f"image {wrong[wrong > 2][0]} of")


def test_the_curves_of_the_run(page, trained_run):  # noqa: F811
    rows = read_log(os.path.join(trained_run[0], "log.csv"))
    charts = page.locator("#curves svg.chart")
    assert charts.count() == 2 and charts.first.is_visible()
    shown = page.locator("#curves figcaption").all_inner_texts()
    assert f"validation {100 * rows[-1]['validation']:.3g} %" in shown[0]
    assert f"training {rows[-1]['cost']:.3g}" in shown[1]
    points = charts.last.locator("polyline").get_attribute("points").split()
    assert len(points) == len(rows)


def test_a_network_without_a_run_has_no_curves(browser, trained_run, tmp_path):  # noqa: F811
    path = tmp_path / "page.html"
    write_page(str(path), os.path.join(trained_run[0], "model.safetensors"), trained_run[1])
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector(".bars li")
    assert not page.locator("#curves").is_visible()
    page.close()


def test_drawings_are_centred_as_by_digit(browser, rng):  # noqa: F811
    """centre.js and lenet.images.digit agree on lines, specks, and ink at the border."""
    page = browser.new_page()
    script = join_modules("centre") + "window.toMnist = module_centre.toMnist;"
    page.add_script_tag(content=script)
    for number in range(16):
        drawing = numpy.full((200, 200), 255, "uint8")
        for _ in range(1 + number % 4):
            top, left = rng.randint(0, 150, 2)
            height, width = rng.randint(3, 50 if number % 3 else 200, 2)
            part = drawing[top:top + height, left:left + width]
            part[:] = rng.randint(0, 200)
        if number % 2:
            drawing = 255 - drawing
        try:
            found = digit.find_digit(drawing)
        except DataError:
            found = None
        seen = page.evaluate("""grey => {
          const found = toMnist(Uint8Array.from(grey), 200, 200);
          return found && { ...found, image: Array.from(found.image) };
        }""", drawing.ravel().tolist())
        assert (found is None) == (seen is None)
        if found is not None:
            numpy.testing.assert_allclose(numpy.array(seen["image"]).reshape(28, 28), found.image,
                                          atol=1)  # rounded from floats of 32 and 64 bits
            assert tuple(seen["box"]) == found.box
            assert seen["centre"] == pytest.approx(found.centre, rel=1e-4)
    page.close()


def test_all_modules_are_in_the_script():
    script = join_modules("main")
    assert "import {" not in script and "\nexport " not in script
    for path in glob.glob(os.path.join(CLIENT_FILES, "*.js")):
        name = os.path.splitext(os.path.basename(path))[0]
        assert script.count(f"const module_{name} = ") == 1


def test_the_command(script, trained_run, tmp_path):  # noqa: F811
    run, dataset = trained_run
    path = tmp_path / "page.html"
    process = script("look.py", run, "--interactive", path)
    assert process.returncode == 0 and process.stdout == f"{path}\n"
    assert "<script" in path.read_text()
    assert_refused(script("look.py", run), 2, "--output", "--interactive")
    assert_refused(script("look.py", run, "--interactive", tmp_path / "none" / "page.html"), 1,
                   "cannot be written")
