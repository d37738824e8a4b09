"""lenet.ops.columns: the references in NumPy, the kernels on the CPU, the rewrite."""

import ctypes
import shutil
import subprocess

import numpy
import pytest
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d
from theano.tensor.signal.pool import MaxPoolGrad, Pool, pool_2d

from lenet.gpu import libraries
from lenet.ops.columns import (
    KERNELS,
    ColumnImages,
    ImageColumns,
    is_ordered_by_map,
    local_convolution_by_columns,
    local_pool_by_map,
)

# filters' rows and columns, then images: number, channels, rows, columns
SHAPES = [((1, 1), (1, 1, 1, 1)), ((5, 5), (3, 2, 12, 12)), ((2, 3), (4, 3, 7, 5)),
          ((3, 1), (2, 1, 3, 9)), ((4, 4), (1, 5, 4, 4)), ((5, 5), (7, 1, 28, 28))]


def apply(op, x):
    outputs = [[None]]
    op.perform(None, [x], outputs)
    return outputs[0][0]


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("size, shape", SHAPES)
def test_columns_hold_what_each_tap_sees(rng, size, shape, flip):
    x = rng.normal(size=shape).astype("float32")
    n, channels, height, width = shape
    found = apply(ImageColumns(size[0], size[1], flip), x)
    oh, ow = height - size[0] + 1, width - size[1] + 1
    assert found.shape == (channels * size[0] * size[1], n, oh, ow)
    for (c, i, j), column in zip(numpy.ndindex(channels, *size), found):
        if flip:
            i, j = size[0] - 1 - i, size[1] - 1 - j
        assert (column == x[:, c, i:i + oh, j:j + ow]).all()


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("size, shape", SHAPES)
def test_the_way_back_is_the_transpose(rng, size, shape, flip):
    # <columns(x), u> = <x, images(u)> for all x and u
    x = rng.normal(size=shape)
    columns = apply(ImageColumns(size[0], size[1], flip), x)
    u = rng.normal(size=columns.shape)
    images = apply(ColumnImages(size[0], size[1], flip), u)
    assert images.shape == x.shape
    numpy.testing.assert_allclose((columns * u).sum(), (x * images).sum(), rtol=1e-9)


def test_filters_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="filters of 3 x 3 do not fit images of 2 x 5"):
        apply(ImageColumns(3, 3, True), numpy.zeros((1, 1, 2, 5), "float32"))


# --- the kernels ----------------------------------------------------------------------------

# libgpuarray's words for CUDA's, as its cluda.h has them.
CUDA = """
#define KERNEL extern "C" __global__
#define GLOBAL_MEM
#define LID_0 threadIdx.x
#define LDIM_0 blockDim.x
#define GID_0 blockIdx.x
#define GID_1 blockIdx.y
#define GDIM_0 gridDim.x
#define GDIM_1 gridDim.y
typedef unsigned int ga_uint;
typedef size_t ga_size;
"""
# The same words for a processor: threads and blocks take turns, 3 blocks of 4 threads in one
# direction and 2 blocks in the other, so that each thread has several numbers to write.
PROCESSOR = """
#include <cstddef>
static unsigned thread, block, other_block;
#define KERNEL static
#define GLOBAL_MEM
#define LID_0 thread
#define LDIM_0 4u
#define GID_0 block
#define GID_1 other_block
#define GDIM_0 3u
#define GDIM_1 2u
typedef unsigned int ga_uint;
typedef size_t ga_size;
"""
LAUNCH = """
#define LAUNCH(name, kernel) extern "C" void name(const T *in, T *out, const unsigned *s) {      \\
    for (other_block = 0; other_block < GDIM_1; other_block++)                                    \\
        for (block = 0; block < GDIM_0; block++)                                                  \\
            for (thread = 0; thread < LDIM_0; thread++)                                           \\
                kernel(in - 1, sizeof(T), out - 1, sizeof(T), s[0], s[1], s[2], s[3]);            \\
}
LAUNCH(to_columns, image_columns)
LAUNCH(to_images, column_images)
"""


def source(words, size, flip, dtype, launch=""):
    ctype = {"float32": "float", "float64": "double"}[dtype]
    definitions = "#define ROWS {}\n#define COLUMNS {}\n#define FLIP {:d}\n#define T {}\n".format(
        *size, flip, ctype)
    with open(KERNELS) as file:
        return words + definitions + file.read() + launch


@pytest.mark.parametrize("size, shape, flip, dtype", [
    ((5, 5), (3, 2, 12, 12), True, "float32"), ((2, 3), (4, 3, 7, 5), False, "float64"),
    ((4, 4), (1, 5, 4, 4), True, "float64"),
])
def test_kernels_on_the_processor_equal_numpy(tmp_path, rng, size, shape, flip, dtype):
    text = tmp_path / "kernels.cc"
    text.write_text(source(PROCESSOR, size, flip, dtype, LAUNCH))
    library = str(tmp_path / "kernels.so")
    subprocess.run([shutil.which("g++") or "clang++", "-O1", "-Wall", "-Werror", "-shared", "-fPIC",
                    "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error",
                    "-o", library, str(text)], check=True)
    kernels = ctypes.CDLL(library)

    def launch(kernel, array, out_shape):
        out = numpy.full(out_shape, numpy.nan, dtype)
        sizes = numpy.array(shape, "uint32")
        kernel(*(ctypes.c_void_p(a.ctypes.data) for a in (array, out, sizes)))
        return out

    x = rng.normal(size=shape).astype(dtype)
    columns = apply(ImageColumns(size[0], size[1], flip), x)
    assert (launch(kernels.to_columns, x, columns.shape) == columns).all()
    u = rng.normal(size=columns.shape).astype(dtype)
    images = apply(ColumnImages(size[0], size[1], flip), u)
    numpy.testing.assert_allclose(launch(kernels.to_images, u, images.shape), images, rtol=1e-5,
                                  atol=1e-6)


def find_nvrtc():
    """Every NVRTC of this machine, loaded, with its version."""
    found = {}
    for folder in libraries.list_folders():
        for library in libraries.find_nvrtc(folder):
            found.setdefault(library.version, library)
    return list(found.values())


@pytest.mark.skipif(not find_nvrtc(), reason="NVRTC is not installed (pip install "
                                             "nvidia-cuda-nvrtc-cu12)")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nvrtc_compiles_the_kernels(dtype):
    for library in find_nvrtc():
        known = libraries.list_capabilities(library)
        wanted = {min(known), (7, 0), (7, 5), (8, 0), (9, 0), max(known)} & known
        assert wanted
        for capability in sorted(wanted):
            ptx = compile_with_nvrtc(library.path, source(CUDA, (5, 5), True, dtype), capability)
            assert ".target sm_{}{}".format(*capability) in ptx
            assert ".entry image_columns" in ptx and ".entry column_images" in ptx


def compile_with_nvrtc(path, text, capability):
    nvrtc = ctypes.CDLL(path)
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"columns.cu", 0, None,
                                    None) == 0
    options = (ctypes.c_char_p * 2)(b"-arch", b"compute_%d%d" % capability)
    status = nvrtc.nvrtcCompileProgram(program, 2, options)
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert status == 0, log.value.decode()
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, ptx)
    return ptx.value.decode()


# --- the rewrite ----------------------------------------------------------------------------


@pytest.mark.parametrize("flip", [True, False])
def test_convolution_and_gradients_as_products(rng, flip):
    x, w = T.tensor4("x"), T.tensor4("w")
    conv = conv2d(x, w, filter_shape=(4, 2, 3, 2), filter_flip=flip)
    wanted = [conv] + T.grad((conv ** 2).sum(), [x, w])
    before = theano.gof.FunctionGraph([x, w], wanted, clone=True)
    after = before.clone()
    theano.gof.opt.EquilibriumOptimizer([local_convolution_by_columns], max_use_ratio=10).optimize(
        after)
    names = [type(node.op).__name__ for node in after.apply_nodes]
    assert not [name for name in names if name.startswith("AbstractConv")]
    assert names.count("ColumnImages") == 1
    values = [rng.normal(size=shape).astype(theano.config.floatX)
              for shape in ((5, 2, 8, 7), (4, 2, 3, 2))]
    mode = theano.Mode("py", "fast_compile")
    found = theano.function(after.inputs, after.outputs, mode=mode)(*values)
    expected = theano.function(before.inputs, before.outputs)(*values)
    for a, b in zip(found, expected):
        assert a.shape == b.shape
        numpy.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", ["max", "average_exc_pad"])
def test_pooling_in_the_order_of_the_product(rng, mode):
    x, w = T.tensor4("x"), T.tensor4("w")
    pooled = pool_2d(conv2d(x, w, filter_shape=(4, 2, 3, 2)), (2, 2), ignore_border=True, mode=mode)
    wanted = [pooled] + T.grad((pooled ** 2).sum(), [x, w])
    before = theano.gof.FunctionGraph([x, w], wanted, clone=True)
    after = before.clone()
    theano.gof.opt.EquilibriumOptimizer(
        [local_convolution_by_columns, local_pool_by_map], max_use_ratio=10).optimize(after)
    pools = [node for node in after.apply_nodes if isinstance(node.op, (Pool, MaxPoolGrad))]
    assert pools and not [node for node in pools if is_ordered_by_map(node.inputs[0])]
    values = [rng.normal(size=shape).astype(theano.config.floatX)
              for shape in ((5, 2, 8, 7), (4, 2, 3, 2))]
    found = theano.function(after.inputs, after.outputs,
                            mode=theano.Mode("cvm", "fast_compile"))(*values)
    expected = theano.function(before.inputs, before.outputs)(*values)
    for a, b in zip(found, expected):
        assert a.shape == b.shape
        numpy.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", [
    {"border_mode": "half"}, {"subsample": (2, 2)}, {"filter_dilation": (2, 1)},
    {"filter_shape": None},
])
def test_other_convolutions_are_left_alone(options):
    x, w = T.tensor4("x"), T.tensor4("w")
    conv = conv2d(x, w, **dict({"filter_shape": (4, 2, 3, 2)}, **options))
    node = conv.owner
    while not type(node.op).__name__.startswith("AbstractConv"):
        node = node.inputs[0].owner
    assert not local_convolution_by_columns.transform(node)
