"""Draw a digit in the browser and see every layer of a saved network answer."""

import os

# One image at a time: a second thread would only wake up too late.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# isort: split
import importlib.util
import webbrowser

from lenet import commands
from lenet.errors import UsageError
from lenet.figures.plots import has_display
from lenet.page.content import open_page, open_training


def main():
    parser = commands.Parser(__doc__, example="python scripts/draw.py RUN")
    parser.add_argument("models", metavar="MODEL", nargs="*",
                        help="a model file, or the folder of a run; a second one is shown beside "
                             "the first")
    parser.add_argument("--train", action="store_true",
                        help="train LeNet-5 on the page instead of showing saved networks")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS",
                        help="the address to listen at; 0.0.0.0 lets other machines in")
    parser.add_argument("--port", type=int, default=8765, metavar="N",
                        help="the port to listen at; 0 for any that is free")
    parser.add_argument("--keep", default="drawings", metavar="FOLDER",
                        help="the folder for drawings that you keep with their right classes")
    parser.add_argument("--no-browser", action="store_false", dest="browser",
                        help="print the address without opening it")
    parser.add_dataset(of_run=True)
    arguments = parser.parse_args()
    if bool(arguments.models) == arguments.train:
        parser.error("expected one or two networks, or --train without any")
    if importlib.util.find_spec("tornado") is None:
        raise UsageError("the page needs tornado; install it: pip install 'lenet-theano[page]'")
    from lenet.page.server import is_loopback, serve

    page = (open_training(arguments.dataset, arguments.keep) if arguments.train else
            open_page(arguments.models, arguments.dataset, arguments.keep))

    def announce(address):
        print(address, flush=True)
        if not is_loopback(arguments.host) and arguments.host != "localhost":
            print("everyone who can reach this machine and has the address can use the page and "
                  "fill the folder of kept drawings; the connection is not encrypted", flush=True)
        opened = False
        if arguments.browser and has_display():
            opened = webbrowser.open(address)
        print("Ctrl-C ends the page" if opened else
              "open it in a browser; Ctrl-C ends the page", flush=True)

    serve(page, arguments.host, arguments.port, announce)


if __name__ == "__main__":
    commands.run(main)
