"""The page as one HTML file, in which JavaScript computes the network: it needs no server."""

import base64
import json
import os
import re

import numpy

from lenet.data import as_floats
from lenet.data.files import write_beside
from lenet.data.pixels import as_bytes
from lenet.page.content import open_page

CLIENT_FILES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "client")
N_TEST_IMAGES = 12  # and as many misclassified ones

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"


def write_page(path, model, dataset=None):
    """Write the page of a saved network to a file; a DataError if one cannot be read or written.

    Parameters
    ----------
    path : str
        The file to write.
    model : str
        A model file, or the folder of a run.
    dataset : str, optional
        Whose test set has some images in the file; by default that of the run.
    """
    page = open_page([model], dataset)
    x, y = page.read_test_set()
    hello = json.loads(page.greeting()["hello"])["hello"]
    hello.update(keep=None, n_tests=len(y))
    inside = {"hello": hello, "parameters": encode_base64(page.pack_parameters(0)),
              "log": page.watchers[0].rows,  # none of a model file alone
              "tests": choose_tests(page.eyes[0], x, y)}
    with write_beside(path) as file:
        file.write(build_file(json.dumps(inside)).encode())


def choose_tests(eye, x, y):
    """The first images of a test set, and the first that the network misclassifies."""
    wrong = eye.predict(as_floats(x, eye.pixels)) != y
    first_wrong = numpy.flatnonzero(wrong)[:N_TEST_IMAGES].tolist()
    rows = sorted({*range(min(N_TEST_IMAGES, len(y))), *first_wrong})
    return [{"index": row, "label": int(y[row]), "wrong": bool(wrong[row]),
             "pixels": encode_base64(image)}
            for row, image in zip(rows, as_bytes(x[rows], eye.pixels))]


def encode_base64(content):
    return base64.b64encode(content).decode()


def build_file(inside):
    """The page with its style, its modules and the data ``inside``, which is JSON."""
    html = read_client_file("index.html")
    html = re.sub(r"<link rel=\"icon\"[^>]*>\n", "", html)
    html = html.replace('<meta charset="utf-8">', '<meta charset="utf-8">\n<meta http-equiv='
                        f'"Content-Security-Policy" content="{POLICY}">')
    html = html.replace('<link rel="stylesheet" href="style.css">',
                        f"<style>\n{read_client_file('style.css')}</style>")
    html = html.replace('<script type="module" src="main.js"></script>\n', "")
    inside = inside.replace("<", "\\u003c")  # no name of a class ends the script
    return html.replace("</body>", f'<script type="application/json" id="inside">{inside}</script>'
                                   f'\n<script type="module">\n{join_modules("main")}</script>\n'
                                   "</body>")


def join_modules(name, known=None):
    """A module and all that it imports as one script: each a function that returns its exports."""
    known = set() if known is None else known
    if name in known:
        return ""
    known.add(name)
    code, before = read_client_file(name + ".js"), ""

    def replace_import(match):
        nonlocal before
        before += join_modules(match.group(2), known)
        return f"const {{{match.group(1)}}} = module_{match.group(2)};"

    code = re.sub(r'^import \{([^}]*)\} from "\./(\w+)\.js";', replace_import, code, flags=re.M)
    exported = re.findall(r"^export (?:const|class|function) (\w+)", code, re.M)
    code = re.sub(r"^export ", "", code, flags=re.M)
    return (f"{before}const module_{name} = (() => {{\n{code}"
            f"return {{ {', '.join(exported)} }};\n}})();\n\n")


def read_client_file(name):
    with open(os.path.join(CLIENT_FILES, name), encoding="utf-8") as file:
        return file.read()
