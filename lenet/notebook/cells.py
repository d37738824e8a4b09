"""What a cell shows of a network, a layer and a result, in the place of ``<... at 0x7f...>``."""

import html
from base64 import b64encode

# The classes, of which nothing is imported before one is shown; their subclasses are included. In
# the notebook of docs/tutorial.md they are the reader's own.
NETWORKS = (
    ("lenet.logistic_sgd", "Classifier"), ("__main__", "Classifier"),
    ("lenet.mlp", "HiddenLayer"), ("__main__", "HiddenLayer"),
    ("lenet.convolutional_mlp", "LeNetConvPoolLayer"), ("__main__", "LeNetConvPoolLayer"),
    ("lenet.network3", "Layer"),
    ("lenet.lenet5_1998", "ConvolutionLayer"),
    ("lenet.lenet5_1998", "SubsamplingLayer"),
    ("lenet.lenet5_1998", "MaxPoolingLayer"),
)
RESULT = "lenet.training.loop", "Result"

BATCH_SIZE = 500  # for the memory of a minibatch, as scripts/summary.py has it

WHY_IT_STOPPED = {
    None: "it goes on", "n_epochs": "all epochs are done",
    "patience": "the validation error no longer improved",
    "interrupted": "it was interrupted", "diverged": "the cost was no longer a finite number",
}


def register(shell):
    """Let IPython show networks, layers and results, as text and in a notebook as HTML."""
    formatters = shell.display_formatter.formatters
    for list_cells, draw, classes in ((list_network, lambda shown: "", NETWORKS),
                                      (list_result, draw_result, [RESULT])):
        for module, name in classes:
            formatters["text/plain"].for_type_by_name(module, name, make_printer(list_cells))
            formatters["text/html"].for_type_by_name(module, name, make_html(list_cells, draw))


def make_printer(list_cells):
    """Make the function that IPython calls for an object in the place of ``repr``."""
    def print_object(shown, printer, cycle):
        cells = list_cells(shown)
        if not cells:
            printer.text(object.__repr__(shown))
            return
        from lenet.reports.alignment import align_columns

        for number, line in enumerate(align_columns(cells, n_left=3)):
            if number:
                printer.break_()
            printer.text(line)
    return print_object


def make_html(list_cells, draw):
    """Make the function that a notebook calls for an object; from None, it shows the text."""
    def write_html(shown):
        cells = list_cells(shown)
        if not cells:
            return None
        lines = ("".join(f'<td style="text-align: {"right" if column > 2 else "left"}">'
                         f"{html.escape(cell)}</td>" for column, cell in enumerate(line))
                 for line in cells)
        table = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<table>{table}</table>{draw(shown)}"
    return write_html


def list_network(shown):
    """The table of ``lenet.reports.summary``; None for a reader's class that it cannot count."""
    from lenet.reports import summary

    try:
        return summary.format_cells(summary.summarize_part(shown), BATCH_SIZE)
    except Exception:  # whatever it is made of: its name is shown, as for any object
        return None


def list_result(result):
    """What a training reached, line by line."""
    lines = [("training", "", f"{result.iteration + 1:,} minibatches; "
                              f"{WHY_IT_STOPPED.get(result.stopped, result.stopped)}"),
             ("cost", "", f"{result.cost:.4f} on the last minibatch")]
    if result.has_best:
        lines += [("validation error", "", f"{100 * result.best_validation_error:.2f} % at best, "
                                           f"after minibatch {result.best_iteration + 1:,}"),
                  ("test error", "", f"{100 * result.test_error:.2f} % there")]
    return lines


def draw_result(result):
    """The picture of the cost and the errors, if there was more than one validation."""
    if len(result.rows) < 2:
        return ""
    from lenet.figures import plots

    data = b64encode(plots.draw_png(plots.draw_curves(result.rows))).decode()
    return f'<img alt="the cost and the errors of each epoch" src="data:image/png;base64,{data}">'
