"""lenet.images.image_folder: from folders of images to datasets."""

import gzip
import os
import pickle
import types
import weakref

import numpy
import pytest
from conftest import run_python
from PIL import Image, ImageDraw, ImageFont

from lenet.data import array_folder, load_arrays, open_arrays
from lenet.errors import DataError, UsageError
from lenet.images import image_folder
from lenet.images.image_folder import build


def write_images(folder, counts, size=(4, 4), colour=False, first=0):
    """Write images whose pixels are all alike and all different between images: their numbers."""
    number = first
    for name, count in counts.items():
        os.makedirs(os.path.join(folder, name), exist_ok=True)
        for i in range(count):
            value = (number, 255 - number, 7) if colour else number
            Image.new("RGB" if colour else "L", size[::-1], value).save(
                os.path.join(folder, name, f"{i}.png"))
            number += 1
    return str(folder)


@pytest.fixture
def digits(tmp_path):
    """30 images of class "2", 20 of "10" and 10 of "ten"; 0 ... 29, 30 ... 49 and 50 ... 59."""
    return write_images(tmp_path / "digits", {"2": 30, "10": 20, "ten": 10})


def read_numbers(a_set):
    """The numbers of the images of a set, in order."""
    x, _ = a_set
    bytes_x = x * 256
    assert (bytes_x == bytes_x[:, :1]).all()
    return bytes_x[:, 0].astype(int).tolist()


def label_of(number):
    return int(number >= 30) + int(number >= 50)


@pytest.mark.parametrize("output", ["out.pkl.gz", "out.pkl", "out"])
def test_a_tenth_of_each_class_is_for_validation_and_another_for_testing(digits, tmp_path, output):
    output = str(tmp_path / output)
    report = build(digits, output)
    assert report.class_names == ["2", "10", "ten"]  # numbers as numbers, then words
    assert report.image_shape == (1, 4, 4)
    assert report.n_images == [48, 6, 6] and report.skipped == []
    sets = load_arrays(output)
    assert sets.class_names == ["2", "10", "ten"]
    assert (sets.image_shape, sets.preparation) == ((1, 4, 4), "resize")
    training, validation, test = (read_numbers(a_set) for a_set in sets)
    assert sorted(training + validation + test) == list(range(60))
    for held_back in validation, test:
        assert sorted(map(label_of, held_back)) == [0, 0, 0, 1, 1, 2]
    for x, y in sets:
        assert y.tolist() == [label_of(number) for number in read_numbers((x, y))]
    # Mixed: the classes of neighbours differ more often than twice.
    assert (numpy.diff(sets[0][1]) != 0).sum() > 10
    assert not [name for name in os.listdir(tmp_path) if name not in ("digits",
                                                                      os.path.basename(output))]


def test_the_seed_decides_split_and_order(digits, tmp_path):
    def build_digits(seed):
        build(digits, str(tmp_path / "out"), seed=seed)
        return [read_numbers(a_set) for a_set in load_arrays(str(tmp_path / "out"))]

    first, again, other = build_digits(1), build_digits(1), build_digits(2)
    assert first == again
    assert first[0] != other[0] and sorted(first[1]) != sorted(other[1])


def test_both_formats_hold_the_same(digits, tmp_path):
    for name in ("out", "out.pkl.gz", "out.pkl"):
        build(digits, str(tmp_path / name))
    folder, pickled, plain = (load_arrays(str(tmp_path / name))
                              for name in ("out", "out.pkl.gz", "out.pkl"))
    for pairs in zip(folder, pickled, plain):
        for arrays in zip(*pairs):
            assert arrays[0].dtype == arrays[1].dtype
            numpy.testing.assert_array_equal(arrays[0], arrays[1])
            numpy.testing.assert_array_equal(arrays[0], arrays[2])
    assert (gzip.decompress((tmp_path / "out.pkl.gz").read_bytes())
            == (tmp_path / "out.pkl").read_bytes())


def test_sets_of_their_own(digits, tmp_path):
    validation = write_images(tmp_path / "validation", {"ten": 2, "2": 1}, first=100)
    test = write_images(tmp_path / "test", {"10": 4, "ten": 1}, first=200)
    report = build(digits, str(tmp_path / "out"), validation=validation, test=test)
    sets = load_arrays(str(tmp_path / "out"))
    assert report.n_images == [60, 3, 5]
    assert [sorted(read_numbers(a_set)) for a_set in sets] == [
        list(range(60)), [100, 101, 102], list(range(200, 205))]
    assert dict(zip(read_numbers(sets[1]), sets[1][1])) == {100: 2, 101: 2, 102: 0}
    assert dict(zip(read_numbers(sets[2]), sets[2][1])) == {200: 1, 201: 1, 202: 1, 203: 1, 204: 2}


def test_the_order_of_the_names_goes_through_all_classes(tmp_path):
    for number, (name, file) in enumerate([("a", "9"), ("b", "10"), ("a", "100"), ("b", "101")]):
        os.makedirs(tmp_path / "images" / name, exist_ok=True)
        Image.new("L", (3, 3), number).save(tmp_path / "images" / name / (file + ".png"))
    images = str(tmp_path / "images")
    build(images, str(tmp_path / "out"), validation=images, test=images, order="name")
    for a_set in load_arrays(str(tmp_path / "out")):
        assert read_numbers(a_set) == [0, 1, 2, 3] and a_set[1].tolist() == [0, 1, 0, 1]


def test_numbered_classes_of_grey_squares_are_the_tutorials_pickle(tmp_path):
    images = write_images(tmp_path / "images", {str(i): 3 for i in range(11)}, size=(28, 28))
    build(images, str(tmp_path / "out.pkl.gz"))
    with gzip.open(tmp_path / "out.pkl.gz") as file:
        train_set, valid_set, test_set = pickle.load(file)
    assert train_set[0].shape == (11, 784) and train_set[0].dtype == "float32"
    assert sorted(train_set[1]) == list(range(11)) == sorted(valid_set[1])
    build(images, str(tmp_path / "out"))
    for name in ("out", "out.pkl.gz"):
        sets = open_arrays(str(tmp_path / name))
        assert sets.class_names == [str(i) for i in range(11)]
        assert (sets.image_shape, sets.preparation) == ((1, 28, 28), "resize")


@pytest.mark.parametrize("output", ["out.pkl.gz", "out"])
@pytest.mark.parametrize("names", ["56", ["five", "six"]])
@pytest.mark.parametrize("ink, preparation", [("light", "digit"), ("dark", "resize")])
def test_new_pictures_are_centred_as_digits_if_the_dataset_holds_such(
        tmp_path, mnist_arrays, output, names, ink, preparation):
    x, y = mnist_arrays[0]
    for label, name in zip((5, 6), names):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number, row in enumerate(x[y == label][:20]):
            pixels = (row.reshape(28, 28) * 256).astype("uint8")
            Image.fromarray(pixels if ink == "light" else 255 - pixels).save(
                tmp_path / "images" / name / (f"{number}.png"))
    build(str(tmp_path / "images"), str(tmp_path / output))
    assert open_arrays(str(tmp_path / output)).preparation == preparation


@pytest.mark.parametrize("output", ["out.pkl.gz", "out"])
def test_colour_rectangles(tmp_path, output):
    images = write_images(tmp_path / "images", {"näh": 4, "fern": 4}, size=(2, 5), colour=True)
    build(images, str(tmp_path / output))
    sets = load_arrays(str(tmp_path / output))
    assert sets.image_shape == (3, 2, 5) and sets.class_names == ["fern", "näh"]
    x, y = sets[0]
    assert x.shape == (4, 30)
    for row, label in zip(x.reshape(4, 3, 10) * 256, y):
        number = row[0, 0]
        assert (row == [[number], [255 - number], [7]]).all()
        assert label == int(number < 4)


def test_size_and_colour_can_be_chosen(tmp_path):
    images = write_images(tmp_path / "images", {"a": 3, "b": 3}, size=(8, 6), colour=True)
    for options, expected in (({}, (3, 8, 6)), ({"channels": 1}, (1, 8, 6)),
                              ({"size": (3, 9)}, (3, 3, 9)),
                              ({"size": (3, 9), "channels": 1}, (1, 3, 9))):
        assert build(images, str(tmp_path / "out"), **options).image_shape == expected
        sets = open_arrays(str(tmp_path / "out"))
        assert sets.image_shape == expected
        assert sets[0][0].dtype == "uint8" and isinstance(sets[0][0], numpy.memmap)


@pytest.mark.parametrize("sizes, expected", [
    ([(4, 6)] * 3 + [(200, 9)], (4, 6)),            # one odd image decides nothing
    ([(32, 20)] * 4, (32, 20)),                     # small enough as they are
    ([(146, 122)] * 3 + [(10, 10)], (32, 27)),      # 122 * 32 / 146 = 26.7
    ([(100, 400)] * 4, (16, 32)),                   # 8 rows would be too few for LeNet-5
])
def test_the_size_is_that_of_most_images_reduced(tmp_path, sizes, expected):
    for number, size in enumerate(sizes):
        write_images(tmp_path / "images", {f"{number}": 3}, size=size, first=3 * number)
    report = build(str(tmp_path / "images"), str(tmp_path / "out"))
    assert report.image_shape == (1,) + expected
    assert report.median_size == sorted(sizes)[2 if sizes[0] == (146, 122) else 1]
    assert build(str(tmp_path / "images"), str(tmp_path / "out"), size=(9, 8)).median_size is None


@pytest.mark.parametrize("n_colour, channels", [(1, 1), (2, 3), (4, 3)])
def test_most_images_decide_on_the_colours(tmp_path, n_colour, channels):
    for number in range(4):
        write_images(tmp_path / "images", {f"{number}": 3}, colour=number < n_colour)
    assert build(str(tmp_path / "images"), str(tmp_path / "out")).image_shape[0] == channels


@pytest.mark.parametrize("output", ["out.pkl.gz", "out"])
def test_characters_are_brought_into_the_format_of_mnist(tmp_path, output):
    for name, text in (("0", "A"), ("1", "B")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(4):
            page = Image.new("RGB", (60, 80), "white")
            draw = ImageDraw.Draw(page)
            draw.text((5 + 10 * number, 30), text, "navy", ImageFont.load_default())
            page.save(tmp_path / "images" / name / f"{number}.png")
    Image.new("L", (30, 30), 255).save(tmp_path / "images" / "0" / "blank.png")
    report = build(str(tmp_path / "images"), str(tmp_path / output), digit=True)
    assert [os.path.basename(path) for path, _ in report.skipped] == ["blank.png"]
    assert "nothing stands out" in report.skipped[0][1]
    sets = open_arrays(str(tmp_path / output))
    assert (sets.image_shape, sets.preparation) == ((1, 28, 28), "digit")
    x = load_arrays(str(tmp_path / output))[0][0].reshape(-1, 28, 28)
    assert len(x) == 4
    for image in x:
        inked = numpy.argwhere(image > 0)
        assert max(inked.max(axis=0) - inked.min(axis=0)) + 1 == 20  # light ink in a box
        rows, columns = numpy.indices((28, 28))
        for place in (rows, columns):
            # Half a pixel, and greys that are rounded afterwards.
            assert (place * image).sum() / image.sum() == pytest.approx(14, abs=0.51)


def test_at_most_so_many_of_each_class(digits, tmp_path):
    report = build(digits, str(tmp_path / "out"), limit=12, test=digits)
    assert report.n_images == [31, 3, 34]  # 12 + 12 + 10, one of each for validation
    assert (numpy.bincount(load_arrays(str(tmp_path / "out"))[2][1]) == [12, 12, 10]).all()


def test_files_that_are_no_images_are_skipped_and_told(digits, tmp_path, monkeypatch):
    text, cut = os.path.join(digits, "2", "a.txt"), os.path.join(digits, "ten", "0.png")
    gone, nest = os.path.join(digits, "10", "3.png"), os.path.join(digits, "10", "folder")
    with open(text, "w") as file:
        file.write("no image")
    with open(cut, "r+b") as file:
        file.truncate(50)
    os.mkdir(nest)
    open(os.path.join(digits, "2", ".hidden"), "w").close()
    read = image_folder.read_picture

    def read_or_lose(path, image_shape):
        if path == gone:
            os.unlink(path)
        return read(path, image_shape)

    monkeypatch.setattr(image_folder, "read_picture", read_or_lose)
    report = build(digits, str(tmp_path / "out"), validation=digits, test=digits)
    skipped = dict(report.skipped)
    assert set(skipped) == {text, cut, gone, nest}
    assert skipped[text] == "no image that Pillow can read"
    assert skipped[gone] == "vanished"
    assert "\n" not in skipped[cut]
    training = read_numbers(load_arrays(str(tmp_path / "out"))[0])
    assert sorted(training) == sorted(set(range(60)) - {50, 33})
    with pytest.raises(DataError, match="; remove it, or leave out --strict"):
        build(digits, str(tmp_path / "strict"), strict=True)
    assert not os.path.exists(tmp_path / "strict")


def test_few_images_are_in_memory_at_once(tmp_path, monkeypatch):
    images = write_images(tmp_path / "images", {"a": 60, "b": 60})
    alive, most = weakref.WeakSet(), []
    read = image_folder.read_picture

    class Pixels(numpy.ndarray):
        __hash__ = object.__hash__

    def count_images(path, image_shape):
        pixels = read(path, image_shape).view(Pixels)
        alive.add(pixels)
        most.append(len(alive))
        return pixels

    monkeypatch.setattr(image_folder, "read_picture", count_images)
    monkeypatch.setattr(image_folder, "IMAGES_AT_ONCE", 5)
    build(images, str(tmp_path / "out.pkl.gz"))
    assert len(most) == 120 and max(most) <= 3 * 5


def test_memory_does_not_grow_with_the_pickle(tmp_path):
    images = write_images(tmp_path / "images", {"a": 50, "b": 50}, size=(256, 256), colour=True)
    code = (
        "import resource, sys\n"
        "from lenet.images import image_folder\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "image_folder.IMAGES_AT_ONCE = 4\n"
        "image_folder.build(*sys.argv[1:], size=(256, 256))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    process = run_python("-c", code, images, tmp_path / "out.pkl")
    assert os.path.getsize(tmp_path / "out.pkl") > 75e6
    assert int(process.stdout) * 1024 < 40e6


def test_gzip_gets_a_large_array_in_pieces():
    pieces = []
    file = types.SimpleNamespace(write=lambda piece: pieces.append(bytes(piece)))
    content = os.urandom(2 ** 21 + 5)
    image_folder.PieceWriter(file).write(pickle.PickleBuffer(content))
    assert b"".join(pieces) == content and max(map(len, pieces)) <= 2 ** 20


# --- what is refused ------------------------------------------------------------------------


def check_refusal(source, output, *words, error=DataError, **options):
    with pytest.raises(error) as raised:
        build(str(source), str(output), **options)
    line = str(raised.value)
    assert "\n" not in line
    for word in words:
        assert word in line


@pytest.mark.parametrize("output", ["out.pkl.gz", "out"])
def test_folders_that_make_no_dataset(tmp_path, output):
    before = tmp_path / output
    output = tmp_path / output
    check_refusal(tmp_path / "none", output, "none: cannot be read")
    images = tmp_path / "images"
    images.mkdir()
    check_refusal(images, output, "images: no subfolders")
    Image.new("L", (2, 2)).save(images / "image.png")
    check_refusal(images, output, "images: no subfolders")
    (images / "a").mkdir()
    check_refusal(images, output, "one class only, a")
    (images / "b").mkdir()
    check_refusal(images, output, "no files in its subfolders")
    for name in "ab":
        (images / name / "text").write_text("no image")
    check_refusal(images, output, "no image among its 2 files")
    check_refusal(images, output, "expected at least 3", size=(2, 2), channels=1)
    write_images(images, {"a": 3})
    check_refusal(images, output, "class b: 1 images; expected at least 3")
    (images / "b" / "more").write_text("no image")
    check_refusal(images, output, "b: no image that can be read for training",
                  validation=str(images), test=str(images))
    write_images(images, {"b": 3})
    strange = write_images(tmp_path / "strange", {"a": 1, "c": 1})
    check_refusal(images, output, "strange: class c, which the training folder lacks", test=strange)
    unread = tmp_path / "unread"
    (unread / "b").mkdir(parents=True)
    (unread / "b" / "text").write_text("no image")
    check_refusal(images, output, "unread: no image that can be read among 1 files",
                  test=str(unread))
    (images / "line\nbreak").mkdir()
    check_refusal(images, output, "'line\\nbreak'; rename it")
    assert not before.exists()
    assert sorted(os.listdir(tmp_path)) == ["images", "strange", "unread"]


@pytest.mark.parametrize(
    "options, words",
    [({"size": (0, 5)}, "size 0 x 5"), ({"limit": 1}, "limit 1"), ({"order": "any"}, "order any")],
)
def test_options_that_cannot_work(digits, tmp_path, options, words):
    check_refusal(digits, tmp_path / "out", words, error=UsageError, **options)


def test_outputs_that_cannot_be(digits, tmp_path):
    check_refusal(digits, tmp_path / "none" / "out", "cannot be written")
    check_refusal(digits, tmp_path / "none" / "out.pkl.gz", "cannot be written")
    check_refusal(digits, os.path.join(digits, "out"), "would become a class")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photograph.jpg").write_text("mine")
    check_refusal(digits, tmp_path / "mine", "something else already (photograph.jpg)")
    (tmp_path / "mine.pkl.gz").mkdir()
    check_refusal(digits, tmp_path / "mine.pkl.gz", "a folder")


@pytest.mark.parametrize("output", ["out.pkl.gz", "out"])
def test_a_failure_in_the_middle_leaves_the_old_dataset(digits, tmp_path, monkeypatch, output):
    output = tmp_path / output
    build(digits, str(output), seed=1)
    old = [read_numbers(a_set) for a_set in load_arrays(str(output))]
    build(digits, str(output), seed=2)  # a dataset is replaced by a dataset
    new = [read_numbers(a_set) for a_set in load_arrays(str(output))]
    assert old != new

    def fail_when_full(self, row):
        if self.n_rows == 20:
            raise OSError(28, "No space left on device")
        append(self, row)

    append = array_folder.ArrayWriter.append
    monkeypatch.setattr(array_folder.ArrayWriter, "append", fail_when_full)
    check_refusal(digits, output, "cannot be written (No space left on device)")
    assert [read_numbers(a_set) for a_set in load_arrays(str(output))] == new
    assert sorted(os.listdir(tmp_path)) == sorted(["digits", output.name])
