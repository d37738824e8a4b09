"""Take the pictures of the page that README.md and docs/page.md show: data/page.png, docs/page.png.

    python docs/page_pictures.py

It trains the two networks for them, which takes a minute or two.
"""

import os
import subprocess
import sys
import tempfile

from playwright.sync_api import sync_playwright

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CHROMIUM = "/usr/bin/chromium"
SEVEN = [(0.27, 0.24), (0.5, 0.22), (0.72, 0.23), (0.62, 0.45), (0.52, 0.62), (0.46, 0.84)]

# file, command of the training, scheme, height, the map that is pointed at, and where
PICTURES = (
    ("data/page.png", ["convolutional_mlp.py", "--n-epochs", "4"], "light", 860, 2, (415, 25)),
    ("docs/page.png", ["lenet5_1998.py", "--n-epochs", "1"], "dark", 1690, 4, (62, 22)),
)


def start_script(name, *arguments, **settings):
    return subprocess.Popen([sys.executable, os.path.join(REPOSITORY, "scripts", name),
                             *arguments], text=True, **settings)


def take_picture(browser, file, address, scheme, height, number, place):
    """Draw a seven on a page, point at one of its maps, and take its picture."""
    page = browser.new_page(viewport={"width": 1360, "height": height}, color_scheme=scheme)
    page.goto(address)
    page.wait_for_selector(".bars li")
    box = page.locator("#paper").bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in SEVEN]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=8)
    page.mouse.up()
    page.wait_for_selector(".bars .winner")
    a_map = page.locator(".card canvas.maps[tabindex]").nth(number)
    a_map.click(position={"x": place[0], "y": place[1]})
    page.mouse.move(5, 5)
    page.wait_for_timeout(1500)
    page.evaluate("""() => {
      document.activeElement.blur();
      document.getElementById("status").textContent = "";  // how fast it was is no matter here
      scrollTo(0, 0);
    }""")
    page.screenshot(path=os.path.join(REPOSITORY, file))
    page.close()


def main():
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for file, (training, *options), *shown in PICTURES:
            run = os.path.join(folder, os.path.splitext(training)[0])
            start_script(training, *options, "--output", run).wait()
            server = start_script("draw.py", run, "--no-browser", "--port", "0", cwd=folder,
                                  stdout=subprocess.PIPE)
            try:
                take_picture(browser, file, server.stdout.readline().strip(), *shown)
            finally:
                server.terminate()
                server.wait()


if __name__ == "__main__":
    main()
