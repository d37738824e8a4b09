"""Make docs/tutorial.ipynb of docs/tutorial.md, or a notebook of another page with Python in it."""

import os

from lenet import commands
from lenet.data.files import make_read_error, write_beside
from lenet.installed import find_resources
from lenet.notebook.pages import convert_page


def main():
    parser = commands.Parser(__doc__, example="python scripts/make_notebook.py")
    parser.add_argument("page", metavar="PAGE.md", nargs="?",
                        default=os.path.join(find_resources(), "docs", "tutorial.md"),
                        help="the page; by default docs/tutorial.md")
    parser.add_argument("--output", metavar="FILE", help="the notebook; by default PAGE.ipynb")
    arguments = parser.parse_args()
    try:
        with open(arguments.page, encoding="utf-8") as file:
            notebook = convert_page(file.read())
    except (OSError, UnicodeDecodeError) as error:
        raise make_read_error(arguments.page, error) from None
    output = arguments.output or os.path.splitext(arguments.page)[0] + ".ipynb"
    with write_beside(output) as file:
        file.write(notebook.encode("utf-8"))
    print(output)


if __name__ == "__main__":
    commands.run(main)
