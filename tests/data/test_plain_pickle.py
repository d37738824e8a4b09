"""lenet.data.plain_pickle: what it accepts, what it refuses, what it writes."""

import io
import pickle
import pickletools
import resource

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


def refused(content, words=""):
    with pytest.raises((pickle.UnpicklingError, EOFError, MemoryError)) as error:
        load(content)
    assert words in str(error.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: "%s%s" % (array.dtype, array.shape))
def test_reads_what_python_3_writes(array, protocol):
    found = load(pickle.dumps(((array, [1, 2]), array), protocol))
    assert found[0][0].dtype == array.dtype
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
    refused(content, name)
    assert not list(tmp_path.iterdir())


def test_refuses_to_change_the_functions_it_offers():
    refused(b"cnumpy\ndtype\n(N}S'__defaults__'\n(K\x01tsS'x'\nK\x01stb.", "")
    refused(b"cnumpy\ndtype\n}S'function'\nK\x01sb.", "it changes a function")
    assert load(pickle.dumps(ARRAYS[0])).shape == (3, 4)


def test_refuses_references_out_of_the_file():
    refused(b"S'x'\nQ.", "outside the file")


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
    refused(pickle.dumps(array, 2), "number")


@pytest.mark.parametrize("shape", [(3, 5), (13,), (2**62, 4), (3, -4)])
def test_refuses_a_shape_that_does_not_fit_its_bytes(shape):
    array = numpy.arange(12, dtype="float32").reshape(3, 4)
    content = pickle.dumps(array, 2)
    old, new = pickle.dumps((3, 4), 2)[2:-1], pickle.dumps(shape, 2)[2:-1]
    old, new = old.split(b"q")[0], new.split(b"q")[0]
    assert old in content
    refused(content.replace(old, new), "shape")


def test_every_truncation_is_refused():
    content = pickle.dumps((ARRAYS[0], ARRAYS[2]), 4)
    for end in range(len(content) - 1):
        refused(content[:end])


def test_damaged_pickles_are_refused_or_read_as_plain_values(rng):
    originals = [pickle.dumps((ARRAYS[0], [1, 2], ARRAYS[2]), p) for p in (0, 2, 4)]
    n_refused = 0
    for _ in range(2000):
        content = bytearray(originals[rng.randint(3)])
        for _ in range(rng.randint(1, 4)):
            content[rng.randint(len(content))] = rng.randint(256)
        try:
            load(bytes(content))
        except (pickle.UnpicklingError, EOFError, MemoryError):
            n_refused += 1
    assert n_refused > 500  # most damage shows; the rest changed a number


def test_a_large_number_of_a_reference_takes_no_memory():
    # "Remember this list as number 2 ** 31 - 1."
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert load(b"\x80\x03]r\xff\xff\xff\x7f.") == []
    assert load(b"\x80\x03]r\x00\x00\x00\x02.") == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100000  # kilobytes


def test_shared_lists_are_not_multiplied():
    value = []
    for _ in range(100):  # as a tree this would have 2 ** 100 leaves
        value = [value, value]
    found = load(pickle.dumps(value))
    assert found[0] is found[1]


def test_a_list_that_holds_itself():
    value = []
    value.append(value)
    found = load(pickle.dumps(value))
    assert found[0] is found


# --- writing --------------------------------------------------------------------------------


def dumped(value):
    file = io.BytesIO()
    plain_pickle.dump(value, file)
    return file.getvalue()


def test_pythons_own_unpickler_reads_what_we_write():
    value = ((ARRAYS[0], ARRAYS[6]), (ARRAYS[1], ARRAYS[2]), ())
    found = pickle.loads(dumped(value))
    for pair, expected in zip(found, value):
        for array, original in zip(pair, expected):
            numpy.testing.assert_array_equal(array, original)
            assert array.dtype == original.dtype.newbyteorder("=")
            assert array.flags.writeable


def test_names_only_what_every_numpy_has():
    content = dumped(((ARRAYS[0], ARRAYS[1]), (ARRAYS[0], ARRAYS[1])))
    names = {argument for opcode, argument, _ in pickletools.genops(content)
             if opcode.name in ("GLOBAL", "STACK_GLOBAL")}
    assert names == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}
    assert content[:2] == b"\x80\x03"  # protocol 3: read by every Python 3
