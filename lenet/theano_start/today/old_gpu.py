"""Theano's first GPU back end, theano.sandbox.cuda, as far as today's ops stand in for it.

What it computed was always float32. Its ops were put into graphs by hand, or by rewrites; today
the ops of theano.tensor are, and rewrites move them to a GPU where ``device=cuda``. So a transfer
is the identity, and an op of the GPU the one of the CPU.
"""

import numpy
import theano
from theano import tensor
from theano.compile.ops import ViewOp
from theano.sandbox.rng_mrg import MRG_RandomStreams
from theano.tensor import nnet
from theano.tensor.extra_ops import cpu_contiguous
from theano.tensor.nnet.blocksparse import sparse_block_dot
from theano.tensor.sharedvar import TensorSharedVariable
from theano.tensor.signal import pool

from lenet.theano_start import device
from lenet.theano_start.refusal import say
from lenet.theano_start.today.old_interface import take_back

cuda_available = cuda_enabled = False
cuda_initialization_error_message = "Theano's first GPU back end is gone"


def use(device_name, force=False, *args, **options):
    """Compute on a GPU from now on, as with the flag ``device``; on the CPU where there is none.

    Raises
    ------
    OSError
        There is none, and ``force`` is true.
    """
    name = device.present_name(device_name)
    if name == "cpu" or theano.config.device.startswith(device.NEW_DEVICE):
        return
    problem = device.find_gpu_problem(name, theano.config.cxx)
    if problem is None:
        from theano import gpuarray

        gpuarray.use(name, force=force)
    elif force:
        raise OSError(f"{name}: {problem}")
    else:
        say(f"{name}: {problem}; running on the CPU")


# --- values and variables ------------------------------------------------------------------------

def as_cuda_ndarray_variable(x):
    """A variable of float32 from a variable or an array."""
    return tensor.cast(tensor.as_tensor_variable(x), "float32")


gpu_from_host = host_from_gpu = as_cuda_ndarray_variable


class HostFromGpu(ViewOp):
    """The op of a transfer, in graphs that were pickled: what is on the host is there."""


class GpuFromHost(ViewOp):
    """The same in the other direction."""


gpu_contiguous = cpu_contiguous
gpu_alloc = tensor.alloc
CURAND_RandomStreams = MRG_RandomStreams  # other numbers, with the same distribution
sparse_block_dot_SS = sparse_block_dot


def gpu_alloc_empty(*shape):
    """An array of float32 with any content."""
    return tensor.AllocEmpty("float32")(*shape)


def float32_shared_constructor(value, *args, **options):
    """A shared variable of float32."""
    return theano.shared(numpy.asarray(value, "float32"), *args, **options)


shared_constructor = float32_shared_constructor


class CudaNdarray:
    """An array of float32; nothing is an instance of this."""

    def __new__(cls, value):
        return numpy.asarray(value, "float32")


CudaNdarray_unpickler = numpy.asarray  # what a pickle calls with the content of a CudaNdarray


class CudaNdarrayType(tensor.TensorType):
    """The type of such arrays; unpickled, it is a tensor's."""

    def __new__(cls, broadcastable=None, name=None, dtype=None):
        if broadcastable is None:  # unpickled
            return super().__new__(cls)
        return tensor.TensorType("float32", broadcastable, name)

    def __setstate__(self, state):
        self.__class__ = tensor.TensorType
        self.__init__("float32", state["broadcastable"], state["name"])


class CudaNdarrayVariable(tensor.TensorVariable):
    """Unpickled, it is a tensor; nothing else is an instance of this."""

    def __setstate__(self, state):
        self.__class__ = tensor.TensorVariable
        vars(self).update(state)


class CudaNdarraySharedVariable(TensorSharedVariable):
    """Unpickled, it is a tensor's shared variable; nothing else is an instance of this."""

    def __setstate__(self, state):
        self.__class__ = TensorSharedVariable
        vars(self).update(state)


# --- cuDNN, and the products that convolved without it -------------------------------------------

def dnn_available():
    """Whether ops of cuDNN can be put into a graph by hand."""
    return False


dnn_available.msg = cuda_initialization_error_message


def dnn_conv(img, kerns, border_mode="valid", subsample=(1, 1), conv_mode="conv", *args, **options):
    """The convolution of images, or where these have five axes, of videos."""
    convolve = nnet.conv2d if img.ndim == 4 else nnet.conv3d
    return convolve(img, kerns, border_mode=border_mode, subsample=subsample,
                    filter_flip=conv_mode == "conv")


def dnn_conv3d(img, kerns, border_mode="valid", subsample=(1, 1, 1), conv_mode="conv", *args,
               **options):
    """The convolution of videos."""
    return dnn_conv(img, kerns, border_mode, subsample, conv_mode)


def dnn_gradweight(img, topgrad, kerns_shp, *args, **options):
    """The gradient of ``dnn_conv`` with respect to the filters."""
    return take_back(lambda kerns: dnn_conv(img, kerns, *args, **options), kerns_shp, topgrad)


def dnn_gradinput(kerns, topgrad, img_shp, *args, **options):
    """The gradient of ``dnn_conv`` with respect to the images."""
    return take_back(lambda img: dnn_conv(img, kerns, *args, **options), img_shp, topgrad)


def dnn_pool(img, ws, stride=(1, 1), mode="max", pad=(0, 0)):
    """Pooling without incomplete windows; by default, each place begins one."""
    mode = "average_inc_pad" if mode == "average" else mode
    return pool.pool_2d(img, ws, ignore_border=True, stride=stride, pad=pad, mode=mode)


class GpuDnnConvDesc:
    """What cuDNN knows of a convolution besides its images and filters."""

    def __init__(self, border_mode, subsample=(1, 1), conv_mode="conv", precision=None):
        self.arguments = border_mode, subsample, conv_mode

    def __call__(self, img_shape, kern_shape):
        return self.arguments


def GpuDnnConv(*args, **options):
    """The op of ``dnn_conv``: like the two of its gradients, it takes an array for the result."""
    return lambda img, kerns, output, desc: dnn_conv(img, kerns, *desc)


def GpuDnnConvGradW(*args, **options):
    """The op of ``dnn_gradweight``."""
    return lambda img, topgrad, output, desc: dnn_gradweight(img, topgrad, output.shape, *desc)


def GpuDnnConvGradI(*args, **options):
    """The op of ``dnn_gradinput``."""
    return lambda kerns, topgrad, output, desc: dnn_gradinput(kerns, topgrad, output.shape, *desc)


def GpuCorrMM(border_mode="valid", subsample=(1, 1), pad=(0, 0)):
    """The op that correlates images with filters."""
    border_mode = border_mode if pad == (0, 0) else pad
    return lambda img, kerns: dnn_conv(img, kerns, border_mode, subsample, "cross")


def conv2d_fft(input, filters, image_shape=None, filter_shape=None, border_mode="valid",
               pad_last_dim=False):
    """The convolution of images by Fourier transforms."""
    return nnet.conv2d(input, filters, image_shape, filter_shape, border_mode)
