"""What Python 2.7 and Theano 0.8.2 pickled, in theano_0_8_2.pkl.gz (NumPy 1.16; in turn with the
protocols 0, 1, 2, 2 and 2):

- an object of a class ``LogisticRegression`` as in the tutorial, with its graph: x (n, 4) of
  float32, W (4, 3) and b (3,), p_y_given_x = softmax(x W + b), y_pred = argmax(p_y_given_x, axis=1)
- its two shared variables
- their values
- the GPU's W, a shared variable, and its product with x; b as an array on the GPU
- a convolution by T.nnet.conv2d with the filters 0 to 17 of shape (2, 1, 3, 3), and max-pooling of
  2 x 2 places with a stride of 1
"""

import gzip
import os
import pickle
import sys
import types

import numpy
import pytest
import theano
import theano.tensor as T
from theano.misc import pkl_utils
from theano.tensor.signal import pool

from lenet.program.old_python import load


@pytest.fixture
def pickled(monkeypatch):
    """The five objects."""
    module = types.ModuleType("logistic_sgd")
    module.LogisticRegression = type("LogisticRegression", (), {"__module__": "logistic_sgd"})
    monkeypatch.setitem(sys.modules, "logistic_sgd", module)
    path = os.path.join(os.path.dirname(__file__), "theano_0_8_2.pkl.gz")
    with gzip.open(path) as file:
        return [load(file) for _ in range(5)]


def test_a_model(pickled, rng):
    model, shared, (W, b), _, _ = pickled
    numpy.testing.assert_array_equal(W.ravel()[:2], numpy.random.RandomState(1).rand(2)
                                     .astype("float32"))
    for variables in (model.params, shared):
        for variable, value in zip(variables, (W, b)):
            numpy.testing.assert_array_equal(variable.get_value(), value)
    x = rng.rand(5, 4).astype("float32")
    p, y = theano.function([model.input], [model.p_y_given_x, model.y_pred])(x)
    exp = numpy.exp(x @ W + b)
    numpy.testing.assert_allclose(p, exp / exp.sum(axis=1, keepdims=True), rtol=1e-5)
    numpy.testing.assert_array_equal(y, exp.argmax(axis=1))
    model.W.set_value(0 * W)
    gradient = T.grad(model.p_y_given_x[0, 0], model.W)
    assert theano.function([model.input], gradient)(x).shape == (4, 3)


def test_what_a_gpu_wrote_is_on_the_cpu(pickled, rng):
    _, _, (W, b), gpu, _ = pickled
    assert type(gpu["W"]) is theano.tensor.sharedvar.TensorSharedVariable
    assert gpu["W"].type == T.fmatrix and gpu["W"].name == "W"
    numpy.testing.assert_array_equal(gpu["array"], b)
    x = rng.rand(5, 4).astype("float32")
    product, again = theano.function([gpu["x"]], [gpu["product"], T.dot(gpu["x"], gpu["W"])])(x)
    numpy.testing.assert_allclose(product, x @ W, rtol=1e-5)
    numpy.testing.assert_allclose(again, x @ W, rtol=1e-5)


def test_convolutions_and_pooling(pickled):
    conv = pickled[4]
    images = numpy.arange(16, dtype="float32").reshape(1, 1, 4, 4)
    maps, pooled = theano.function([conv["images"]], [conv["maps"], conv["pooled"]])(images)
    filters = numpy.arange(18).reshape(2, 3, 3)[:, ::-1, ::-1]
    assert [maps[0, k, 1, 0] for k in (0, 1)] == [(filters[k] * images[0, 0, 1:, :3]).sum()
                                                  for k in (0, 1)]
    numpy.testing.assert_array_equal(pooled[0, 0], images[0, 0, 1:, 1:])


def test_theanos_archives(tmp_path):
    """A graph and its arrays in one file, as Theano itself writes and reads them."""
    variable = theano.shared(numpy.arange(3.0), "v")
    with open(tmp_path / "graph.zip", "wb") as file:
        pkl_utils.dump(variable * 2, file)
    with open(tmp_path / "graph.zip", "rb") as file:
        numpy.testing.assert_array_equal(pkl_utils.load(file).eval(), [0, 2, 4])


def test_todays_pickles_stay(rng):
    x = T.ftensor4("x")
    pooled = pool.pool_2d(x, (2, 2), ignore_border=True)
    copied_x, copy = pickle.loads(pickle.dumps((x, T.argmax(pooled, axis=1))))
    value = rng.rand(2, 3, 4, 4).astype("float32")
    numpy.testing.assert_array_equal(
        theano.function([copied_x], copy)(value),
        value.reshape(2, 3, 2, 2, 2, 2).max(axis=(3, 5)).argmax(axis=1))


def test_the_unpickler_of_other_programs_stays_as_it_is():
    number = pickle.REDUCE[0]
    assert pickle._Unpickler.dispatch[number] is pickle._Unpickler.load_reduce
    assert pkl_utils.CompatUnpickler.dispatch[number] is pkl_utils.load_reduce
