"""lenet.data.digit_format: MNIST's digits have it; inverted, moved, larger or blank ones do not."""

import numpy
import pytest

from lenet.data.digit_format import are_in_format


@pytest.mark.parametrize("number", [0, 1, 2])
def test_mnist_has_the_format(mnist_arrays, number):
    x = mnist_arrays[number][0][:1000]
    assert are_in_format(x)
    assert are_in_format((x * 256).astype("uint8"))


@pytest.mark.parametrize("change", [
    lambda images: 255 / 256 - images,
    lambda images: numpy.roll(images, 2, axis=2),
    lambda images: images[:, 2:26, 2:26].repeat(2, 1).repeat(2, 2)[:, 10:38, 10:38],
    numpy.zeros_like,
])
def test_what_was_done_to_mnist_shows(mnist_arrays, change):
    images = mnist_arrays[0][0][:100].reshape(-1, 28, 28)
    assert not are_in_format(change(images).reshape(-1, 784))


def test_a_tenth_may_be_something_else(mnist_arrays):
    x = mnist_arrays[0][0][:100].copy()
    x[:10] = 1
    assert are_in_format(x)
    x[:11] = 1
    assert not are_in_format(x)
