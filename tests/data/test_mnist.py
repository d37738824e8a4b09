"""lenet.data.mnist: the dataset in the repository, and how it is built and fetched."""

import gzip
import hashlib
import os
import resource

import numpy
import pytest
from conftest import assert_refused, idx_of, serve_folder

from lenet.data import formats, idx, loading, mnist
from lenet.errors import DataError


def images(x):
    return numpy.rint(x.reshape(-1, 28, 28) * 256)


def test_the_repositorys_mnist_is_the_original(mnist_arrays):
    """Put together again, the sets give the original files, to the last bit."""
    (train_x, train_y), (valid_x, valid_y), (test_x, test_y) = mnist_arrays
    assert [len(y) for y in (train_y, valid_y, test_y)] == [50000, 10000, 10000]
    assert max(x.max() for x in (train_x, valid_x, test_x)) == 255 / 256
    originals = {
        "train-images-idx3-ubyte": images(numpy.concatenate([train_x, valid_x])),
        "train-labels-idx1-ubyte": numpy.concatenate([train_y, valid_y]),
        "t10k-images-idx3-ubyte": images(test_x),
        "t10k-labels-idx1-ubyte": test_y,
    }
    for name, array in originals.items():
        assert hashlib.sha256(idx_of(array)).hexdigest() == mnist.FILES[name][0]
    assert train_y[8] == 1  # the digit that the tutorials draw


def test_the_repositorys_mnist_has_the_types_that_we_write():
    for x, y in formats.read_pickle(loading.find_dataset("mnist.pkl.gz")):
        assert (x.dtype, y.dtype) == ("float32", "int64")


@pytest.fixture
def originals(tmp_path, monkeypatch, rng):
    """A folder with four small files, and their checksums in the place of the original ones."""
    folder = tmp_path / "original"
    folder.mkdir()
    files = {}
    monkeypatch.setattr(idx, "N_VALIDATION", 2)
    for name in mnist.FILES:
        n = 6 if name.startswith("train") else 3
        shape = (n, 28, 28) if "images" in name else (n,)
        content = idx_of(rng.randint(0, 256 if "images" in name else 10, shape))
        compressed = gzip.compress(content)
        (folder / (name + ".gz")).write_bytes(compressed)
        files[name] = (hashlib.sha256(content).hexdigest(), hashlib.md5(compressed).hexdigest())
    monkeypatch.setattr(mnist, "FILES", files)
    return folder


def test_build(originals, tmp_path):
    outputs = [str(tmp_path / name) for name in ("a.pkl.gz", "b.pkl.gz")]
    for output in outputs:
        mnist.build(str(originals), output)
    with open(outputs[0], "rb") as a, open(outputs[1], "rb") as b:
        assert a.read() == b.read()
    sets = formats.read_pickle(outputs[0])
    assert [x.shape for x, _ in sets] == [(4, 784), (2, 784), (3, 784)]
    assert {(str(x.dtype), str(y.dtype)) for x, y in sets} == {("float32", "int64")}
    with gzip.open(originals / "train-images-idx3-ubyte.gz") as file:
        pixels = numpy.frombuffer(file.read()[16:], "uint8").reshape(6, 784)
    numpy.testing.assert_array_equal(sets[1][0], pixels[4:] / numpy.float32(256))


def test_build_from_files_that_are_not_compressed(originals, tmp_path):
    mnist.build(str(originals), str(tmp_path / "a.pkl.gz"))
    for name in mnist.FILES:
        path = originals / (name + ".gz")
        (originals / name).write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    mnist.build(str(originals), str(tmp_path / "b.pkl.gz"))
    assert (tmp_path / "a.pkl.gz").read_bytes() == (tmp_path / "b.pkl.gz").read_bytes()


def test_build_refuses_another_file_and_a_missing_one(originals, tmp_path):
    output = tmp_path / "out.pkl.gz"
    path = originals / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx_of(numpy.zeros(3))))
    with pytest.raises(DataError, match="not the original file"):
        mnist.build(str(originals), str(output))
    path.unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte: cannot be read"):
        mnist.build(str(originals), str(output))
    assert not output.exists()


def test_the_command_into_a_folder_that_is_not_there(originals, script, tmp_path):
    process = script("make_mnist_pkl.py", originals, tmp_path / "none" / "out.pkl.gz")
    assert_refused(process, 1, "out.pkl.gz: cannot be written")


def test_the_command_on_a_full_disk(originals, script, tmp_path):
    """A limit of the size of a file stands for the end of the disk."""
    output = tmp_path / "out.pkl.gz"
    output.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        process = script("make_mnist_pkl.py", originals, output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_refused(process, 1, "make_mnist_pkl.py: ", "out.pkl.gz: cannot be written")
    assert output.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["original", "out.pkl.gz"]


@pytest.fixture
def server(originals, monkeypatch):
    """A mirror on this machine, behind one that does not answer."""
    with serve_folder(originals) as mirror:
        monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/", mirror))
        yield mirror


def test_fetch_goes_on_to_the_next_mirror(server, originals, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    mnist.fetch(str(cache / "mnist.pkl.gz"))
    assert os.listdir(cache) == ["mnist.pkl.gz"]
    mnist.build(str(originals), str(tmp_path / "a.pkl.gz"))
    assert (cache / "mnist.pkl.gz").read_bytes() == (tmp_path / "a.pkl.gz").read_bytes()


def test_fetch_goes_on_with_what_arrived_before(server, originals, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    last = originals / "t10k-labels-idx1-ubyte.gz"
    content = last.read_bytes()
    last.unlink()
    with pytest.raises(DataError):
        mnist.fetch(str(cache / "mnist.pkl.gz"))
    assert len(os.listdir(cache)) == 3
    for path in originals.iterdir():
        path.unlink()
    last.write_bytes(content)
    mnist.fetch(str(cache / "mnist.pkl.gz"))
    assert os.listdir(cache) == ["mnist.pkl.gz"]


def test_a_download_that_was_changed_is_refused(server, originals, tmp_path):
    (originals / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(DataError, match="cannot be fetched"):
        mnist.fetch(str(tmp_path / "mnist.pkl.gz"))
    assert not (tmp_path / "mnist.pkl.gz").exists()


def test_offline_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/",))
    with pytest.raises(DataError) as error:
        mnist.fetch(str(tmp_path / "mnist.pkl.gz"))
    assert "\n" not in str(error.value) and "copy it from the repository" in str(error.value)
