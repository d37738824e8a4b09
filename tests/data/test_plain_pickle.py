"""lenet.data.plain_pickle: what it accepts, what it refuses, what it writes."""

import io
import pickle

import numpy
import pytest

from lenet.data import plain_pickle

ARRAYS = [
    numpy.arange(12, dtype="float32").reshape(3, 4),
    numpy.asfortranarray(numpy.arange(6, dtype="int64").reshape(2, 3)),
    numpy.arange(5, dtype=">i4"),
    numpy.array([True, False]),
    numpy.zeros((0, 7)),
    numpy.array(2.5),
    numpy.arange(2000, dtype="uint8"),
]


def load(content):
    return plain_pickle.load(io.BytesIO(content))


def check_refusal(content, words=""):
    with pytest.raises((pickle.UnpicklingError, EOFError, MemoryError)) as error:
        load(content)
    assert words in str(error.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_reads_what_python_3_writes(array, protocol):
    found = load(pickle.dumps(((array, [1, 2]), array), protocol))
    assert found[0][0].dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    numpy.testing.assert_array_equal(found[0][0], array)
    assert found[0][1] == [1, 2]
    assert found[1] is found[0][0]


def test_reads_what_python_2_writes():
    # numpy.array([1.5, -2], "f4") as cPickle of Python 2 writes it in protocol 2: the bytes of
    # the array and the names of types are strings (opcode U), not bytes.
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85"
        b"U\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08"
        + numpy.array([1.5, -2], "<f4").tobytes() + b"tb."
    )
    assert load(content).tolist() == [1.5, -2]


def test_reads_the_names_of_numpy_2():
    content = pickle.dumps(ARRAYS[0], 2)
    for old, new in ((b"numpy.core.multiarray", b"numpy._core.multiarray"),
                     (b"numpy._core.multiarray", b"numpy.core.multiarray")):
        content = content.replace(b"c" + old + b"\n", b"c" + new + b"\n")
        numpy.testing.assert_array_equal(load(content), ARRAYS[0])


def test_reads_lists_of_numpy_numbers():
    assert load(pickle.dumps([numpy.int64(3), numpy.float32(0.5)], 2)) == [3, 0.5]


@pytest.mark.parametrize(
    "content, name",
    [
        (b"cos\nsystem\n(S'touch hacked'\ntR.", "os.system"),
        (b"cposix\nsystem\n(S'touch hacked'\ntR.", "posix.system"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.", "builtins.eval"),
        (b"c__builtin__\neval\n(S'1'\ntR.", "__builtin__.eval"),
        (b"(S'1'\ni__builtin__\neval\n.", "__builtin__.eval"),
        (b"cnumpy\nload\n(S'x'\ntR.", "numpy.load"),
        (b"cnumpy\nndarray.tofile\n.", "numpy.ndarray.tofile"),
        (b"cnumpy.core.multiarray\nfromfile\n.", "fromfile"),
        (b"ccopyreg\n_reconstructor\n.", "_reconstructor"),
        (b"clenet.plain_pickle\n_Unpickler\n.", "_Unpickler"),
    ],
)
def test_refuses_any_other_name(content, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_refusal(content, name)
    assert not list(tmp_path.iterdir())


NAMES = [b"numpy\nndarray", b"numpy\ndtype", b"numpy.core.multiarray\n_reconstruct",
         b"numpy.core.multiarray\nscalar", b"numpy.core.numeric\n_frombuffer",
         b"_codecs\nencode", b"builtins\nbytes"]


@pytest.mark.parametrize("name", NAMES)
def test_refuses_to_change_the_functions_it_offers(name):
    for state in (b"}S'function'\nK\x01s",  # what __dict__ would get, and what setattr would
                  b"(N}S'function'\nK\x01st", b"(N}S'__defaults__'\n(K\x01tst",
                  b"(N}S'__class__'\nc" + name + b"\nst"):
        check_refusal(b"c" + name + b"\n" + state + b"b.", "it changes a function")
    for array in ARRAYS:
        for protocol in (0, 2, 5):
            numpy.testing.assert_array_equal(load(pickle.dumps(array, protocol)), array)


def test_what_a_pickle_says_of_a_type_is_not_passed_on_to_numpy():
    """NumPy's own dtype believes a pickle that says floats were objects: addresses of memory."""
    state = pickle.dumps((3, ">", None, None, None, -1, -1, 63), 2)[2:-1]
    content = b"cnumpy\ndtype\n(S'f4'\nI00\nI00\ntR" + state + b"b"
    array = load(b"cnumpy.core.numeric\n_frombuffer\n(C\x04\x00\x00\x80?" + content
                 + b"(K\x01tS'C'\ntR.")
    assert array.tolist() == numpy.frombuffer(b"\x00\x00\x80?", ">f4").tolist()
    assert array.dtype.flags == 0 and numpy.dtype("f4").flags == 0 and numpy.dtype("f4").isnative


def test_arrays_share_no_memory_that_may_be_freed():
    array = pickle.dumps(ARRAYS[0], 2)[2:-1]
    state = array[array.index(b"("):]
    assert load(array + b".").shape == (3, 4)
    check_refusal(array + state + b".", "it fills an array twice")
    view = b"cnumpy.core.numeric\n_frombuffer\n(%scnumpy\ndtype\n(S'f4'\ntR(K\x0ctS'C'\ntR."
    assert load(view % (b"C\x30" + bytes(48))).tolist() == [0] * 12
    check_refusal(view % array, "an array made of _Array")


def test_refuses_codecs_that_do_more_than_spell_bytes():
    assert load(b"c_codecs\nencode\n(Va\xfc\nVlatin1\ntR.") == b"a\xfc"
    for codec in (b"zlib", b"rot13", b"utf-8", b"idna"):
        check_refusal(b"c_codecs\nencode\n(Va\nV" + codec + b"\ntR.", "bytes encoded as")


def test_refuses_references_out_of_the_file():
    check_refusal(b"S'x'\nQ.", "persistent")


@pytest.mark.parametrize(
    "array",
    [
        numpy.array([None, 1], dtype=object),
        numpy.array([(1, 2.0)], dtype="i4,f4"),
        numpy.array(["a"]),
        numpy.array(["2020-01-01"], dtype="M8[D]"),
        numpy.array([1 + 2j]),
    ],
    ids=["objects", "fields", "strings", "dates", "complex"],
)
def test_refuses_arrays_of_anything_but_numbers(array):
    check_refusal(pickle.dumps(array, 2), "number")


@pytest.mark.parametrize("shape", [(3, 5), (13,), (2**62, 4)])
def test_refuses_a_shape_that_does_not_fit_its_bytes(shape):
    array = numpy.arange(12, dtype="float32").reshape(3, 4)
    content = pickle.dumps(array, 2)
    old, new = pickle.dumps((3, 4), 2)[2:-1], pickle.dumps(shape, 2)[2:-1]
    old, new = old.split(b"q")[0], new.split(b"q")[0]
    assert old in content
    check_refusal(content.replace(old, new), "shape")


def test_every_truncation_is_refused():
    content = pickle.dumps((ARRAYS[0], ARRAYS[2]), 4)
    for end in range(len(content) - 1):
        check_refusal(content[:end])


# --- writing --------------------------------------------------------------------------------


def dump_value(value):
    file = io.BytesIO()
    plain_pickle.dump(value, file)
    return file.getvalue()


def test_every_numpy_reads_what_we_write():
    """Python's own unpickler finds one name in it, which NumPy has always had."""
    names = set()

    class Recorder(pickle.Unpickler):
        def find_class(self, module, name):
            names.add((module, name))
            return super().find_class(module, name)

    value = ((ARRAYS[0], ARRAYS[6]), (ARRAYS[1], ARRAYS[2]), (ARRAYS[4], ARRAYS[5]),
             {"a": [1, "b"]})
    found = Recorder(io.BytesIO(dump_value(value))).load()
    assert names == {("numpy", "ndarray")}
    for pair, expected in zip(found[:3], value):
        for array, original in zip(pair, expected):
            assert type(array) is numpy.ndarray and array.flags.writeable
            assert array.dtype == original.dtype and array.shape == original.shape
            numpy.testing.assert_array_equal(array, original)
    assert found[3] == value[3]


def test_we_read_what_we_write():
    for array, original in zip(load(dump_value(ARRAYS)), ARRAYS):
        assert array.dtype == original.dtype and array.shape == original.shape
        numpy.testing.assert_array_equal(array, original)
