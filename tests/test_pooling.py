"""lenet.pooling against loops over windows, and its gradients against finite differences."""

import numpy
import pytest
import scipy.signal
import theano
import theano.tensor as T

from lenet import pooling
from lenet.convolutional_mlp import LeNet5
from lenet.pooling import POOLINGS, StochasticPoolLayer, draw_windows

SHAPE = (2, 3, 7, 6)  # 7 x 6 leaves a border at windows of 2 x 2, and at 3 x 3 with stride 2


def map_windows(x, window, stride, of_window):
    """``of_window(numbers, image, map, row, column)`` for each window that lies inside a map."""
    rows, columns = ((x.shape[2 + k] - window[k]) // stride[k] + 1 for k in (0, 1))
    out = numpy.empty(x.shape[:2] + (rows, columns))
    for n, m, r, c in numpy.ndindex(out.shape):
        top, left = r * stride[0], c * stride[1]
        out[n, m, r, c] = of_window(
            x[n, m, top:top + window[0], left:left + window[1]].ravel(), n, m, r, c
        )
    return out


def check(function, x, expected, rtol=1e-9):
    """The function gives the expected numbers, and its gradient is right."""
    input = T.dtensor4()
    output = theano.function([input], function(input))(x)
    assert output.shape == expected.shape
    numpy.testing.assert_allclose(output, expected, rtol=rtol, atol=1e-12)
    theano.gradient.verify_grad(function, [x], rng=numpy.random.RandomState(1))


@pytest.mark.parametrize("window, stride", [((2, 2), (2, 2)), ((3, 2), (3, 2)), ((3, 3), (2, 1))])
def test_max(rng, window, stride):
    x = rng.randn(*SHAPE)
    expected = map_windows(x, window, stride, lambda numbers, *place: numbers.max())
    check(lambda input: pooling.max_pool(input, window, stride), x, expected)


def test_without_a_stride_windows_do_not_overlap(rng):
    x = rng.randn(*SHAPE)
    expected = map_windows(x, (3, 2), (3, 2), lambda numbers, *place: numbers.max())
    check(lambda input: pooling.max_pool(input, (3, 2)), x, expected)


def test_mean(rng):
    x = rng.randn(*SHAPE)
    expected = map_windows(x, (2, 2), (2, 2), lambda numbers, *place: sum(numbers) / 4)
    check(pooling.mean_pool, x, expected)


def test_overlapping_max(rng):
    x = rng.randn(*SHAPE)
    expected = map_windows(x, (3, 3), (2, 2), lambda numbers, *place: numbers.max())
    check(pooling.overlapping_max_pool, x, expected)


def test_windows_that_do_not_overlap_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\); expected less than the window \(3, 3\)"):
        pooling.overlapping_max_pool(T.tensor4(), (3, 3), (2, 3))


def test_l2(rng):
    x = rng.randn(*SHAPE)
    expected = map_windows(x, (2, 2), (2, 2), lambda numbers, *place: numpy.linalg.norm(numbers))
    check(lambda input: pooling.l2_pool(input, epsilon=1e-14), x, expected)


def test_l2_has_a_gradient_where_all_is_zero():
    x = T.dtensor4()
    gradient = theano.function([x], T.grad(pooling.l2_pool(x).sum(), x))
    assert (gradient(numpy.zeros(SHAPE)) == 0).all()


def test_stochastic_takes_the_number_that_the_draw_falls_on(rng):
    x = abs(rng.randn(*SHAPE))
    x[0, 0, :2, :2] = 0  # nothing to choose from
    uniform = rng.rand(2, 3, 3, 3)
    draw = T.constant(uniform)

    def chosen(numbers, *place):
        point = uniform[place] * numbers.sum()
        return next((a for k, a in enumerate(numbers) if point < numbers[:k + 1].sum()), 0)

    expected = map_windows(x, (2, 2), (2, 2), chosen)
    assert expected[0, 0, 0, 0] == 0
    input = T.dtensor4()
    output, gradient = theano.function(
        [input], [pooling.stochastic_pool(input, draw),
                  T.grad(pooling.stochastic_pool(input, draw).sum(), input)])(x)
    numpy.testing.assert_allclose(output, expected)
    # The gradient is 1 at each number chosen. Finite differences would not do where they change
    # the choice, as in the window of zeros.
    assert set(numpy.unique(gradient)) == {0, 1} and (gradient[0, 0, :2, :2] == 0).all()
    assert gradient.sum() == 2 * 3 * 3 * 3 - 1
    numpy.testing.assert_allclose((gradient * x).sum(), expected.sum())
    theano.gradient.verify_grad(
        lambda input: pooling.stochastic_pool(input, T.constant(numpy.full((1, 2, 2, 2), 0.3))),
        [rng.rand(1, 2, 4, 4) + 1], rng=rng,
    )


def test_stochastic_draws_in_proportion(rng):
    x = numpy.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 2, 2)
    n = 10000
    f = theano.function([], pooling.stochastic_pool(
        T.constant(numpy.repeat(x, n, axis=0)), T.constant(rng.rand(n, 1, 1, 1))))
    found = numpy.bincount(f().ravel().astype(int), minlength=5) / n
    # Five standard deviations of a fraction of 10000 draws are at most 5 * 0.5 / 100.
    numpy.testing.assert_allclose(found, [0, 0.1, 0.2, 0.3, 0.4], atol=0.025)


def test_stochastic_mean(rng):
    x = abs(rng.randn(*SHAPE)) + 0.1
    x[1, 2, 2:4, :2] = 0

    def weighted(numbers, *place):
        return sum(numbers * numbers / numbers.sum()) if numbers.any() else 0

    expected = map_windows(x, (2, 2), (2, 2), weighted)
    input = T.dtensor4()
    output = theano.function([input], pooling.stochastic_pool_mean(input))(x)
    numpy.testing.assert_allclose(output, expected)
    # At zero the mean has no derivative, so the gradient is checked elsewhere.
    theano.gradient.verify_grad(pooling.stochastic_pool_mean, [abs(rng.randn(1, 2, 4, 4)) + 0.1],
                                rng=rng)


def test_local_contrast_normalization(rng):
    size, x = 3, rng.randn(*SHAPE)
    weights = pooling.gaussian(size)
    assert weights[1, 1] == weights.max() and abs(weights.sum() - 1) < 1e-6
    numpy.testing.assert_allclose(weights, weights.T)

    def local_mean(maps):
        """Sum over all maps and the neighbours of each point; outside lie zeros."""
        out = numpy.zeros((len(maps), 1) + maps.shape[2:])
        padded = numpy.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)))
        for n, r, c in numpy.ndindex(len(maps), *maps.shape[2:]):
            neighbourhood = padded[n, :, r:r + size, c:c + size]
            out[n, 0, r, c] = (neighbourhood * weights).sum() / maps.shape[1]
        return out

    v = x - local_mean(x)
    sigma = numpy.sqrt(local_mean(v ** 2))
    c = numpy.array([s.mean() for s in sigma]).reshape(-1, 1, 1, 1)
    assert (sigma > c).any() and (sigma < c).any()  # both sides of the maximum are at work
    # The weights are of type floatX: 1e-6 apart from numbers of double precision.
    check(lambda input: pooling.local_contrast_normalization(input, size), x,
          v / numpy.maximum(c, sigma), rtol=1e-5)


def test_an_even_neighbourhood_is_refused():
    with pytest.raises(ValueError, match="size 4; expected an odd"):
        pooling.local_contrast_normalization(T.tensor4(), 4)


def test_deformation(rng):
    x, c = rng.randn(*SHAPE), rng.rand(4)
    penalties = pooling.quadratic_penalties(1)
    assert penalties[:, 0, 2].tolist() == [-1, 1, 1, 1]  # i, j, i^2, j^2 at the top right

    def of_window(numbers, *place):
        return max(
            numbers[3 * (i + 1) + (j + 1)] - (c[0] * i + c[1] * j + c[2] * i * i + c[3] * j * j)
            for i in (-1, 0, 1) for j in (-1, 0, 1)
        )

    expected = map_windows(x, (3, 3), (2, 1), of_window)
    check(lambda input: pooling.deformation_pool(input, T.constant(c), penalties, (2, 1)),
          x, expected)
    # The factors of the penalties have a gradient, too: they can be learned.
    theano.gradient.verify_grad(
        lambda c: pooling.deformation_pool(T.constant(x), c, penalties), [c], rng=rng
    )


def test_deformation_without_penalty_is_max_pooling(rng):
    x = T.constant(rng.randn(*SHAPE))
    pools = [pooling.deformation_pool(x, T.constant(numpy.zeros(4)),
                                      pooling.quadratic_penalties(1)),
             pooling.max_pool(x, (3, 3))]
    deformed, largest = theano.function([], pools)()
    numpy.testing.assert_array_equal(deformed, largest)


@pytest.mark.parametrize("window, stride, word", [
    ((0, 2), None, "window"), ((2, 2), (1, 0), "stride"), ((2,), None, "window"),
])
def test_windows_that_cannot_be(window, stride, word):
    for kind in (pooling.max_pool, pooling.mean_pool, pooling.l2_pool,
                 pooling.stochastic_pool_mean):
        with pytest.raises(ValueError, match=word):
            kind(T.tensor4(), window, stride)


# --- the layers -----------------------------------------------------------------------------


def convolve(images, W):
    """The maps of a convolution, in double precision."""
    # scipy's convolve2d flips the filter, as the definition of convolution says.
    return numpy.array([[sum(scipy.signal.convolve2d(channel, filter, mode="valid")
                             for channel, filter in zip(image, filters))
                         for filters in W.astype("float64")] for image in images.astype("float64")])


def relu(a):
    return numpy.maximum(0, a)


def over_windows(maps, window, stride, of_window):
    """``of_window(numbers)`` of each window of each map; numbers: (images, maps, rows, columns)."""
    down, right = stride
    return numpy.array([[of_window(maps[:, :, i:i + window[0], j:j + window[1]])
                         for j in range(0, maps.shape[3] - window[1] + 1, right)]
                        for i in range(0, maps.shape[2] - window[0] + 1, down)]
                       ).transpose(2, 3, 0, 1)


# Of 12 x 13 maps: the pooled maps by hand, and their size.
C = numpy.array([0.1, -0.2, 0.3, 0.4])
PENALTY = numpy.array([[C.dot([i, j, i * i, j * j]) for j in (-1.5, -0.5, 0.5, 1.5)]
                       for i in (-1, 0, 1)])
KINDS = {
    "max": ((2, 3), (6, 4), lambda a: a.max(axis=(2, 3))),
    "mean": ((2, 3), (6, 4), lambda a: a.mean(axis=(2, 3))),
    "overlapping": ((3, 4), (5, 4), lambda a: a.max(axis=(2, 3))),
    "l2": ((2, 3), (6, 4), lambda a: (a ** 2).sum(axis=(2, 3)) ** 0.5),
    "deformation": ((3, 4), (5, 4), lambda a: (a - PENALTY).max(axis=(2, 3))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_pooling(kind, rng):
    window, size, of_window = KINDS[kind]
    x = T.tensor4("x")
    layer = POOLINGS[kind](rng, x, (3, 2, 3, 3), (4, 2, 14, 15), (2, 3))
    layer.b.set_value(rng.randn(3).astype(theano.config.floatX))
    if kind == "deformation":
        assert layer.params[2:] == [layer.c] and (layer.c.get_value() == 0).all()
        layer.c.set_value(C.astype(theano.config.floatX))
    images = rng.randn(4, 2, 14, 15).astype(theano.config.floatX)
    pooled = over_windows(convolve(images, layer.W.get_value()), window, (2, 3), of_window)
    output = theano.function([x], layer.output)(images)
    assert layer.map_size == output.shape[2:] == size
    numpy.testing.assert_allclose(
        output, numpy.tanh(pooled + layer.b.get_value()[:, None, None]), atol=1e-5)


def test_contrast_normalization_comes_before_the_maximum(rng):
    x = T.tensor4("x")
    layer = POOLINGS["contrast"](rng, x, (3, 2, 3, 3), (4, 2, 14, 15), (2, 3))
    images = rng.randn(4, 2, 14, 15).astype(theano.config.floatX)
    maps = convolve(images, layer.W.get_value()).astype(theano.config.floatX)
    normalized = pooling.local_contrast_normalization(x).eval({x: maps})
    expected = numpy.tanh(over_windows(normalized, (2, 3), (2, 3), lambda a: a.max(axis=(2, 3))))
    numpy.testing.assert_allclose(theano.function([x], layer.output)(images), expected, atol=1e-4)


def test_stochastic_pooling_draws_in_training_and_takes_means_in_evaluation(rng):
    x = T.matrix("x")
    model = LeNet5(rng, x, nkerns=(2, 3), n_hidden=5, activation=T.nnet.relu,
                   conv_pool_layer=StochasticPoolLayer)
    W3, b3, W2, b2, W1, b1, W0, b0 = (param.get_value() for param in model.params)
    images = rng.rand(4, 1, 28, 28).astype(theano.config.floatX)

    def expected_value(a):
        total = a.sum(axis=(2, 3))
        return (a ** 2).sum(axis=(2, 3)) / numpy.where(total == 0, 1, total)

    means = images
    for W, b in ((W0, b0), (W1, b1)):
        means = over_windows(relu(convolve(means, W) + b[:, None, None]), (2, 2), (2, 2),
                             expected_value)
    hidden = relu(means.reshape(4, -1).dot(W2) + b2)
    numpy.testing.assert_allclose(theano.function([x], model.layer2.output)(images.reshape(4, -1)),
                                  hidden, rtol=1e-3, atol=1e-5)

    # In training each layer draws from what the layer below has drawn.
    layers = [model.layer0, model.layer1]
    maps = T.concatenate([layer.output.flatten(2) for layer in layers], axis=1)
    draw = theano.function([x], draw_windows(maps, layers, rng))
    drawn = draw(images.reshape(4, -1))
    drawn0, drawn1 = drawn[:, :288].reshape(4, 2, 12, 12), drawn[:, 288:].reshape(4, 3, 4, 4)
    for below, chosen, W, b in ((images, drawn0, W0, b0), (drawn0, drawn1, W1, b1)):
        of_layer = relu(convolve(below, W) + b[:, None, None])
        # 24 = 2 * 12 rows and 8 = 2 * 4: each number of a map is one of its four.
        away = [abs(chosen - of_layer[:, :, i::2, j::2]) for i in (0, 1) for j in (0, 1)]
        assert numpy.min(away, axis=0).max() < 1e-5
    assert (draw(images.reshape(4, -1)) != drawn).any()
