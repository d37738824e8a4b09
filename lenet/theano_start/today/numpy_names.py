"""What NumPy 1.23, 1.24, 1.25 and 2 removed, restored in the NumPy and arrays that Theano sees."""

import copy

import numpy

from lenet.installed import numpy_version
from lenet.theano_start.today.view import REPLACED, Mend, copy_module


def show():
    """Give Theano a NumPy that has the names."""
    REPLACED["numpy"] = view = copy_module(numpy, **list_names())
    if numpy_version() >= (2, 0):
        # gpuarray/linalg.py:7
        view.linalg = copy_module(numpy.linalg, linalg=numpy.linalg)
        REPLACED["numpy.linalg"], REPLACED["numpy.linalg.linalg"] = view.linalg, numpy.linalg


def list_names():
    """{name: value}: those that this NumPy lacks."""
    found = {}
    if numpy_version() >= (1, 24):
        # scalar/basic.py:2055, 2323 and 3712, tensor/basic.py:381: Python's own types
        found.update(bool=bool, int=int, float=float, complex=complex, object=object, str=str)
    if numpy_version() >= (2, 0):
        found.update(
            product=numpy.prod,  # scalar/basic.py:1748
            cast=Casts(),  # scalar/basic.py:2977, tensor/nnet/bn.py:218
            sctype2char=lambda dtype: numpy.dtype(dtype).char,  # tensor/elemwise.py:700
            MAXDIMS=64,  # tensor/extra_ops.py:262
            ComplexWarning=numpy.exceptions.ComplexWarning,  # tensor/slinalg.py:552
            core=numpy._core,  # gof/cc.py:1381
        )
    return found


class Casts:
    """``cast[dtype](x)``: x as an array of this type, which may be a type of Theano's."""

    def __getitem__(self, dtype):
        name = getattr(dtype, "dtype", None)
        return lambda x: numpy.asarray(x).astype(name if isinstance(name, str) else dtype)


class OldArray(numpy.ndarray):
    """An array that can do what arrays once could."""

    def tostring(self):  # before NumPy 2.3
        return self.tobytes()

    def __getitem__(self, index):  # before NumPy 1.23, a list of slices worked like a tuple
        return super().__getitem__(tuple(index) if isinstance(index, list) else index)

    def __setitem__(self, index, value):
        super().__setitem__(tuple(index) if isinstance(index, list) else index, value)


def digest_bytes(printing):
    """printing.py:1268: an array's method ``tostring``."""
    original = printing.hex_digest
    printing.hex_digest = lambda x: original(x.view(OldArray))


def index_with_lists(sort):
    """tensor/sort.py:278: lists of slices."""
    original = sort._topk_py_impl

    def _topk_py_impl(op, x, *others):
        results = original(op, x.view(OldArray), *others)
        if isinstance(results, tuple):
            return tuple(numpy.asarray(result) for result in results)
        return numpy.asarray(results)

    sort._topk_py_impl = _topk_py_impl


def pool_with_lists(pool):
    """tensor/signal/pool.py:574, 1511 and 2179: lists of slices, of an image or of its copy with a
    border (545 and 2150)."""

    def give_old_arrays(perform):
        def perform_with_old_arrays(op, node, inputs, outputs, *params):
            perform(op, node, [x.view(OldArray) for x in inputs], outputs, *params)
            for storage in outputs:
                storage[0] = numpy.asarray(storage[0])

        return perform_with_old_arrays

    pool.np = copy_module(pool.np, zeros=lambda *shape, **others: numpy.zeros(
        *shape, **others).view(OldArray))
    for op in (pool.Pool, pool.MaxPoolGrad, pool.AveragePoolGrad,
               pool.DownsampleFactorMaxGradGrad, pool.MaxPoolRop):
        op.perform = give_old_arrays(op.perform)


def copy_state(raw_random):
    """raw_random.py:258: a copy of a generator, which since NumPy 2 shares the original's state."""
    raw_random.copy = copy.deepcopy


def flatten_inverse(extra_ops):
    """tensor/extra_ops.py:1184: the inverse of ``unique``, which since NumPy 2 has x's shape."""
    original = extra_ops.Unique.perform

    def perform(op, node, inputs, output_storage):
        original(op, node, inputs, output_storage)
        if op.return_inverse:
            inverse = output_storage[1 + op.return_index]
            inverse[0] = inverse[0].ravel()

    extra_ops.Unique.perform = perform


def accept_empty_matrices(blas):
    """tensor/blas.py:651: the strides of an empty matrix, which are 0 since NumPy 1.23."""
    gemm = blas.GemmRelated
    version = gemm.build_gemm_version
    gemm.encode_strides_in_unit = gemm.encode_strides_in_unit.replace("==1", "<=1")
    gemm.build_gemm_version = lambda op: version(op) + ("empty",)


def copy_if_necessary(type):
    """gpuarray/type.py:258 and 277: ``copy=False``, which since NumPy 2 refuses to copy."""

    def array(x, copy=True, **others):
        return numpy.array(x, copy=copy or None, **others)

    type.np = copy_module(type.np, array=array)


MENDS = [
    Mend("theano.tensor.sort", index_with_lists, numpy=(1, 23)),
    Mend("theano.tensor.signal.pool", pool_with_lists, numpy=(1, 23)),
    Mend("theano.tensor.blas", accept_empty_matrices, numpy=(1, 23)),
    Mend("theano.tensor.raw_random", copy_state, numpy=(2, 0)),
    Mend("theano.tensor.extra_ops", flatten_inverse, numpy=(2, 0)),
    Mend("theano.gpuarray.type", copy_if_necessary, numpy=(2, 0)),
    Mend("theano.printing", digest_bytes, numpy=(2, 3)),
]
