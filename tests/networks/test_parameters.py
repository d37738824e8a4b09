"""lenet.networks.parameters: what is read is what was written, and nothing else is accepted."""

import pickle
import struct

import numpy
import pytest
import safetensors.numpy
import theano

from lenet.errors import DataError
from lenet.networks import parameters

METADATA = {"network": "small"}


def make_shared(rng):
    return {"layer0.w": theano.shared(rng.randn(3, 2).astype("float32")),
            "layer0.b": theano.shared(rng.randn(2).astype("float32"))}


def get_values(params):
    return {name: param.get_value() for name, param in params.items()}


@pytest.fixture
def saved_file(rng, tmp_path):
    """(parameters, path of the file that has them)"""
    params = make_shared(rng)
    path = str(tmp_path / "network.safetensors")
    parameters.write(path, parameters.values(params), METADATA)
    return params, path


def test_what_was_saved_is_loaded_to_the_last_bit(saved_file, rng):
    params, path = saved_file
    loaded = make_shared(rng)
    arrays, metadata = parameters.read(path)
    parameters.fill(loaded, arrays, path)
    assert metadata == METADATA
    for name, value in get_values(params).items():
        assert loaded[name].get_value().tobytes() == value.tobytes()


def test_the_same_parameters_make_the_same_file(saved_file, tmp_path):
    params, path = saved_file
    parameters.write(str(tmp_path / "again"), get_values(params), METADATA)
    assert (tmp_path / "again").read_bytes() == open(path, "rb").read()


def test_other_programs_can_read_it(saved_file):
    params, path = saved_file
    arrays = safetensors.numpy.load_file(path)
    numpy.testing.assert_array_equal(arrays["layer0.w"], params["layer0.w"].get_value())


def check_refusal(path, rng, match):
    """Loading is refused, in one line that names the file, and changes no parameter."""
    params = make_shared(rng)
    before = get_values(params)
    with pytest.raises(DataError, match=match) as error:
        parameters.fill(params, parameters.read(path)[0], path)
    assert path in str(error.value)
    for name, value in before.items():
        numpy.testing.assert_array_equal(params[name].get_value(), value)


def test_a_missing_file(rng, tmp_path):
    check_refusal(str(tmp_path / "none"), rng, "not found")


def test_a_folder(rng, tmp_path):
    check_refusal(str(tmp_path), rng, "cannot be read|no intact file")


@pytest.mark.parametrize("content", [
    b"", b"short", pickle.dumps({"layer0.w": 1}), b"\x89PNG\r\n\x1a\n" + bytes(100),
    struct.pack("<Q", 2 ** 60) + b"{}", struct.pack("<Q", 2) + b"{]",
])
def test_a_file_of_another_kind(content, rng, tmp_path):
    (tmp_path / "other").write_bytes(content)
    check_refusal(str(tmp_path / "other"), rng, "no intact file of parameters")


@pytest.mark.parametrize("length", [4, 60, -1])
def test_a_truncated_file(length, saved_file, rng, tmp_path):
    content = open(saved_file[1], "rb").read()
    (tmp_path / "part").write_bytes(content[:length])
    check_refusal(str(tmp_path / "part"), rng, "no intact file of parameters")


@pytest.mark.parametrize("change, match", [
    (lambda arrays: arrays.pop("layer0.b"), "it has layer0.w; expected layer0.b, layer0.w"),
    (lambda arrays: arrays.update(more=numpy.zeros(1)), "it has layer0.b, layer0.w, more"),
    (lambda arrays: arrays.update({"layer0.w": numpy.zeros((2, 3))}),
     r"layer0.w has shape \(2, 3\); expected \(3, 2\)"),
    (lambda arrays: arrays.update({"layer0.b": numpy.zeros(2, "int32")}), "of type int32"),
    (lambda arrays: arrays.update({"layer0.b": numpy.array([1, numpy.nan])}), "layer0.b .*NaN"),
    (lambda arrays: arrays.update({"layer0.b": numpy.array([numpy.inf, 1])}), "infinite"),
])
def test_parameters_that_do_not_fit(change, match, rng, tmp_path):
    arrays = get_values(make_shared(rng))
    change(arrays)
    path = str(tmp_path / "foreign")
    safetensors.numpy.save_file(arrays, path, METADATA)
    check_refusal(path, rng, match)


def test_a_type_that_numpy_lacks(rng, tmp_path):
    header = (b'{"__metadata__":{"network":"small"},'
              b'"layer0.b":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}')
    header += b" " * (-len(header) % 8)
    (tmp_path / "bf16").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    check_refusal(str(tmp_path / "bf16"), rng, "no intact file|another network|of type")


def test_a_file_of_double_precision_is_converted(saved_file, rng):
    params, path = saved_file
    safetensors.numpy.save_file(
        {name: value.astype("float64") for name, value in get_values(params).items()},
        path, METADATA
    )
    loaded = make_shared(rng)
    parameters.fill(loaded, parameters.read(path)[0], path)
    assert loaded["layer0.w"].get_value().dtype == "float32"
    numpy.testing.assert_array_equal(get_values(loaded)["layer0.w"], get_values(params)["layer0.w"])


def test_a_file_that_cannot_be_written_is_left_alone(saved_file, tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        parameters.write(str(tmp_path / "none" / "file"), get_values(saved_file[0]), METADATA)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        parameters.write(str(tmp_path / "folder"), get_values(saved_file[0]), METADATA)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "network.safetensors"]
