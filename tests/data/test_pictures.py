"""lenet.data.pictures: image files of every kind, at a given size or as they are."""

import numpy
import pytest
from PIL import Image

from lenet.data.pictures import read_photograph, read_picture, read_shape
from lenet.errors import DataError


@pytest.fixture
def colours(rng):
    """Noise of 5 x 7 pixels in red, green and blue."""
    return rng.randint(0, 256, (5, 7, 3)).astype("uint8")


def save_image(tmp_path, pixels, name="image.png", mode=None, **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(tmp_path / name, **options)
    return str(tmp_path / name)


@pytest.mark.parametrize("name", ["image.png", "image.bmp", "image.ppm", "image.tiff", "image.tga"])
def test_colours_are_kept(tmp_path, colours, name):
    path = save_image(tmp_path, colours, name)
    assert read_shape(path) == (3, 5, 7)
    found = read_picture(path, (3, 5, 7))
    assert found.dtype == "uint8"
    numpy.testing.assert_array_equal(found, colours.transpose(2, 0, 1))


@pytest.mark.parametrize("name", ["image.png", "image.bmp", "image.pgm", "image.gif", "image.tiff"])
def test_grey_is_kept(tmp_path, colours, name):
    path = save_image(tmp_path, colours[:, :, 0], name)
    assert read_shape(path) == (1, 5, 7)
    numpy.testing.assert_array_equal(read_picture(path, (1, 5, 7)), colours[None, :, :, 0])
    # Three equal channels.
    numpy.testing.assert_array_equal(read_picture(path, (3, 5, 7)), [colours[:, :, 0]] * 3)


def test_colours_become_grey_as_the_eye_sees_them(tmp_path, colours):
    found = read_picture(save_image(tmp_path, colours), (1, 5, 7))
    luma = colours.dot([0.299, 0.587, 0.114])  # ITU-R 601
    numpy.testing.assert_allclose(found[0], luma, atol=1)


@pytest.mark.parametrize("mode", ["P", "CMYK", "YCbCr", "1", "LA", "RGBA"])
def test_other_modes(tmp_path, mode):
    white = Image.new("RGB", (4, 3), "white")
    name = "image.jpg" if mode in ("CMYK", "YCbCr") else "image.png"
    path = save_image(tmp_path, white, name, mode)
    for channels in (1, 3):
        assert (read_picture(path, (channels, 3, 4)) == 255).all()


@pytest.mark.parametrize("mode, channels", [("1", 1), ("LA", 1), ("P", 3), ("RGBA", 3)])
def test_whether_an_image_is_grey(tmp_path, colours, mode, channels):
    assert read_shape(save_image(tmp_path, colours, mode=mode)) == (channels, 5, 7)


def test_sixteen_bits_keep_the_upper_eight(tmp_path, rng):
    pixels = rng.randint(0, 65536, (4, 6)).astype("uint16")
    path = save_image(tmp_path, pixels)
    assert read_shape(path) == (1, 4, 6)
    for channels in (1, 3):
        numpy.testing.assert_array_equal(read_picture(path, (channels, 4, 6)),
                                         [pixels // 256] * channels)


def test_floats_reach_from_dark_to_light(tmp_path):
    pixels = numpy.array([[-3.0, 7.0], [2.0, 7.0]], "float32")
    path = save_image(tmp_path, pixels, "image.tiff")
    assert read_picture(path, (1, 2, 2)).tolist() == [[[0, 255], [127, 255]]]


@pytest.mark.parametrize("value", [numpy.nan, numpy.inf])
def test_floats_without_a_range(tmp_path, value):
    path = save_image(tmp_path, numpy.array([[0.0, value]], "float32"), "image.tiff")
    with pytest.raises(ValueError, match="a pixel is NaN or infinite"):
        read_picture(path, (1, 1, 2))


def test_what_is_transparent_lies_on_white_paper(tmp_path):
    pixels = numpy.zeros((2, 2, 4), "uint8")
    pixels[0, 0, 3] = 255  # the only black pixel that is seen
    for channels in (1, 3):
        found = read_picture(save_image(tmp_path, pixels), (channels, 2, 2))
        assert found.tolist() == [[[0, 255], [255, 255]]] * channels


def test_a_transparent_colour_of_a_palette_is_white_too(tmp_path):
    image = Image.new("P", (2, 1), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    found = read_picture(save_image(tmp_path, image, transparency=1), (3, 1, 2))
    assert found.tolist() == [[[255, 255]], [[0, 255]], [[0, 255]]]  # red, and white


@pytest.mark.parametrize("name", ["image.png", "image.tiff"])
def test_a_photograph_that_lies_on_its_side_is_turned(tmp_path, colours, name):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise
    path = save_image(tmp_path, colours, name, exif=exif)
    assert read_shape(path) == (3, 7, 5)
    expected = numpy.rot90(colours, -1)
    numpy.testing.assert_array_equal(read_picture(path, (3, 7, 5)), expected.transpose(2, 0, 1))
    numpy.testing.assert_allclose(read_photograph(path), expected / 255)


def test_shrinking_takes_the_mean_of_what_shrinks(tmp_path):
    # Stripes one pixel wide become grey, not black or white as a pixel in four would be.
    stripes = numpy.zeros((64, 96), "uint8")
    stripes[:, ::2] = 255
    for name in ("image.png", "image.jpg"):
        found = read_picture(save_image(tmp_path, stripes, name), (1, 16, 24))
        assert found.shape == (1, 16, 24)
        numpy.testing.assert_allclose(found, 127.5, atol=10)


def test_growing_never_overshoots(tmp_path):
    edge = numpy.repeat([[100, 200]], 2, axis=0).astype("uint8")
    found = read_picture(save_image(tmp_path, edge), (1, 8, 12))
    assert found.min() == 100 and found.max() == 200
    assert (numpy.diff(found[0].astype(int), axis=1) >= 0).all()


def test_a_photograph_keeps_its_size(tmp_path, colours):
    photograph = read_photograph(save_image(tmp_path, colours))
    assert photograph.dtype == "float64"
    numpy.testing.assert_allclose(photograph, colours / 255)
    grey = read_photograph(save_image(tmp_path, colours[:, :, 0]))
    numpy.testing.assert_allclose(grey, numpy.stack([colours[:, :, 0]] * 3, axis=-1) / 255)


def test_without_a_path_there_is_a_photograph():
    photograph = read_photograph()
    assert photograph.shape == (600, 512, 3)
    assert photograph.min() >= 0 and 0.9 < photograph.max() <= 1


def test_photographs_that_are_refused(tmp_path):
    with pytest.raises(DataError, match="not found"):
        read_photograph(str(tmp_path / "none.png"))
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match="no image that Pillow can read"):
        read_photograph(str(tmp_path / "text.png"))
    with pytest.raises(DataError, match="cannot be read"):
        read_photograph(str(tmp_path))
    path = save_image(tmp_path, Image.effect_noise((64, 64), 50))
    content = (tmp_path / "image.png").read_bytes()
    (tmp_path / "half.png").write_bytes(content[:len(content) // 2])
    with pytest.raises(DataError, match="half.png: cannot be read"):
        read_photograph(str(tmp_path / "half.png"))
    with pytest.raises(DataError, match="an image of 64 x 64 pixels; expected at least 65 x 65"):
        read_photograph(path, least=65)


def test_a_picture_has_one_channel_or_three(tmp_path):
    Image.new("LA", (4, 4)).save(tmp_path / "grey.png")
    with pytest.raises(DataError, match="images of 2 channels, where a picture has 1 or 3"):
        read_picture(str(tmp_path / "grey.png"), (2, 4, 4))
