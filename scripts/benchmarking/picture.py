"""The bars of ``peers.py``: milliseconds of each peer, one panel a step and number of threads."""
from benchmarking.peers import settings_of
from lenet.pictures import plots


def draw(rows, minibatch, nkerns):
    """Draw the rows of one minibatch size and network.

    Parameters
    ----------
    rows : list of dicts
        As ``benchmarking.peers.run`` returns them.
    minibatch : int
    nkerns : pair of ints

    Returns
    -------
    matplotlib.figure.Figure
    """
    groups = [(key, group) for key, group in settings_of(rows).items()
              if key[1:3] == (tuple(nkerns), minibatch)]
    groups.sort(key=lambda item: -item[0][0])  # most threads first
    names = [row["name"] for row in groups[0][1]]
    columns = 2 if len(groups) > 1 else 1
    lines = -(-len(groups) // columns)
    figure = plots.new_figure(5 * columns, lines * (0.32 * len(names) + 0.8),
                              constrained_layout=True)
    for axes, ((threads, _, _, step), group) in zip(
            figure.subplots(lines, columns, squeeze=False).flat, groups):
        values = [row["ms"] for row in group]
        colours = ["tab:blue" if row["name"] == "lenet" else "0.7" for row in group]
        bars = axes.barh([row["name"] for row in group], values, color=colours)
        axes.bar_label(bars, fmt="%.1f", padding=3)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set_title("%s, %d %s" % (step, threads, "thread" if threads == 1 else "threads"),
                       fontsize=10, loc="left")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    for axes in figure.axes[len(groups):]:
        axes.axis("off")
    figure.supxlabel("ms a minibatch of %d, nkerns %d %d (shorter is better)"
                     % (minibatch, *nkerns), fontsize=10)
    return figure
