"""What Theano 0.6 to 0.9 had under names that 1.0 no longer has."""

import importlib

import numpy
import pytest
import theano
import theano.tensor as T

WORK = """
from theano.compat.python2x import OrderedDict, Counter, DictMixin
from theano.compat.six import string_types, StringIO, iteritems
from theano.compat.six.moves import xrange, cPickle
from theano.compat import OrderedDict, product, combinations
from theano.gof.python25 import OrderedDict, any, all, product, partial, defaultdict
from theano.gof import local_bitwidth
from theano.printing import pydotprint_variables
from theano.sandbox.conv import conv2d
from theano.sandbox.downsample import max_pool_2d
from theano.sandbox.linalg import det, kron
from theano.sandbox.linalg.kron import kron
from theano.sandbox.linalg.ops import diag, eigh, alloc_diag
from theano.sandbox.scan_module import scan
from theano.sandbox.softsign import ScalarSoftsign
from theano.sandbox.solve import Solve
from theano.tensor import shared
from theano.tensor.basic import SpecifyShape, autocast_float
from theano.tensor.nnet import conv3D, convTransp3D
from theano.tensor.nnet.Conv3D import conv3D
from theano.tensor.opt import out2in
from theano.tensor.randomstreams import RandomStreams
from theano.tensor.signal.downsample import max_pool2D, max_pool_2d_same_size, DownsampleFactorMax
from theano.updates import Updates
import theano.sandbox.cuda.basic_ops as tcuda; tcuda.gpu_from_host
import theano.sandbox.cuda as cuda; assert not cuda.cuda_available and not cuda.cuda_enabled
import theano; theano.sandbox.cuda.use("cpu"); assert not theano.sandbox.cuda.dnn.dnn_available()
from theano.sandbox.cuda import CudaNdarray, CudaNdarrayType, CudaNdarraySharedVariable, basic_ops
from theano.sandbox.cuda.basic_ops import gpu_contiguous, host_from_gpu, as_cuda_ndarray_variable
from theano.sandbox.cuda.blocksparse import sparse_block_dot_SS
from theano.sandbox.cuda.rng_curand import CURAND_RandomStreams
from theano.sandbox.cuda.var import CudaNdarraySharedVariable, float32_shared_constructor
""".strip().splitlines()


@pytest.mark.parametrize("line", WORK)
def test_line(line):
    exec(line, {})


@pytest.mark.parametrize("line, instead", [
    ("from theano import ProfileMode", "profile=True"),
    ("from theano.compile import Module", "theano.function"),
    ("from theano.tensor.deprecated.rmodule import RModule", "theano.function"),
    ("import theano.misc.pycuda_init", "pygpu"),
    ("from theano.sandbox.scan import scan", "theano.scan"),
    ("from theano.sandbox.neighbourhoods import NeighbourhoodsFromImages", "images2neibs"),
    ("from theano.sandbox.cuda import GpuOp", "theano.gpuarray"),
    ("import theano.sandbox.cuda.opt", "theano.gpuarray"),
])
def test_a_line_says_what_takes_its_place(line, instead):
    with pytest.raises(ImportError, match=instead) as raised:
        exec(line, {})
    assert "\n" not in str(raised.value)


def test_names_that_no_version_had():
    with pytest.raises(AttributeError, match="module 'theano' has no attribute 'nonsense'"):
        getattr(theano, "nonsense")  # noqa: B009
    with pytest.raises(AttributeError, match="theano.printing"):
        getattr(theano.printing, "nonsense")  # noqa: B009
    with pytest.raises(AttributeError, match="theano.gpuarray"):
        getattr(theano.sandbox.cuda, "GpuElemwise")  # noqa: B009
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("theano.nonsense")


def five_axes(*names):
    return [T.TensorType("float64", (False,) * 5)(name) for name in names]


def test_conv3D_and_its_gradients(rng):
    """The definition: each filter, as it is, is moved over all places of the videos."""
    from theano.tensor.nnet.Conv3D import conv3D
    from theano.tensor.nnet.ConvGrad3D import convGrad3D
    from theano.tensor.nnet.ConvTransp3D import convTransp3D

    V, W, b = rng.rand(2, 5, 6, 7, 3), rng.rand(4, 2, 3, 2, 3), rng.rand(4)
    expected = numpy.zeros((2, 4, 2, 6, 4))
    for i, j, k in numpy.ndindex(4, 2, 6):
        expected[:, i, j, k] = b + numpy.einsum(
            "nrctz,krctz->nk", V[:, i:i + 2, 2 * j:2 * j + 3, k:k + 2], W)
    v, w, h = five_axes("v", "w", "h")
    H = theano.function([v, w], conv3D(v, w, b, (1, 2, 1)))(V, W)
    numpy.testing.assert_allclose(H, expected)
    # Of <conv3D(v, w), h>, linear in both, the gradient with respect to one times itself is all.
    gradient, transpose = theano.function([v, w, h], [
        convGrad3D(v, (1, 2, 1), w.shape, h),
        convTransp3D(w, 0, T.as_tensor_variable([1, 2, 1]), h, v.shape[1:4])])(V, W, H)
    numpy.testing.assert_allclose([(gradient * W).sum(), (transpose * V).sum()],
                                  ((H - b) * H).sum())
    least = theano.function([w, h], convTransp3D(w, 1, (1, 2, 1), h))(W, H)
    assert least.shape == (2, 5, 5, 7, 3)
    numpy.testing.assert_allclose(least, transpose[:, :, :5] + 1)


def test_DownsampleFactorMax(rng):
    from theano.tensor.signal.downsample import DownsampleFactorMax

    x = rng.rand(1, 2, 5, 4).astype("float32")
    pooled = DownsampleFactorMax((2, 2), ignore_border=False)(T.as_tensor_variable(x)).eval()
    assert pooled.shape == (1, 2, *DownsampleFactorMax.out_shape((5, 4), (2, 2))) == (1, 2, 3, 2)
    numpy.testing.assert_array_equal(pooled[:, :, 2], x[:, :, 4].reshape(1, 2, 2, 2).max(axis=3))


def test_random_streams_with_use_cuda():
    from theano.sandbox.rng_mrg import MRG_RandomStreams

    draws = [MRG_RandomStreams(seed=3, **options).uniform((2, 2)).eval()
             for options in ({}, {"use_cuda": True})]
    numpy.testing.assert_array_equal(*draws)


def test_the_layers_of_a_generator_of_images(rng):
    """A transposed convolution as it was put together from ops of cuDNN, and the convolution."""
    from theano.sandbox.cuda.basic_ops import gpu_alloc_empty, gpu_contiguous
    from theano.sandbox.cuda.blas import GpuCorrMM
    from theano.sandbox.cuda.dnn import GpuDnnConvDesc, GpuDnnConvGradI, dnn_conv, dnn_pool

    x, w = T.ftensor4("x"), T.ftensor4("w")
    output = gpu_alloc_empty(x.shape[0], w.shape[1], 2 * x.shape[2], 2 * x.shape[3])
    description = GpuDnnConvDesc(border_mode=(2, 2), subsample=(2, 2))(output.shape, w.shape)
    images = GpuDnnConvGradI()(gpu_contiguous(w), gpu_contiguous(x), output, description)
    X, W = rng.rand(2, 4, 3, 3).astype("float32"), rng.rand(4, 3, 5, 5).astype("float32")
    result, again, flipped, pooled = theano.function([x, w], [
        images, dnn_conv(images, w, border_mode=(2, 2), subsample=(2, 2)),
        GpuCorrMM(subsample=(2, 2), pad=(2, 2))(images, w[:, :, ::-1, ::-1]),
        dnn_pool(x, (2, 2), mode="average")])(X, W)
    assert result.shape == (2, 3, 6, 6)
    # The transpose T of a linear C: <T x, T x> = <x, C T x>
    numpy.testing.assert_allclose((result ** 2).sum(), (X * again).sum(), rtol=1e-5)
    numpy.testing.assert_allclose(flipped, again, rtol=1e-4)
    numpy.testing.assert_allclose(pooled[:, :, 0, 0], X[:, :, :2, :2].mean(axis=(2, 3)), rtol=1e-5)


def test_use_falls_back_to_the_cpu(monkeypatch, capsys):
    from theano.sandbox import cuda

    from lenet.theano_start import device

    monkeypatch.setattr(device, "find_gpu_problem", lambda *args: "no driver")
    cuda.use("gpu0")
    assert capsys.readouterr().err.endswith("cuda0: no driver; running on the CPU\n")
    with pytest.raises(OSError, match="no driver"):
        cuda.use("gpu", force=True)
