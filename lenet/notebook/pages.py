"""A page of the documentation as a notebook: its Python blocks become cells."""

import json
import re

# What a block prints is shown below it on the page; a notebook shows it when the cell has run.
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n^```\n.*?^```\n)?", re.DOTALL | re.MULTILINE)


def convert_page(text):
    """The text of a notebook (.ipynb, format 4.5) with the words and the Python of a page.

    Parameters
    ----------
    text : str
        The page, in Markdown.
    """
    cells, end = [], 0
    for block in BLOCK.finditer(text):
        cells += [("markdown", text[end:block.start()]), ("code", block.group(1))]
        end = block.end()
    cells.append(("markdown", text[end:]))
    described = [describe_cell(kind, source.strip("\n")) for kind, source in cells
                 if source.strip()]
    for number, cell in enumerate(described):
        cell["id"] = f"cell-{number}"
    return json.dumps({
        "cells": described,
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python",
                                    "name": "python3"},
                     "language_info": {"name": "python"}},
        "nbformat": 4, "nbformat_minor": 5,
    }, ensure_ascii=False, indent=1) + "\n"


def describe_cell(kind, source):
    cell = {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True)}
    return dict(cell, execution_count=None, outputs=[]) if kind == "code" else cell
