"""How soon the page of scripts/draw.py answers: in its server, and from the pen to the pixels.

LeNet-5 with the tutorial's filters, drawn on in Chromium without a window. What its parameters are
does not matter for the speed.
"""

import math
import os
import subprocess
import sys
import tempfile

from benchmarking.worker import say
from lenet import networks
from lenet.errors import DataError
from lenet.reports.summary import build_by_name

CHROMIUM = "/usr/bin/chromium"
SCRIPTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
N_PEN_EVENTS, MILLISECONDS_BETWEEN_EVENTS = 1200, 8

LINES = {
    "server_ms": "in the server, half within              {server_ms[0]:6.1f} ms, "
                 "95 % within {server_ms[1]:.1f} ms",
    "pixels_ms": "from pen to pixels, half within         {pixels_ms[0]:6.1f} ms, "
                 "95 % within {pixels_ms[1]:.1f} ms",
    "answers": "drawings answered                       {answers:6} of {events} events of the pen",
}


def run():
    """{name: figure}, as in ``LINES``.

    Raises
    ------
    DataError
        There is no Chromium, or no playwright to drive it.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise DataError("playwright is not installed; pip install playwright") from None
    if not os.path.exists(CHROMIUM):
        raise DataError(f"{CHROMIUM}: not found; install Debian's chromium")
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.safetensors")
        networks.save_model(model, build_by_name("LeNet5"), list("0123456789"), (1, 28, 28),
                            "digit")
        server = subprocess.Popen(
            [sys.executable, os.path.join(SCRIPTS, "draw.py"), model, "--no-browser", "--port",
             "0"], stdout=subprocess.PIPE, text=True)
        try:
            address = server.stdout.readline().strip()
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM,
                                                     args=["--no-sandbox"])
                say(f"measuring: {N_PEN_EVENTS} events of the pen")
                return draw_spiral(browser.new_page(), address)
        finally:
            server.terminate()
            server.wait()


def draw_spiral(page, address):
    """Draw a spiral on the page; return what the page has measured."""
    page.goto(address)
    page.wait_for_selector(".bars li")
    box = page.locator("#paper").bounding_box()

    def find_place(number):
        turn, reach = 0.05 * number, 0.05 + 0.35 * number / N_PEN_EVENTS
        return (box["x"] + box["width"] * (0.5 + reach * math.cos(turn)),
                box["y"] + box["height"] * (0.5 + reach * math.sin(turn)))

    page.mouse.move(*find_place(0))
    page.mouse.down()
    for number in range(N_PEN_EVENTS):
        page.mouse.move(*find_place(number))
        page.wait_for_timeout(MILLISECONDS_BETWEEN_EVENTS)
    page.mouse.up()
    page.wait_for_timeout(500)
    return dict(page.evaluate("""async () => {
      const { page } = await import("./main.js"), { quantile } = await import("./latency.js");
      const both = (numbers) => [0.5, 0.95].map((share) => quantile(numbers, share));
      return { server_ms: both(page.latency.server), pixels_ms: both(page.latency.latencies),
               answers: page.latency.nAnswers };
    }"""), events=N_PEN_EVENTS)
