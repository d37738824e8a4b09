"""lenet.predict.inputs: the same pixels of every type that tells what they are, or one line."""

import numpy
import pytest

from lenet.errors import UsageError
from lenet.predict.inputs import as_pixels

SHAPE = (1, 2, 3)
BYTES = numpy.array([[0, 1, 2, 127, 128, 255], [9, 8, 7, 6, 5, 4]], "uint8")


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int32", "int64", "uint64",
                                   ">i4"])
def test_whole_numbers_are_bytes(dtype):
    images = (BYTES // 2).astype(dtype)  # at most 127, which is in the range of int8
    found = as_pixels(images, SHAPE)
    assert found.dtype == "uint8"
    numpy.testing.assert_array_equal(found, BYTES // 2)


def test_a_list_of_whole_numbers():
    found = as_pixels(BYTES.tolist(), SHAPE)
    assert found.dtype == "uint8"
    numpy.testing.assert_array_equal(found, BYTES)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_are_as_in_the_dataset(dtype):
    for images in (BYTES / 256, BYTES / 255, numpy.ones((2, 6)), numpy.zeros((2, 6)),
                   BYTES / 64 - 2):  # of a dataset with a mean of 0
        images = images.astype(dtype)
        numpy.testing.assert_array_equal(as_pixels(images, SHAPE), images)


def test_bools_are_0_and_1():
    found = as_pixels(BYTES > 100, SHAPE)
    assert found.dtype.kind == "f"
    numpy.testing.assert_array_equal(found, [[0, 0, 0, 1, 1, 1], [0] * 6])


@pytest.mark.parametrize("shape", [(2, 6), (2, 2, 3), (2, 1, 2, 3), (2, 3, 2), (2, 6, 1)])
def test_rows_of_pixels(shape):
    found = as_pixels(BYTES.reshape(shape), SHAPE)
    numpy.testing.assert_array_equal(found, BYTES)


@pytest.mark.parametrize("images", [[], numpy.empty((0, 6)), numpy.empty((0, 1, 2, 3), "int64")])
def test_no_images(images):
    assert as_pixels(images, SHAPE).shape == (0, 6)


def with_pixel(value):
    images = BYTES / 256
    images[1, 2] = value
    return images


@pytest.mark.parametrize("images, message", [
    (BYTES.astype(float), "float64 that are whole numbers from 0 to 255; expected bytes"),
    (BYTES.astype("float32"), r"float32 that are whole .* images.astype\(\"uint8\"\)"),
    (numpy.array([[-1, 0, 1, 2, 3, 4]]), "int64 from -1 to 4; expected bytes, 0 to 255"),
    (numpy.array([[0, 0, 0, 0, 0, 256]]), "int64 from 0 to 256"),
    (numpy.full((1, 6), 65535, "uint16"), "uint16 from 65535 to 65535"),
    (with_pixel(numpy.nan), r"image 1 \(from 0\) has a pixel that is NaN or infinite"),
    (with_pixel(-numpy.inf), r"image 1 \(from 0\) has a pixel that is NaN or infinite"),
    (BYTES.astype(complex), "type complex128; expected bytes"),
    (BYTES.astype(str), "type <U3; expected bytes"),
    (BYTES.astype(object), "type object; expected bytes"),
    (BYTES[0], r"shape \(6,\); expected \(number of images, 6\), or each of \(1, 2, 3\)"),
    (BYTES[:, 1:], r"shape \(2, 5\)"),
    (numpy.float64(3), r"shape \(\)"),
])
def test_what_is_refused(images, message):
    with pytest.raises(UsageError, match=message):
        as_pixels(images, SHAPE)
