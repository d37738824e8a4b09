"""Code typed from the tutorials' texts: small versions of it, in Python 3, in tests/listings."""

import importlib
import os
import runpy
import sys

import numpy
import pytest
import theano
from conftest import REPOSITORY

import lenet
from lenet import network3
from lenet.convolutional_mlp import evaluate_lenet5
from lenet.data import load_data
from lenet.figures import plots
from lenet.ops.convpool import ConvPool, ConvPoolGrad

PACKAGE = os.path.dirname(os.path.abspath(lenet.__file__))
LISTINGS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "listings")


@pytest.fixture
def run(request, monkeypatch):
    """A function that executes a listing and returns its names.

    The package's folder is on the path, unless the test says "not on the path".
    """
    leave_out_scripts(monkeypatch)
    for name in lenet.finder.SHORT_NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    if getattr(request, "param", "folder on the path") == "folder on the path":
        monkeypatch.syspath_prepend(PACKAGE)
    return lambda name: runpy.run_path(os.path.join(LISTINGS, name))


def leave_out_scripts(monkeypatch):
    """Take the commands, which have the modules' names, off the path: another test needs them."""
    scripts = os.path.join(REPOSITORY, "scripts")
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder != scripts])


@pytest.fixture
def compiled(monkeypatch):
    """The functions that are compiled during a test, in their order."""
    functions, function = [], theano.function

    def recorded(*arguments, **options):
        functions.append(function(*arguments, **options))
        return functions[-1]

    monkeypatch.setattr(theano, "function", recorded)
    return functions


def ops(function):
    return [type(node.op) for node in function.maker.fgraph.toposort()]


def test_a_module_of_the_user_wins(tmp_path, monkeypatch):
    (tmp_path / "network3.py").write_text("mine = True")
    (tmp_path / "mlp").mkdir()  # a folder of data, say
    leave_out_scripts(monkeypatch)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("network3", "mlp"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert importlib.import_module("network3").mine
    assert importlib.import_module("mlp") is lenet.mlp


@pytest.mark.parametrize("run", ["folder on the path", "not on the path"], indirect=True)
def test_names_in_a_listing_are_the_package_s(run):
    names = run("lenet5.py")
    assert names["HiddenLayer"] is lenet.mlp.HiddenLayer
    assert names["LogisticRegression"] is lenet.logistic_sgd.LogisticRegression
    assert names["load_data"] is lenet.logistic_sgd.load_data
    names = run("use_network3.py")
    for name in ("ConvPoolLayer", "FullyConnectedLayer", "Network", "SoftmaxLayer"):
        assert names[name] is getattr(network3, name)


def test_operators_give_the_numbers_of_the_texts(run):
    operators = run("operators.py")
    # Seed 001: two channels of 1 2 3 4 5, two filters.
    images = numpy.array([[[[1., 2, 3, 4, 5]]] * 2]).reshape(1, 2, 1, 5)
    filters = [[[[1., 1.]], [[1., 1.]]], [[[2., 2.]], [[1., 1.]]]]
    maps = [[[[6, 10, 14, 18]], [[9, 15, 21, 27]]]]
    assert operators["convolved"](images, filters).tolist() == maps
    numpy.testing.assert_allclose(
        operators["filtered"](images, filters, [-10, -20]),
        1 / (1 + numpy.exp(-(numpy.array(maps) - numpy.reshape([10, 20], (1, 2, 1, 1))))))

    # Seed 000: the second of its examples has an incomplete window at the border.
    invals = numpy.random.RandomState(1).rand(3, 2, 5, 5)
    numpy.testing.assert_allclose(
        operators["pooled"](invals, (2, 2), True)[0, 0],
        [[0.72032449, 0.39676747], [0.6852195, 0.87811744]], atol=1e-8)
    numpy.testing.assert_allclose(
        operators["pooled"](invals, (2, 2), False)[1, 0],
        [[0.67883553, 0.58930554, 0.69975836], [0.66379465, 0.94459476, 0.58655504],
         [0.90340192, 0.80739129, 0.39767684]], atol=1e-8)


def test_lenet5_typed_from_the_text_is_the_package_s(run, compiled, small_dataset):
    settings = dict(learning_rate=0.1, n_epochs=2, dataset=small_dataset, nkerns=[4, 8],
                    batch_size=10)
    params, validation_loss = run("lenet5.py")["evaluate_lenet5"](**settings)
    validate_model, train_model = compiled
    assert ops(validate_model).count(ConvPool) == 2
    assert ops(train_model).count(ConvPool) == ops(train_model).count(ConvPoolGrad) == 2
    model, result = evaluate_lenet5(**settings)
    assert validation_loss == pytest.approx(result.best_validation_error)
    for ours, theirs in zip(model.params, params):
        numpy.testing.assert_array_equal(ours.get_value(), theirs.get_value())


def test_network3_typed_from_the_text(run, compiled, small_dataset):
    listing = run("own_network3.py")
    training_data, validation_data, test_data = listing["load_data_shared"](small_dataset)
    numpy.random.seed(0)
    net = listing["Network"]([
        listing["ConvPoolLayer"](image_shape=(10, 1, 28, 28), filter_shape=(4, 1, 5, 5)),
        listing["FullyConnectedLayer"](n_in=4 * 12 * 12, n_out=20, p_dropout=0.3),
        listing["SoftmaxLayer"](n_in=20, n_out=10)], 10)
    accuracy = net.SGD(training_data, 30, 10, 0.3, validation_data, test_data, lmbda=0.01)
    assert accuracy > 0.5
    assert [ops(function).count(ConvPool) for function in compiled] == [1, 1]


def test_a_program_on_top_of_network3(run, compiled, small_dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plots, "has_display", lambda: False)
    for folder in ("code", "model"):  # the text's file is ../model/params.pkl
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "code")
    listing = run("use_network3.py")
    assert listing["Network"] is network3.Network
    net = listing["main"](small_dataset, is_load_model_from_file=False)
    assert ops(compiled[0]).count(ConvPool) == ops(compiled[0]).count(ConvPoolGrad) == 1
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[:3] == ["250", "begin training...", "Training mini-batch number 0"]
    assert lines[-1].startswith("Corresponding test accuracy of ")
    assert "no display" in printed.err

    loaded = listing["main"](small_dataset, is_load_model_from_file=True)
    for before, after in zip(net.params, loaded.params):
        numpy.testing.assert_array_equal(before.get_value(), after.get_value())
    assert capsys.readouterr().out.splitlines() == [
        "250", "use the model loaded from file...",
        f"The corresponding test accuracy is {net.accuracy(load_data(small_dataset)[2]):.2%}"]
