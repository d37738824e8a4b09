"""The Jupyter kernel that this process may be: where a training or a picture finds its cell."""

import sys


def find_shell():
    """IPython's shell, in a terminal or in a notebook; None if Python runs without it."""
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


def is_notebook():
    """Whether this process runs the cells of a notebook."""
    return getattr(find_shell(), "kernel", None) is not None


def show_html(html, text):
    """Show HTML in the running cell, or text where the notebook has no HTML; return a function of
    both that shows something else in the same place."""
    from IPython.display import display

    def bundle(html, text):
        return {"text/html": html, "text/plain": text}

    handle = display(bundle(html, text), raw=True, display_id=True)
    return lambda html, text: handle.update(bundle(html, text), raw=True)


def show_png(data):
    """Show the bytes of a PNG file in the running cell."""
    from IPython.display import Image, display

    display(Image(data, format="png"))
