"""Where a training shows how far it is: a terminal, or a notebook's cell."""

import html
import sys
import time
from collections import deque

from tqdm import tqdm

from lenet import kernel


def open_screen(n_minibatches, done):
    """The screen of this process, given the number of minibatches of the whole training, and how
    many of them an earlier process has done."""
    return (Cell if kernel.is_notebook() else Terminal)(n_minibatches, done)


class Terminal:
    """Lines on standard output, and a progress bar on standard error if that is a terminal."""

    def __init__(self, n_minibatches, done):
        self.bar = tqdm(
            total=n_minibatches, initial=done, unit="minibatch", file=sys.stderr,
            disable=not sys.stderr.isatty(), dynamic_ncols=True, leave=False,
        )

    def count_minibatch(self, cost):
        self.bar.set_postfix_str(f"cost {cost:.4f}", refresh=False)
        self.bar.update()

    def print_line(self, text):
        """Print one line, above the bar if both are on one terminal."""
        with tqdm.external_write_mode(file=sys.stdout):
            print(text, flush=True)

    def close(self):
        """Remove the bar."""
        self.bar.close()

    def print_time(self, text):
        print(text, file=sys.stderr)


class Cell:
    """A progress bar with the latest lines below it, which take the place of earlier ones.

    Lines that come after the bar is closed are printed, so that they stay.
    """

    N_LINES = 4
    INTERVAL = 0.2  # seconds between two updates

    def __init__(self, n_minibatches, done):
        self.n_minibatches, self.begun_with, self.done = n_minibatches, done, done
        self.lines, self.cost = deque(maxlen=self.N_LINES), None
        self.is_open = True
        self.began_at = self.drawn_at = time.monotonic()
        self.update = kernel.show_html(*self.draw())

    def count_minibatch(self, cost):
        self.done, self.cost = self.done + 1, cost
        if time.monotonic() - self.drawn_at > self.INTERVAL:
            self.redraw()

    def print_line(self, text):
        if self.is_open:
            self.lines.append(text)
            self.redraw()
        else:
            print(text, flush=True)

    print_time = print_line

    def close(self):
        """Leave the bar as it is, without the lines."""
        if self.is_open:
            self.is_open = False
            self.lines.clear()
            self.redraw()

    def redraw(self):
        self.drawn_at = time.monotonic()
        self.update(*self.draw())

    def draw(self):
        """The bar and the lines, as HTML and as text."""
        told = [f"{self.done:,} of {self.n_minibatches:,} minibatches"]
        if self.cost is not None:
            told.append(f"cost {self.cost:.4f}")
        seconds, done_here = time.monotonic() - self.began_at, self.done - self.begun_with
        if self.is_open and done_here:
            left = seconds / done_here * (self.n_minibatches - self.done)
            told.append(f"{tqdm.format_interval(left)} left")
        lines = [", ".join(told), *self.lines]
        bar = (f'<progress value="{self.done}" max="{self.n_minibatches}" style="width: 60%">'
               "</progress>")
        return (bar + f'<pre style="margin: 0">{html.escape(chr(10).join(lines))}</pre>',
                "\n".join(lines))
