"""lenet.images.digit: photographs of MNIST's own digits come back as MNIST has them."""

import numpy
import pytest
from PIL import Image
from scipy import ndimage

from lenet.errors import DataError
from lenet.images import digit


@pytest.fixture(scope="module")
def digits(mnist_arrays):
    """The first 40 digits of the test set, uint8 of shape (40, 28, 28)."""
    return (mnist_arrays[2][0][:40] * 256).astype("uint8").reshape(-1, 28, 28)


def draw_photograph(image, rng, scale, room=1.5, grain=15, light=0.5):
    """Dark ink on white paper that is larger, grainy, and darker on one side."""
    side = int(28 * scale)
    canvas = numpy.zeros((int(side * room), int(side * room * 1.2)))
    top, left = (rng.randint(0, free - side + 1) for free in canvas.shape)
    large = Image.fromarray(image).resize((side, side), Image.BICUBIC)
    canvas[top:top + side, left:left + side] = large
    rows, columns = numpy.mgrid[-0.5:0.5:canvas.shape[0] * 1j, -0.5:0.5:canvas.shape[1] * 1j]
    grey = (220 - 0.75 * canvas) * (1 + light * (0.8 * rows - 0.6 * columns))
    return numpy.clip(grey + grain * rng.randn(*canvas.shape), 0, 255).astype("uint8")


def difference(image, expected):
    """The mean difference of two images, in grey levels, where they fit each other best."""
    shifted = (numpy.roll(image, (y, x), axis=(0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1))
    return min(abs(s.astype(int) - expected).mean() for s in shifted)


def test_what_is_in_the_format_stays_as_it_is(digits):
    for image in digits:
        numpy.testing.assert_array_equal(digit.to_mnist(image), image)
        numpy.testing.assert_array_equal(digit.to_mnist(255 - image), image)


@pytest.mark.parametrize("scale", [2, 5, 20])
def test_photographs(scale, digits, rng):
    for image in digits[:8]:
        dark = draw_photograph(image, rng, scale)
        for picture in (dark, 255 - dark):
            found = digit.to_mnist(picture)
            assert found.shape == (28, 28) and found.dtype == numpy.uint8
            # Another digit differs by 40 grey levels and more; so does the negative.
            assert difference(found, image) < 15


def test_the_digit_fits_its_box_and_its_centre_of_mass_is_in_the_middle(digits, rng):
    for image in digits[:10]:
        found = digit.to_mnist(draw_photograph(image, rng, 4))
        rows, columns = numpy.nonzero(found)
        assert max(rows.max() - rows.min(), columns.max() - columns.min()) + 1 == 20
        for centre in ndimage.center_of_mass(found):
            assert 13.4 <= centre <= 14.6  # rounding to bytes moves it a little
        assert found.max() == 255


@pytest.mark.parametrize("height, width", [(100, 20), (20, 100), (40, 40)])
def test_proportions_are_kept(height, width):
    grey = numpy.full((160, 200), 255, dtype="uint8")
    grey[30:30 + height, 60:60 + width] = 0
    found = digit.to_mnist(grey)
    rows, columns = numpy.nonzero(found.any(axis=1))[0], numpy.nonzero(found.any(axis=0))[0]
    assert (len(rows), len(columns)) == (20 * height // max(height, width),
                                         20 * width // max(height, width))


def test_specks_and_the_edge_of_the_table_are_left_out(digits):
    image = digits[0]
    grey = 255 - numpy.kron(image, numpy.ones((5, 5), dtype="uint8"))
    grey = numpy.pad(grey, 20, constant_values=255)
    expected = digit.to_mnist(grey)
    grey[:, :4] = 0  # the table
    grey[8, 100:102] = 0  # a speck
    assert difference(digit.to_mnist(grey), expected) < 5


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (28, 28), (600, 500)])
def test_blank_paper(shape, rng):
    for value in (0, 130, 255):
        with pytest.raises(DataError, match="no digit found"):
            digit.to_mnist(numpy.full(shape, value, dtype="uint8"))
    if shape[0] > 9:
        grain = 170 + 8 * rng.randn(*shape) + 40 * numpy.linspace(-1, 1, shape[1])
        with pytest.raises(DataError, match="no digit found"):
            digit.to_mnist(grain.astype("uint8"))


def test_any_picture_at_all_gives_an_image_or_a_clean_refusal(rng):
    for _ in range(300):
        shape = rng.randint(1, 60, 2)
        grey = rng.randint(0, 256, shape) * (rng.rand(*shape) < rng.rand())
        try:
            assert digit.to_mnist(grey.astype("uint8")).shape == (28, 28)
        except DataError:
            pass


@pytest.mark.parametrize("factor", [1, 3])
def test_where_the_digit_is(factor):
    picture = numpy.full((100 * factor, 120 * factor), 250, "uint8")
    picture[20 * factor:80 * factor, 30 * factor:40 * factor] = 10  # an L
    picture[70 * factor:80 * factor, 40 * factor:60 * factor] = 10
    found = digit.find_digit(picture)
    numpy.testing.assert_array_equal(found.image, digit.to_mnist(picture))
    assert found.box == (20 * factor, 30 * factor, 80 * factor, 60 * factor)
    # The upright has 600 pixels around (50, 35), the foot 200 around (75, 50).
    assert found.centre == pytest.approx((factor * (600 * 50 + 200 * 75) / 800,
                                          factor * (600 * 35 + 200 * 50) / 800))


def test_where_a_digit_in_the_format_is(digits):
    found = digit.find_digit(digits[0])
    rows, columns = numpy.nonzero(digits[0])
    assert found.box == (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
    numpy.testing.assert_allclose(
        found.centre, numpy.add(ndimage.center_of_mass(digits[0]), 0.5), rtol=1e-5)
