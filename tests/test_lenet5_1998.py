"""lenet.lenet5_1998 against the paper's tables and a few lines of NumPy."""

import numpy
import pytest
import theano
import theano.tensor as T

from lenet import lenet5_1998
from lenet.data.checks import number_classes
from lenet.data.loading import Datasets, shared_dataset
from lenet.errors import DataError, UsageError
from lenet.lenet5_1998 import STEPS, TABLE_I, LeNet5_1998, squash

# Table I as the paper prints it: row i, column j says whether map j of C3 sees map i of S2.
PAPERS_TABLE = """
X . . . X X X . . X X X X . X X
X X . . . X X X . . X X X X . X
X X X . . . X X X . . X . X X X
. X X X . . X X X X . . X . X X
. . X X X . . X X X X . X X . X
. . . X X X . . X X X X . X X X
"""


def test_the_number_of_parameters_of_each_layer():
    model = LeNet5_1998(numpy.random.RandomState(0), T.matrix())
    numbers = {name: sum(param.get_value().size for param in layer.params)
               for name, layer in model.layers.items()}
    # Stored are the weights of all maps of S2, and zeros for those that are not seen.
    numbers["C3"] -= (model.layers["C3"].W.get_value() == 0).sum()
    assert numbers == {"C1": 156, "S2": 12, "C3": 1516, "S4": 32, "C5": 48120, "F6": 10164,
                       "output": 0}


@pytest.mark.parametrize("filter_size, C1, C3, C5", [
    # 32 - 6 = 26, 26 / 2 = 13, 13 - 2 = 11, 11 / 2 = 5; table I has 60 connections.
    (((7, 7), (3, 3)), 6 * (49 + 1), 60 * 9 + 16, 120 * (16 * 25 + 1)),
    # 30 x 28, 15 x 14, 13 x 10, 6 x 5
    ((3, 5), 6 * (15 + 1), 60 * 15 + 16, 120 * (16 * 30 + 1)),
])
def test_other_filters(filter_size, C1, C3, C5, rng):
    x = T.matrix("x")
    model = LeNet5_1998(rng, x, filter_size=filter_size)
    numbers = [sum((param.get_value() != 0).sum() for param in model.layers[name].params)
               for name in ("C1", "C3", "C5")]
    assert numbers == [C1 - 6, C3 - 16, C5 - 120]  # the biases start at 0
    p = theano.function([x], model.p_y_given_x)(rng.rand(3, 784).astype("float32"))
    assert p.shape == (3, 10)


def test_filters_that_leave_nothing(rng):
    for filter_size in ((32, 5), ((5, 5), (14, 14)), ((5, 5), (5, 5), (5, 5))):
        with pytest.raises(UsageError, match="filter_size .*; expected"):
            LeNet5_1998(rng, T.matrix(), filter_size=filter_size)


def test_table_1():
    rows = [line.split() for line in PAPERS_TABLE.strip().split("\n")]
    for j, maps in enumerate(TABLE_I):
        assert sorted(maps) == [i for i in range(6) if rows[i][j] == "X"]


def test_squashing_keeps_1_and_is_bounded():
    x = T.vector()
    values = theano.function([x], squash(x))(numpy.array([-1, 0, 1, 50], dtype="float32"))
    # The paper chose the constants so that f(1) = 1; 1.7159 has five digits.
    numpy.testing.assert_allclose(values, [-1, 0, 1, 1.7159], atol=1e-4)


def test_bitmaps_are_ten_pictures_of_12_rows_of_7():
    centres = lenet5_1998.bitmaps()
    assert centres.shape == (10, 12 * 7) and set(numpy.unique(centres)) == {-1, 1}
    # Any two differ in enough pixels that no digit stands for another.
    differ = [(centres[i] != centres[j]).sum() for i in range(10) for j in range(i)]
    assert min(differ) >= 10
    one = centres[1].reshape(12, 7)
    assert (one[1:11, 3] == 1).all() and (one[:, 0] == -1).sum() == 12


def test_images_lie_in_the_middle_of_a_frame(rng):
    images = rng.rand(3, 28 * 28).astype("float32")
    x = T.matrix()
    framed = theano.function([x], lenet5_1998.frame_images(x, (1, 28, 28)))(images)
    expected = numpy.full((3, 1, 32, 32), -0.1)
    expected[:, 0, 2:30, 2:30] = -0.1 + images.reshape(3, 28, 28) * (1.175 + 0.1)
    numpy.testing.assert_allclose(framed, expected, atol=1e-6)


def test_a_convolution_sees_its_connections_only(rng):
    x = T.tensor4()
    layer = lenet5_1998.ConvolutionLayer(rng, x, (2, 3, 2, 2), (None, 3, 4, 5), [[0, 2], [1]])
    layer.b.set_value(numpy.array([0.5, -0.5], dtype="float32"))
    W, images = layer.W.get_value(), rng.randn(2, 3, 4, 5).astype("float32")
    a = numpy.empty((2, 2, 3, 4))
    for n, k, r, c in numpy.ndindex(a.shape):
        a[n, k, r, c] = layer.b.get_value()[k] + sum(
            # A convolution turns its filters round.
            (W[k, m, ::-1, ::-1] * images[n, m, r:r + 2, c:c + 2]).sum() for m in ([0, 2], [1])[k]
        )
    output, gradient = theano.function([x], [layer.output, T.grad(layer.output.sum(), layer.W)])(
        images)
    numpy.testing.assert_allclose(output, 1.7159 * numpy.tanh(a * 2 / 3), rtol=1e-4, atol=1e-5)
    for k, m in numpy.ndindex(2, 3):
        seen = m in ([0, 2], [1])[k]
        assert (gradient[k, m] != 0).all() == seen
        assert (gradient[k, m] == 0).all() != seen
        assert (W[k, m] != 0).all() == seen


def test_initial_weights_depend_on_the_number_of_inputs(rng):
    layer = lenet5_1998.ConvolutionLayer(rng, T.tensor4(), (2, 3, 5, 5), (None, 3, 9, 9),
                                         [[0, 1, 2], [1]])
    W = layer.W.get_value()
    # 3 * 25 inputs, then 25: uniform in +-2.4 / 75 and +-2.4 / 25.
    assert 0.8 * 2.4 / 75 < abs(W[0]).max() <= 2.4 / 75
    assert 0.8 * 2.4 / 25 < abs(W[1]).max() <= 2.4 / 25


def test_the_wide_weights_have_a_deviation_of_1_over_root_of_inputs(rng):
    W = lenet5_1998.draw_weights(rng, (200, 200), lenet5_1998.wide_bound(16))
    # The deviation of 40000 draws lies within 1 % of the true one.
    assert W.std() == pytest.approx(1 / 4, rel=0.01) and W.dtype == "float32"


def test_connections_that_do_not_fit(rng):
    for connections, problem in (([[0]], "connections for 1 filters"),
                                 ([[0, 3], [1]], r"connections \[0, 3\] of a filter"),
                                 ([[0], []], r"connections \[\] of a filter")):
        with pytest.raises(ValueError, match=problem):
            lenet5_1998.ConvolutionLayer(rng, T.tensor4(), (2, 3, 2, 2), (None, 3, 4, 5),
                                         connections)


def test_subsampling(rng):
    x = T.tensor4()
    layer = lenet5_1998.SubsamplingLayer(x, 3)
    layer.coefficient.set_value(rng.randn(3).astype("float32"))
    layer.b.set_value(rng.randn(3).astype("float32"))
    maps = rng.randn(2, 3, 4, 6).astype("float32")
    sums = maps[:, :, ::2, ::2] + maps[:, :, 1::2, ::2] + maps[:, :, ::2, 1::2] \
        + maps[:, :, 1::2, 1::2]
    a = (sums * layer.coefficient.get_value().reshape(1, 3, 1, 1)
         + layer.b.get_value().reshape(1, 3, 1, 1))
    numpy.testing.assert_allclose(theano.function([x], layer.output)(maps),
                                  1.7159 * numpy.tanh(a * 2 / 3), rtol=1e-4, atol=1e-5)


def test_radial_basis_functions_and_both_losses(rng):
    centres, inputs = rng.randn(4, 5), rng.randn(6, 5).astype("float32")
    labels = numpy.array([0, 1, 2, 3, 0, 1], dtype="int32")
    x, y = T.matrix(), T.ivector()
    layer = lenet5_1998.RBFLayer(x, centres)
    f = theano.function([x, y], [layer.output, layer.y_pred, layer.errors(y), layer.distance(y),
                                 layer.discriminative(y, j=2.0)])
    output, y_pred, errors, distance, discriminative = f(inputs, labels)
    expected = numpy.array([[((row - centre) ** 2).sum() for centre in centres] for row in inputs])
    right = expected[numpy.arange(6), labels]
    numpy.testing.assert_allclose(output, expected, rtol=1e-4)
    assert (y_pred == expected.argmin(axis=1)).all()
    assert errors == pytest.approx(numpy.mean(expected.argmin(axis=1) != labels))
    assert distance == pytest.approx(right.mean(), rel=1e-5)
    log = numpy.log(numpy.exp(-2.0) + numpy.exp(-expected).sum(axis=1))
    assert discriminative == pytest.approx((right + log).mean(), rel=1e-4)


def grey_digits(digits, side):
    """One set, already shared, in the place of all three."""
    return Datasets([digits] * 3, (1, side, side), number_classes(10), "digit")


@pytest.mark.parametrize("name, simplifications", STEPS)
def test_each_step_learns_some_digits_by_heart(name, simplifications, small_sets, capsys,
                                               monkeypatch):
    digits = shared_dataset([part[:100] for part in small_sets[0]])
    monkeypatch.setattr(lenet5_1998, "load_data", lambda *_: grey_digits(digits, 28))
    rate = 0.05 if simplifications.get("head") == "softmax" else 0.005
    _, result = lenet5_1998.evaluate_lenet5_1998(
        rate, n_epochs=40, batch_size=10, **simplifications)
    # 100 digits, trained and tested on; guessing is wrong in 90 of 100.
    assert result.test_error < 0.1
    assert result.stopped == "n_epochs"


def test_the_rate_falls_to_a_fiftieth():
    rates = lenet5_1998.learning_rates(0.1, 5)
    numpy.testing.assert_allclose(rates[[0, 2, 4]], [0.1, 0.1 * (1 + 0.02) / 2, 0.002])
    assert (numpy.diff(rates) < 0).all()
    assert lenet5_1998.learning_rates(0.1, 1).tolist() == [0.1]


def test_wrong_use(monkeypatch):
    for name in ("connections", "pooling", "head", "loss"):
        with pytest.raises(UsageError, match="%s other; expected" % name):
            lenet5_1998.evaluate_lenet5_1998(**{name: "other"})
        with pytest.raises(UsageError, match="%s other; expected" % name):
            LeNet5_1998(numpy.random.RandomState(0), T.matrix(), **{name: "other"})
    with pytest.raises(UsageError, match="loss distance belongs to the head rbf"):
        lenet5_1998.evaluate_lenet5_1998(head="softmax", loss="distance")
    with pytest.raises(UsageError, match="learning rate 0"):
        lenet5_1998.evaluate_lenet5_1998(learning_rate=0)
    large = shared_dataset((numpy.zeros((20, 33 * 33)), numpy.zeros(20)))
    monkeypatch.setattr(lenet5_1998, "load_data", lambda *_: grey_digits(large, 33))
    with pytest.raises(DataError, match="33 x 33 pixels in 1 channel.*at most 32 x 32"):
        lenet5_1998.evaluate_lenet5_1998()
