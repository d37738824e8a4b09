"""The page in a browser: drawn on by mouse, finger and keys, read by eye and by screen reader."""

import re

import numpy
import pytest
from conftest import write_dataset
from PIL import Image
from served import browser, serve_page, trained_run  # noqa: F401

from lenet import networks
from lenet.page.eye import Eye
from lenet.predict.predictor import Predictor
from lenet.reports.summary import build_by_name

pytest.importorskip("tornado", reason="tornado is not installed")
from lenet.page.server import MAX_CLIENTS  # noqa: E402

SEVEN = [(0.25, 0.2), (0.75, 0.2), (0.62, 0.45), (0.5, 0.65), (0.42, 0.85)]

ANSWER = """async () => {
  const { page } = await import("./main.js");
  return page.answer && Array.from(page.answer.values);
}"""


@pytest.fixture(scope="module")
def address(trained_run, tmp_path_factory):  # noqa: F811
    run, dataset = trained_run
    folder = str(tmp_path_factory.mktemp("cwd"))
    with serve_page(run, "--dataset", dataset, cwd=folder) as (address, _):
        yield address


@pytest.fixture
def new_page(browser, address):  # noqa: F811
    """A function that opens the page; at the end no script may have failed, and no request may
    have left for elsewhere."""
    contexts, failures, requests = [], [], []

    def open_page(path="", **settings):
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("console", lambda message: failures.append(message.text)
                if message.type == "error" else None)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address + path)
        if settings.get("java_script_enabled", True):
            page.wait_for_selector(".bars li")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert failures == []
    origin = re.match(r"http://[^/]+/", address).group()
    assert requests and all(url.startswith((origin, "blob:")) for url in requests)


def find_point(page, x, y):
    box = page.locator("#paper").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def draw(page, points=SEVEN):
    page.mouse.move(*find_point(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*find_point(page, *point), steps=6)
    page.mouse.up()


def wait_for_verdict(page, start):
    page.wait_for_function(
        "start => document.querySelector('.verdict').textContent.startsWith(start)", arg=start)


def wait_for_line(page, words):
    page.wait_for_function(
        "words => document.getElementById('status').textContent.includes(words)", arg=words)


def test_a_seven_drawn_by_mouse(new_page, trained_run):  # noqa: F811
    page = new_page()
    assert page.locator(".verdict").inner_text() == "Draw something"
    assert page.locator(".bars .winner").count() == 0
    draw(page)
    wait_for_verdict(page, "7 –")
    page.wait_for_timeout(300)  # the last of its answers
    image = numpy.array(page.evaluate(ANSWER)[:784], "float32")
    expected = Predictor(trained_run[0]).probabilities(image[None])[0]
    lines = page.locator(".bars li")
    shown = [float(lines.nth(k).get_attribute("data-probability")) for k in range(10)]
    numpy.testing.assert_allclose(shown, expected, atol=1e-6)
    assert [lines.nth(k).locator(".value").inner_text() for k in range(10)] == \
        [f"{100 * p:.1f} %" for p in shown]
    assert page.locator(".verdict").inner_text() == f"7 – {100 * shown[7]:.1f} %"
    page.click("#clear")
    wait_for_verdict(page, "Draw something")
    assert page.locator(".bars .winner").count() == 0


def test_a_stroke_of_a_finger(new_page):
    page = new_page(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 800})
    fingers = page.context.new_cdp_session(page)

    def touch(kind, *points):
        fingers.send("Input.dispatchTouchEvent", {
            "type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    touch("touchStart", find_point(page, 0.5, 0.15))
    for step in range(1, 15):
        touch("touchMove", find_point(page, 0.5, 0.15 + step * 0.05))
    touch("touchEnd")
    wait_for_verdict(page, "1 –")
    assert page.evaluate("scrollY") == 0


def test_with_the_keys_alone(new_page):
    page = new_page()
    page.keyboard.press("Tab")  # the link to the layers
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "paper"
    page.keyboard.press("ArrowUp")
    page.keyboard.press(" ")
    for _ in range(15):
        page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    wait_for_verdict(page, "1 –")
    page.wait_for_function("() => document.getElementById('spoken').textContent.startsWith('1 –')")
    while page.evaluate("document.activeElement.className") != "maps":
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")  # from the image to the first convolution
    for key in ("Enter", "ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    explained = page.locator("#explained").inner_text()
    assert "layer0 · convolution" in explained and "map 0, row 1, column 2" in explained
    assert page.locator("#spoken").inner_text().startswith("map 0, row 1, column 2: ")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+z")
    wait_for_verdict(page, "Draw something")


def test_undo_eraser_and_clear(new_page):
    page = new_page()
    draw(page)
    wait_for_verdict(page, "7 –")
    page.click("#eraser")
    assert page.get_attribute("#eraser", "aria-pressed") == "true"
    seven = page.evaluate(ANSWER)[:784]
    draw(page, [(0.2, 0.2), (0.8, 0.2)])  # its bar
    page.wait_for_function("""async seven => {
      const { page } = await import("./main.js");
      return page.answer && page.answer.values.subarray(0, 784).some((x, i) => x !== seven[i]);
    }""", arg=seven)
    page.click("#undo")
    wait_for_verdict(page, "7 –")
    page.click("#undo")
    wait_for_verdict(page, "Draw something")


def test_a_picture_and_the_test_set(new_page, trained_run, tmp_path, mnist_arrays):  # noqa: F811
    page = new_page()
    x, y = mnist_arrays[2]
    path = tmp_path / "photograph.png"
    large = Image.fromarray((255 - 256 * x[0].reshape(28, 28)).astype("uint8")).resize((280, 280))
    large.convert("RGB").save(path)
    page.set_input_files("#file", str(path))
    wait_for_verdict(page, str(y[0]))
    page.click("#following")
    page.wait_for_function("() => document.getElementById('test').textContent"
                           f" === 'Test image 0 of 500, a {y[0]}'")
    page.click("#following")
    page.wait_for_function("() => document.getElementById('test').textContent.includes('image 1 ')")
    numpy.testing.assert_array_equal(page.evaluate(ANSWER)[:784], x[1])
    page.check("#wrong")  # which shows the next one
    wrong = numpy.flatnonzero(Predictor(trained_run[0]).probabilities(x[:500]).argmax(axis=1)
                              != y[:500])
    for index in wrong[wrong > 1][:2]:
        page.wait_for_function("n => document.getElementById('test').textContent.includes(n)",
                               arg=f"image {index} of")
        page.click("#following")


def test_no_misclassified_image(browser, trained_run, tmp_path, mnist_arrays):  # noqa: F811
    run, _ = trained_run
    x, y = mnist_arrays[2]
    right = Predictor(run).probabilities(x[:30]).argmax(axis=1) == y[:30]
    sets = [(x[:30][right], y[:30][right])] * 3
    with serve_page(run, "--dataset", write_dataset(tmp_path / "right.pkl.gz", sets)) as (
            address, _):
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector(".bars li")
        draw(page)
        wait_for_verdict(page, "7 –")
        page.check("#wrong")
        wait_for_line(page, f"all {right.sum()} images of the test set are classified correctly")
        assert page.locator(".verdict").inner_text().startswith("7 –")
        page.close()


# What is on the paper, and what the page says of it.
SHOWN = """() => [Array.from(lenet.paper.bytes()), document.querySelector(".verdict").textContent,
                  ...[...document.querySelectorAll(".bars li")].map((li) => li.innerText)]"""


def test_a_refused_file_leaves_the_drawing(new_page, tmp_path):
    page = new_page()
    draw(page)
    wait_for_verdict(page, "7 –")
    page.wait_for_timeout(300)  # the last of its answers
    before = page.evaluate(SHOWN)
    path = tmp_path / "file.png"
    Image.new("L", (90, 90), 255).save(path)
    for content, words in ((b"nothing", "no image"), (b"", "no image"),
                           (bytes(2 ** 23 + 1), "expected at most 8 MiB"),
                           (path.read_bytes(), "no digit")):
        path.write_bytes(content)
        page.set_input_files("#file", str(path))
        wait_for_line(page, words)
        assert page.evaluate(SHOWN) == before
    for event, data, words in (
            ("DragEvent('drop', { dataTransfer: data })", "file", "no image"),
            ("ClipboardEvent('paste', { clipboardData: data })", "file", "no image"),
            ("DragEvent('drop', { dataTransfer: data })", "text", "not a file")):
        page.evaluate(f"""kind => {{
          document.getElementById("status").textContent = "";
          const data = new DataTransfer();
          if (kind === "file") data.items.add(new File(["nothing"], "none.png"));
          else data.setData("text/plain", "seven");
          window.dispatchEvent(new {event});
        }}""", data)
        wait_for_line(page, words)
        assert page.evaluate(SHOWN) == before
    page.click("#camera")
    page.evaluate("""() => Object.defineProperty(document.getElementById("video"), "videoWidth",
                                                 { value: 0 })""")
    page.click("#take")
    wait_for_line(page, "shows nothing yet")
    assert page.evaluate(SHOWN) == before


def test_the_camera(new_page):
    page = new_page()  # the browser's camera shows a test pattern
    page.click("#camera")
    page.wait_for_function("() => document.getElementById('video').videoWidth > 0")
    before = page.evaluate("() => lenet.answer === null")
    page.click("#take")
    page.wait_for_function("() => lenet.answer || document.getElementById('status').textContent")
    assert before and not page.locator("#still").is_visible()


def test_a_picture_that_is_dropped_or_pasted(new_page):
    page = new_page()
    for event in ("drop", "paste"):
        page.evaluate("""async event => {
          const canvas = Object.assign(document.createElement("canvas"), { width: 90, height: 90 });
          const context = canvas.getContext("2d");
          context.fillStyle = "white";
          context.fillRect(0, 0, 90, 90);
          context.fillStyle = "black";
          context.fillRect(42, 15, 7, 60);
          const blob = await new Promise((resolve) => canvas.toBlob(resolve));
          const data = new DataTransfer();
          data.items.add(new File([blob], "one.png", { type: "image/png" }));
          window.dispatchEvent(event === "drop" ? new DragEvent("drop", { dataTransfer: data })
            : new ClipboardEvent("paste", { clipboardData: data }));
        }""", event)
        wait_for_verdict(page, "1 –")
        page.click("#clear")
        wait_for_verdict(page, "Draw something")


def test_pointing_and_the_link_to_it(new_page, address):
    page = new_page()
    draw(page)
    wait_for_verdict(page, "7 –")
    page.locator(".card canvas.maps").nth(3).click(position={"x": 20, "y": 20})
    explained = page.locator("#explained").inner_text()
    assert "pooling" in explained and "Window" in explained
    assert page.locator("#explained td.winner").count() == 1  # of a maximum
    link = page.evaluate("location.hash")
    again = new_page(link)
    draw(again)
    again.wait_for_function("() => document.querySelector('#explained td.winner')")
    assert again.locator("#explained .quiet").first.inner_text() in explained
    again.locator(".bars button").nth(7).click()
    assert "The largest contributions" in again.locator("#explained").inner_text()


def test_nothing_jumps(new_page):
    page = new_page()
    boxes = """() => [...document.querySelectorAll("canvas, button:not(.close), .bars li, .card")]
      .map((one) => { const { x, y, width, height } = one.getBoundingClientRect();
                      return [x, y, width, height]; })"""
    before = page.evaluate(boxes)
    draw(page)
    wait_for_verdict(page, "7 –")
    assert page.evaluate(boxes) == before


@pytest.mark.parametrize("width", [360, 768, 1024, 1440, 2560])
def test_it_fits_the_window(new_page, width):
    page = new_page(viewport={"width": width, "height": 900})
    draw(page)
    wait_for_verdict(page, "7 –")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("""() => [...document.querySelectorAll("canvas.maps")].every(
      (one) => one.clientWidth <= one.parentElement.clientWidth)""")


@pytest.mark.parametrize("width, height", [(1024, 768), (1280, 720), (1366, 768), (1920, 1080)])
def test_the_answer_is_beside_the_maps_without_scrolling(new_page, width, height):
    page = new_page(viewport={"width": width, "height": height})
    draw(page)
    wait_for_verdict(page, "7 –")
    boxes = [one.bounding_box() for one in page.locator(
        "#paper, .bars li, canvas.maps[aria-label^='What the network sees']").all()]
    assert len(boxes) == 1 + 10 + 1
    assert all(box["y"] >= 0 and box["y"] + box["height"] <= height for box in boxes)
    assert boxes[0]["width"] >= 250  # the paper is large enough to draw on


def test_every_control_has_a_name(new_page):
    page = new_page()
    names = page.evaluate("""() => [...document.querySelectorAll("button, input, select, canvas")]
      .filter((one) => one.checkVisibility() && !one.closest("[aria-hidden]")
                       && one.getAttribute("aria-hidden") === null)
      .map((one) => one.ariaLabel || one.labels?.[0]?.textContent || one.textContent)""")
    assert names and all(name and name.strip() for name in names)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(new_page, scheme):
    """WCAG 2.1: 4.5 to 1 for text, 3 to 1 for the marks and for what can be operated."""
    page = new_page(color_scheme=scheme)

    def luminance(name):
        levels = page.evaluate("""name => {
          const one = document.createElement("span");
          one.style.color = `var(${name})`;
          document.body.append(one);
          return getComputedStyle(one).color.match(/[\\d.]+/g).map(Number);
        }""", name)
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
                  for v in numpy.array(levels[:3]) / 255]
        return numpy.dot(linear, [0.2126, 0.7152, 0.0722])

    def contrast(a, b):
        low, high = sorted((luminance(a), luminance(b)))
        return (high + 0.05) / (low + 0.05)

    for ground in ("--ground", "--card"):
        assert contrast("--text", ground) >= 7 and contrast("--quiet", ground) >= 4.5
        assert contrast("--accent", ground) >= 3 and contrast("--mark", ground) >= 3
    assert contrast("--text", "--accent-soft") >= 4.5


def test_two_networks_side_by_side(browser, tmp_path, rng):  # noqa: F811
    """LeNet-5 of 1998 with its distances, and logistic regression with its weights."""
    paths = []
    for kind in ("LeNet5_1998", "LogisticRegression"):
        model = build_by_name(kind)
        for param in networks.named_params(model).values():
            value = param.get_value()
            param.set_value(value + rng.normal(0, 0.05, value.shape).astype(value.dtype))
        paths.append(str(tmp_path / kind))
        networks.save_model(paths[-1], model, [str(n) for n in range(10)], (1, 28, 28), "digit")
    with serve_page(*paths) as (address, _):
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector(".bars li")
        draw(page)
        page.wait_for_function("() => document.querySelectorAll('.bars .winner').length === 2")
        page.wait_for_timeout(300)
        image = numpy.array(page.evaluate(ANSWER)[:784], "float32")
        shown = page.evaluate("""() => [...document.querySelectorAll(".bars li")].map(
          (li) => Number(li.dataset.probability))""")
        for path, probabilities in zip(paths, (shown[:10], shown[10:])):
            numpy.testing.assert_allclose(
                probabilities, Predictor(path).probabilities(image[None])[0], atol=1e-6)
        *_, distances, _ = Eye(networks.load_model(paths[0])).see(image)
        assert page.locator(".distances button").all_inner_texts() == \
            [f"{distance:.1f}" for distance in distances]
        page.locator(".distances button").nth(3).click()
        assert f"{distances[3]:.4f}" in page.locator("#explained .result").inner_text()
        assert page.locator("canvas[aria-label^='The weights of each class']").count() == 1
        page.close()


def test_a_window_too_many_waits_for_its_turn(browser, address):  # noqa: F811
    first, late = browser.new_page(), browser.new_page()
    first.goto(address)
    first.wait_for_selector(".bars li")
    # Connections alone, in place of the other windows.
    first.evaluate("""async ([address, n]) => {
      window.sockets = [];
      while (window.sockets.length < n) {
        const socket = new WebSocket(address.replace("http", "ws") + "socket");
        await new Promise((resolve) => { socket.onopen = resolve; });
        window.sockets.push(socket);
      }
    }""", [address, MAX_CLIENTS - 1])
    late.goto(address)
    wait_for_line(late, f"{MAX_CLIENTS} windows show this page already")
    controls = late.locator(":is(button, input, select):visible")
    assert controls.count() > 8 and not any(one.is_enabled() for one in controls.all())
    first.evaluate("() => window.sockets[0].close()")
    late.wait_for_selector(".bars li")
    assert late.locator("#undo").is_enabled() and late.locator("#status").inner_text() == ""
    draw(late)
    wait_for_verdict(late, "7 –")
    first.close()
    late.close()


def test_an_old_browser_reads_why(new_page):
    page = new_page(java_script_enabled=False)
    assert "too old for this page" in page.locator("#status").inner_text()
