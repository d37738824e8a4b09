"""lenet.data.formats: what other programs write, told apart by its content, and damaged."""

import gzip
import os
import pickle
import shutil
import zipfile

import numpy
import pytest
import scipy.io
from conftest import REPOSITORY, idx_of, mutate
from PIL import Image

from lenet.data import (
    ChunkedDataset,
    ShuffledDataset,
    idx,
    load_arrays,
    load_data,
    open_arrays,
)
from lenet.data.lazy import LazyImages
from lenet.errors import DataError

WRITTEN = os.path.join(REPOSITORY, "tests", "data", "formats")


@pytest.fixture
def parts(rng):
    """24, 9 and 6 colour images of 5 x 4 pixels, channels last, in classes 0, 1, 2."""
    return {part: (rng.randint(0, 256, (n, 5, 4, 3)).astype("uint8"), numpy.arange(n) % 3)
            for part, n in (("train", 24), ("val", 9), ("test", 6))}


def write_keras(path, parts, compressed=False):
    save = numpy.savez_compressed if compressed else numpy.savez
    save(path, **{f"{what}_{part}": array for part in ("train", "test")
                  for what, array in zip("xy", parts[part])})
    return str(path)


def write_medmnist(path, parts, save=numpy.savez):
    save(path, **{f"{part}_{what}": array for part, (x, y) in parts.items()
                  for what, array in (("images", x), ("labels", y[:, None].astype("uint8")))})
    return str(path)


def write_svhn(folder, parts):
    """As SVHN's files: images along the last axis, classes 1 ... 10, where 10 is the digit 0."""
    os.makedirs(folder)
    for part in "train", "test":
        x, y = parts[part]
        scipy.io.savemat(os.path.join(folder, f"{part}_32x32.mat"),
                         {"X": numpy.moveaxis(x, 0, 3), "y": numpy.where(y == 0, 10, y)[:, None]},
                         do_compression=True)
    return str(folder)


def write_idx(folder, parts, prefix="", names=("train", "t10k"), compressed=False):
    os.makedirs(folder)
    for part, name in zip(("train", "test"), names):
        for array, what in zip(parts[part], ("images-idx3", "labels-idx1")):
            path = os.path.join(folder, f"{prefix}{name}-{what}-ubyte")
            with gzip.open(path + ".gz", "wb") if compressed else open(path, "wb") as file:
                file.write(idx_of(array))
    return str(folder)


def write_pictures(folder, n=4):
    for i in range(n):
        for name, value in (("cat", i), ("dog", 100 + i)):
            os.makedirs(os.path.join(folder, name), exist_ok=True)
            Image.new("RGB", (4, 5), (value, 0, 7)).save(os.path.join(folder, name, f"{i}.png"))
    return str(folder)


def in_rows(x):
    """Images with the channels last as rows, channel by channel."""
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1) if x.ndim == 4 else x.reshape(len(x), -1)


def check_set(found, x, y):
    numpy.testing.assert_array_equal(numpy.asarray(found[0]), in_rows(x))
    numpy.testing.assert_array_equal(found[1], y)


def check_held_back(sets, x, y):
    """The sets are parts of these images, and all of them."""
    rows = {row.tobytes(): label for row, label in zip(in_rows(x), y)}
    found = [(numpy.asarray(row).tobytes(), label) for a_set in sets for row, label in zip(*a_set)]
    assert sorted(found) == sorted(rows.items())
    assert set(sets[1][1]) == set(y)


# --- one format after another -----------------------------------------------------------------


@pytest.mark.parametrize("compressed", [False, True])
def test_an_archive_of_keras(tmp_path, parts, compressed):
    sets = open_arrays(write_keras(tmp_path / "any.name.npz", parts, compressed))
    assert (sets.image_shape, sets.class_names) == ((3, 5, 4), ["0", "1", "2"])
    assert isinstance(sets[0][0], LazyImages) != compressed
    check_held_back(sets[:2], *parts["train"])
    check_set(sets[2], *parts["test"])


@pytest.mark.parametrize("save", [numpy.savez, numpy.savez_compressed])
def test_an_archive_of_medmnist(tmp_path, parts, save):
    sets = open_arrays(write_medmnist(tmp_path / "pathmnist.npz", parts, save))
    for found, (x, y) in zip(sets, parts.values()):
        check_set(found, x, y)


def test_an_archive_that_would_run_code(tmp_path, parts):
    path = tmp_path / "code.npz"
    numpy.savez(path, x=parts["train"][0], y=numpy.array([None] * 24))
    check_refusal(path, "code.npz: y.npy is an array of objects; expected numbers")


def test_svhn(tmp_path, parts):
    x, _ = parts["train"]
    parts["test"] = x, numpy.arange(24) % 10
    parts["train"] = numpy.concatenate([x, x + 1]), numpy.arange(48) % 10
    sets = open_arrays(write_svhn(tmp_path / "svhn", parts))
    assert (sets.image_shape, sets.class_names) == ((3, 5, 4), list("0123456789"))
    check_held_back(sets[:2], *parts["train"])
    check_set(sets[2], *parts["test"])


def test_matlab_cells_and_rows_of_labels(tmp_path, parts):
    x, y = parts["train"]
    scipy.io.savemat(tmp_path / "some.mat", {
        "pixels": x[:, :, :, 0].reshape(24, 20), "labels": (y + 1)[None],
        "class_names": numpy.array(["a", "b", "c"], object)})
    sets = open_arrays(str(tmp_path / "some.mat"))
    assert sets.class_names == ["a", "b", "c"] and sets.image_shape == (1, 1, 20)
    assert sorted(numpy.concatenate([y for _, y in sets])) == sorted(y)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("inside", ["", "MNIST/raw"])
def test_idx_files(tmp_path, parts, compressed, inside):
    grey = {part: (x[..., 0], y) for part, (x, y) in parts.items()}
    write_idx(tmp_path / "set" / inside, grey, compressed=compressed)
    (tmp_path / "set" / "__MACOSX").mkdir()
    sets = open_arrays(str(tmp_path / "set"))
    assert sets.image_shape == (1, 5, 4) and isinstance(sets[0][0], LazyImages) != compressed
    check_held_back(sets[:2], *grey["train"])
    check_set(sets[2], *grey["test"])


def test_the_tutorials_split_of_sixty_thousand(tmp_path, parts, monkeypatch):
    monkeypatch.setattr(idx, "N_TRAINING", 24)
    monkeypatch.setattr(idx, "N_VALIDATION", 5)
    grey = {part: (x[..., 0], y) for part, (x, y) in parts.items()}
    sets = open_arrays(write_idx(tmp_path / "mnist", grey))
    x, y = grey["train"]
    check_set(sets[0], x[:19], y[:19])
    check_set(sets[1], x[19:], y[19:])


def test_emnist_stands_up_and_its_letters_have_names(tmp_path, parts):
    on_its_side = {part: (x[..., 0].transpose(0, 2, 1).repeat(2, axis=0), y.repeat(2) + 1)
                   for part, (x, y) in parts.items()}
    expected = parts["test"][0][..., 0].repeat(2, axis=0), parts["test"][1].repeat(2)
    folder = write_idx(tmp_path / "gzip", on_its_side, "emnist-letters-", ("train", "test"))
    sets = open_arrays(folder)
    assert sets.image_shape == (1, 5, 4) and sets.class_names[:3] == ["A", "B", "C"]
    check_set(sets[2], *expected)
    for name in os.listdir(folder):
        shutil.copy(os.path.join(folder, name),
                    os.path.join(folder, name.replace("letters", "balanced")))
    check_refusal(folder, "2 sets, emnist-letters-, emnist-balanced-; name one file")
    by_file = open_arrays(os.path.join(folder, "emnist-letters-train-images-idx3-ubyte"))
    check_set(by_file[2], *expected)
    os.unlink(os.path.join(folder, "emnist-letters-test-labels-idx1-ubyte"))
    check_refusal(os.path.join(folder, "emnist-letters-train-images-idx3-ubyte"),
                  "no file of labels beside emnist-letters-test-images-idx3-ubyte")


def written_by_pandas():
    return (numpy.random.RandomState(0).randint(0, 256, (30, 4, 4)).astype("uint8"),
            numpy.arange(30) % 10)


def test_a_table_of_kaggle(tmp_path):
    x, y = written_by_pandas()
    sets = open_arrays(os.path.join(WRITTEN, "pandas_train.csv"))
    assert sets.image_shape == (1, 4, 4)
    check_held_back(sets, x, y)
    check_refusal(os.path.join(WRITTEN, "pandas_test.csv"), "no labels", "pixel0")
    shutil.copy(os.path.join(WRITTEN, "pandas_index.csv.gz"), tmp_path / "test.csv.gz")
    shutil.copy(os.path.join(WRITTEN, "pandas_train.csv"), tmp_path / "train.csv")
    check_set(open_arrays(str(tmp_path))[2], x[:12], y[:12])  # the index is no pixel


def test_a_table_without_a_header_and_of_words(tmp_path):
    x, y = written_by_pandas()
    path = tmp_path / "t.csv"
    lines = ["cat dog emu".split()[label % 3] + "," + ",".join(map(str, row.ravel()))
             for row, label in zip(x, y)]
    path.write_text("\n".join(lines) + "\n\n")
    sets = open_arrays(str(path))
    assert sets.class_names == ["cat", "dog", "emu"]
    assert [len(y) for _, y in sets] == [24, 3, 3]
    for line, words in ((lines[0] + ",1", "line 31: 18 columns, where 17"),
                        (lines[0][:-1] + "x", "line 31: invalid literal"),
                        ("cat" + ",256" * 16, "line 31: bytes must be in range")):
        path.write_text("\n".join([*lines, line]))
        check_refusal(path, words)


@pytest.mark.parametrize("name, classes", [("cifar-10", ["airplane", "automobile"]),
                                           ("cifar-100", ["apple", "bear", "bee"])])
def test_cifar(tmp_path, name, classes):
    archive = os.path.join(WRITTEN, name + "-python.tar.gz")
    shutil.unpack_archive(archive, tmp_path)
    rng = numpy.random.RandomState(0)
    x = []  # as their script drew them
    for n in (6, 6, 4) if name == "cifar-10" else (6, 6, 4, 12, 6):
        x.append(rng.randint(0, 256, (n, 3072)).astype("uint8"))
        x[-1][:, 8:] = numpy.arange(n)[:, None]
    training = numpy.concatenate(x[:2]) if name == "cifar-10" else x[3]
    y = numpy.concatenate([numpy.arange(len(part)) % len(classes)
                           for part in (x[:2] if name == "cifar-10" else x[3:4])])
    for path in archive, str(tmp_path):
        sets = open_arrays(path)
        assert (sets.image_shape, sets.class_names) == ((3, 32, 32), classes)
        check_held_back(sets[:2], training, y)
        check_set(sets[2], x[-1], numpy.arange(len(x[-1])) % len(classes))


def test_cifars_binary_files(tmp_path, rng):
    x = rng.randint(0, 256, (8, 3072)).astype("uint8")
    coarse, fine = numpy.arange(8) // 4, numpy.arange(8) % 2
    rows = numpy.column_stack([coarse, fine, x]).astype("uint8")
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes(rows.tobytes())
    (tmp_path / "fine_label_names.txt").write_text("apple\nbear\n\n")
    sets = open_arrays(str(tmp_path))
    assert sets.class_names == ["apple", "bear"]
    check_set(sets[2], x, fine)
    (tmp_path / "train.bin").write_bytes(rows.tobytes()[:-1])
    check_refusal(tmp_path, "train.bin: damaged (cannot reshape array of size 24591")


def test_folders_of_pictures(tmp_path):
    sets = open_arrays(os.path.join(WRITTEN, "pictures"))  # training and test images
    assert (sets.class_names, sets.image_shape) == (["cat", "dog"], (3, 2, 2))
    assert [len(y) for _, y in sets] == [6, 2, 4] and sets.preparation == "resize"
    inside = tmp_path / "unpacked" / "pets"
    write_pictures(inside)
    (inside / "cat" / "empty.png").touch()
    (inside / "cat" / "._0.png").write_text("of macOS")
    (inside / "cat" / "Thumbs.db").write_text("of Windows")
    (inside / "__MACOSX").mkdir()
    (tmp_path / "unpacked" / ".DS_Store").write_text("of macOS")
    sets = open_arrays(str(tmp_path / "unpacked"))
    assert all(isinstance(x, LazyImages) for x, _ in sets)
    assert sorted((x[0], y) for a_set in sets for x, y in zip(*a_set)) == [
        *((i, 0) for i in range(4)), *((100 + i, 1) for i in range(4))]
    (inside / "cat" / "3.png").write_bytes(b"no picture")
    check_refusal(inside, "3.png: no image that Pillow can read", "images_to_pkl.py")
    (inside / "emu").mkdir()
    check_refusal(inside, "emu: no pictures; expected some")
    (inside / "emu").rmdir()
    (inside / "cat" / "3.png").unlink()
    (inside / "dog").rename(inside / "train")  # no folder of a part: it has pictures
    assert open_arrays(str(inside)).class_names == ["cat", "train"]
    shutil.rmtree(inside / "train")
    check_refusal(inside, "cannot be read as a dataset")


def test_a_pickle_of_images_that_are_no_rows(tmp_path, parts):
    sets = [(x / numpy.float32(256), y[:, None]) for x, y in parts.values()]
    with open(tmp_path / "images.pkl", "wb") as file:
        pickle.dump(sets, file, 2)
    found = load_arrays(str(tmp_path / "images.pkl"))
    assert found.image_shape == (3, 5, 4)
    for a_set, (x, y) in zip(found, parts.values()):
        check_set(a_set, x / numpy.float32(256), y)


# --- lazily -----------------------------------------------------------------------------------


def test_chunks_of_what_stays_on_the_disk(tmp_path, parts):
    for path in (write_keras(tmp_path / "k.npz", parts), write_pictures(tmp_path / "pets", 12)):
        megabytes = 2 * 4 * 4 * 61 / 2 ** 20  # two chunks of four images and labels
        whole = load_arrays(path)
        for source in (ChunkedDataset, lambda *of: ShuffledDataset(ChunkedDataset(*of))):
            sets = load_data(source(path, megabytes))
            order = numpy.arange(len(whole[0][1]))
            if source is not ChunkedDataset:
                order = order[::-1]
                sets[0].set_order(order)
            for a_set, (x, y), rows in zip(sets, whole, (order, slice(None), slice(None))):
                read = [a_set.read(start, 4, numpy.empty(4 * 61, x.dtype))
                        for start in range(0, len(y), 4)]
                numpy.testing.assert_array_equal(numpy.concatenate([x for x, _ in read]), x[rows])
                numpy.testing.assert_array_equal(numpy.concatenate([y for _, y in read]), y[rows])


# --- what is refused ----------------------------------------------------------------------------


def check_refusal(path, *words):
    with pytest.raises(DataError) as error:
        load_arrays(str(path))
    line = str(error.value)
    assert "\n" not in line
    for word in words:
        assert word in line
    return line


def test_files_that_are_no_datasets(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as file:
        file.writestr("cat/1.png", b"picture")
    check_refusal(tmp_path / "photos.zip", "without arrays", "unpack pictures")
    (tmp_path / "hdf5.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + bytes(99))
    check_refusal(tmp_path / "hdf5.mat", "save it with -v7")
    numpy.savez(tmp_path / "x.npz", x=numpy.zeros((5, 4)))
    check_refusal(tmp_path / "x.npz", "found x (5, 4)", "x_train and y_train")
    numpy.savez(tmp_path / "t.npz", x_test=numpy.zeros((5, 4)), y_test=numpy.zeros(5))
    check_refusal(tmp_path / "t.npz", "no training images, only test")


def test_mutated_files_are_refused_or_read(tmp_path, parts, rng, limited_memory):
    grey = {part: (x[..., 0], y) for part, (x, y) in parts.items()}
    with open(os.path.join(WRITTEN, "pandas_train.csv"), "rb") as file:
        (tmp_path / "a.csv").write_bytes(file.read())
    shutil.unpack_archive(os.path.join(WRITTEN, "cifar-10-python.tar.gz"), tmp_path)
    shutil.copy(os.path.join(WRITTEN, "cifar-100-python.tar.gz"), tmp_path / "c.tar.gz")
    svhn = write_svhn(tmp_path / "svhn", parts)
    mnist = write_idx(tmp_path / "mnist", grey)
    emnist = write_idx(tmp_path / "emnist", grey, "emnist-letters-", compressed=True)
    cifar, pets = str(tmp_path / "cifar-10-batches-py"), write_pictures(tmp_path / "pets")
    damaged = [(path, path) for path in (
        write_keras(tmp_path / "k.npz", parts), write_keras(tmp_path / "c.npz", parts, True),
        str(tmp_path / "a.csv"), str(tmp_path / "c.tar.gz"))]
    damaged += [(folder, os.path.join(folder, name)) for folder in (svhn, mnist, emnist, cifar)
                for name in sorted(os.listdir(folder))]
    damaged += [(pets, os.path.join(pets, "dog", "1.png"))]
    n_refused = 0
    for i in range(40 * len(damaged)):
        path, name = damaged[i % len(damaged)]
        with open(name, "rb") as file:
            content = file.read()
        with open(name, "wb") as file:
            file.write(mutate(content, rng))
        try:
            found = load_arrays(path)
            assert len(found) == 3 and all(numpy.isfinite(x).all() for x, _ in found)
            assert max(y.max() for _, y in found) < len(found.class_names)
        except DataError as error:
            n_refused += 1
            assert "\n" not in str(error) and path in str(error)
        finally:
            with open(name, "wb") as file:
                file.write(content)
    assert n_refused > 10 * len(damaged)
