"""The bars of ``peers.py``: milliseconds of each peer, one panel per step and number of threads."""
from itertools import groupby

from benchmarking.peers import setting_of
from lenet.figures import plots


def draw(rows, minibatch, nkerns):
    """A figure of the rows of one minibatch size and network."""
    rows = [row for row in rows if row["minibatch"] == minibatch and row["nkerns"] == list(nkerns)]
    rows.sort(key=lambda row: -row["threads"])
    groups = [list(group) for _, group in groupby(rows, setting_of)]
    names = [row["name"] for row in groups[0]]
    lines = len(groups) // 2  # training and evaluation side by side
    figure = plots.new_figure(10, lines * (0.32 * len(names) + 0.8))
    for axes, group in zip(figure.subplots(lines, 2, squeeze=False).flat, groups):
        plots.draw_bars(axes, names, [row["ms"] for row in group], digits=1,
                        color=["tab:blue" if name == "lenet" else "0.7" for name in names])
        threads = group[0]["threads"]
        axes.set_title(f"{group[0]['step']}, {threads} thread{'s' * (threads > 1)}",
                       fontsize=10, loc="left")
    filters = f", nkerns {nkerns[0]} {nkerns[1]}" if nkerns else ""
    figure.supxlabel(f"ms per minibatch of {minibatch}{filters} (shorter is better)", fontsize=10)
    return figure
