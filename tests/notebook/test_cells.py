"""lenet.notebook.cells: what a cell shows is what scripts/summary.py prints."""

import re

import numpy
import pytest
import theano.tensor as T

from lenet import network3
from lenet.convolutional_mlp import LeNet5, LeNetConvPoolLayer
from lenet.lenet5_1998 import LeNet5_1998
from lenet.logistic_sgd import LogisticRegression
from lenet.mlp import MLP
from lenet.notebook import cells
from lenet.reports.summary import format_table, summarize_network, summarize_part
from lenet.training.loop import Result


def draw():
    return numpy.random.RandomState(0)


def shown(notebook, value):
    """The text and the HTML that a cell shows."""
    cells.register(notebook)
    data, _ = notebook.display_formatter.format(value)
    return data["text/plain"], data.get("text/html")


def test_a_network_is_its_table(notebook):
    model = LeNet5(draw(), T.matrix("x"), nkerns=(2, 3), n_hidden=4)
    text, html = shown(notebook, model)
    table = format_table(summarize_network(model, (1, 28, 28)), 500)
    assert text == table and len(text.splitlines()) == 8
    lines = [re.findall("<td[^>]*>(.*?)</td>", line) for line in re.findall("<tr>(.*?)</tr>", html)]
    assert [" ".join(line).split() for line in lines] == \
        [line.split() for line in table.splitlines()]


def test_a_network_in_a_tuple_keeps_its_columns(notebook):
    model = LogisticRegression(T.matrix("x"), 784, 10)
    lines = shown(notebook, (model, 1))[0].splitlines()
    table = format_table(summarize_network(model, (1, 28, 28)), 500).splitlines()
    assert lines == ["(" + table[0], *(" " + line for line in table[1:-1]), f" {table[-1]},",
                     " 1)"]


@pytest.mark.parametrize("build, image_shape", [
    (lambda x: LogisticRegression(x, 784, 10), (1, 28, 28)),
    (lambda x: MLP(draw(), x, 7, 3, 10), (1, 1, 7)),  # no square: a row of pixels
    (lambda x: LeNet5(draw(), x, (3, 20, 26), (2, 3), n_hidden=4), (3, 20, 26)),
    (lambda x: LeNet5_1998(draw(), x, (1, 20, 24)), (1, 20, 24)),
    (lambda x: network3.conv_network((1, 28, 28), p_dropout=0.5), (1, 28, 28)),
])
def test_the_shape_of_the_images_is_found_in_the_graph(build, image_shape):
    model = build(T.matrix("x"))
    assert summarize_part(model) == summarize_network(model, image_shape)


def test_a_layer_is_its_rows_of_the_network():
    for model, layers in (
            (LeNet5(draw(), T.matrix("x"), nkerns=(2, 3), n_hidden=4),
             ("layer0", "layer1", "layer2", "layer3")),
            (LeNet5_1998(draw(), T.matrix("x")), ("C1", "S2", "C3", "S4", "C5", "F6", "output"))):
        rows = summarize_network(model, (1, 28, 28))
        for name in layers:
            layer = model.layers[name] if hasattr(model, "layers") else getattr(model, name)
            assert summarize_part(layer) == [row._replace(layer=type(layer).__name__)
                                              for row in rows if row.layer == name], name


def test_a_layer_of_images():
    layer = LeNetConvPoolLayer(draw(), T.tensor4("images"), (20, 1, 5, 5), (None, 1, 28, 28))
    convolution, pooling = summarize_part(layer)
    assert (convolution.output, pooling.output) == ((20, 24, 24), (20, 12, 12))
    assert (convolution.field, pooling.field, pooling.stride) == ((5, 5), (6, 6), (2, 2))


def test_a_layer_that_no_network_has(notebook):
    layer = network3.FullyConnectedLayer(n_in=20 * 12 * 12, n_out=100, p_dropout=0.3)
    row, = summarize_part(layer)
    assert (row.layer, row.output, row.parameters) == ("FullyConnectedLayer", (100,), 288100)
    assert not hasattr(layer, "output")
    assert "288,100" in shown(notebook, layer)[0]


def test_a_readers_own_classes(notebook):
    """In the notebook of the tutorial, they are those of its cells."""
    notebook.run_cell("class HiddenLayer: pass\nunlike = HiddenLayer()")
    text, html = shown(notebook, notebook.user_ns["unlike"])
    assert re.match(r"<__main__\.HiddenLayer object at 0x\w+>$", text) and html is None


def result_of(n_validations, **reached):
    result = Result()
    vars(result).update(reached)
    result.rows = [{"epoch": number + 1, "cost": 1.0, "validation": 0.5, "test": None}
                   for number in range(n_validations)]
    return result


def test_a_result_is_its_figures_and_its_curve(notebook):
    result = result_of(2, best_validation_error=0.0923, test_error=0.0952, best_iteration=99,
                       iteration=199, cost=0.30694, stopped="n_epochs")
    text, html = shown(notebook, result)
    assert [re.split(" {2,}", line) for line in text.splitlines()] == [
        ["training", "200 minibatches; all epochs are done"],
        ["cost", "0.3069 on the last minibatch"],
        ["validation error", "9.23 % at best, after minibatch 100"],
        ["test error", "9.52 % there"]]
    assert "9.23 % at best" in html and "data:image/png;base64,iVBOR" in html


def test_a_result_without_a_validation(notebook):
    text, html = shown(notebook, result_of(0, iteration=7, cost=2.3, stopped="interrupted"))
    assert "8 minibatches; it was interrupted" in text and "error" not in text
    assert "<img" not in html
