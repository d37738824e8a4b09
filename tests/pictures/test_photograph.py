"""lenet.pictures.photograph: every kind of image becomes red, green and blue from 0 to 1."""

import numpy
import pytest
from PIL import Image

from lenet.errors import DataError
from lenet.pictures.photograph import read_photograph


def written(tmp_path, image, name="image.png", **options):
    image.save(tmp_path / name, **options)
    return str(tmp_path / name)


def test_colour(rng, tmp_path):
    pixels = rng.randint(0, 256, (5, 4, 3)).astype("uint8")
    photograph = read_photograph(written(tmp_path, Image.fromarray(pixels)))
    assert photograph.dtype == "float64"
    numpy.testing.assert_allclose(photograph, pixels / 255)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_other_modes(mode, tmp_path):
    image = Image.new("RGB", (4, 5), "white").convert(mode)
    name = "image.tif" if mode == "CMYK" else "image.png"
    numpy.testing.assert_allclose(read_photograph(written(tmp_path, image, name)), 1)


def test_grey_is_the_same_in_each_colour(rng, tmp_path):
    pixels = rng.randint(0, 256, (5, 4)).astype("uint8")
    photograph = read_photograph(written(tmp_path, Image.fromarray(pixels)))
    for colour in range(3):
        numpy.testing.assert_allclose(photograph[:, :, colour], pixels / 255)


def test_transparent_pixels_are_white(tmp_path):
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 0, 0, 0))
    photograph = read_photograph(written(tmp_path, image))
    numpy.testing.assert_allclose(photograph, [[[1, 0, 0], [1, 1, 1]]])


def test_a_transparent_palette_is_white_too(tmp_path):
    image = Image.new("P", (2, 1), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    photograph = read_photograph(written(tmp_path, image, transparency=1))
    numpy.testing.assert_allclose(photograph, [[[1, 0, 0], [1, 1, 1]]])


def test_16_bits_of_grey(tmp_path):
    image = Image.fromarray(numpy.array([[0, 255], [256, 65535]], dtype="uint16"))
    expected = numpy.array([[0, 0], [1 / 255, 1]])  # the upper 8 bits
    photograph = read_photograph(written(tmp_path, image))
    for colour in range(3):
        numpy.testing.assert_allclose(photograph[:, :, colour], expected)


def test_a_camera_held_upright(tmp_path):
    image = Image.new("RGB", (6, 4))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to see it upright
    photograph = read_photograph(written(tmp_path, image, exif=exif))
    assert photograph.shape == (6, 4, 3)
    assert (photograph[0, 3] == 1).all() and photograph.sum() == 3


def test_without_a_path_there_is_a_photograph():
    photograph = read_photograph()
    assert photograph.shape == (600, 512, 3)
    assert photograph.min() >= 0 and 0.9 < photograph.max() <= 1


def test_files_that_are_refused(tmp_path):
    with pytest.raises(DataError, match="not found"):
        read_photograph(str(tmp_path / "none.png"))
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match="no image that Pillow can read"):
        read_photograph(str(tmp_path / "text.png"))
    with pytest.raises(DataError, match="cannot be read"):
        read_photograph(str(tmp_path))
    path = written(tmp_path, Image.effect_noise((64, 64), 50))
    content = open(path, "rb").read()
    (tmp_path / "half.png").write_bytes(content[:len(content) // 2])
    with pytest.raises(DataError, match="half.png: cannot be read"):
        read_photograph(str(tmp_path / "half.png"))
    with pytest.raises(DataError, match="an image of 64 x 64 pixels; expected at least 65 x 65"):
        read_photograph(path, least=65)
