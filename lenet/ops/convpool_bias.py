"""The gradient of a bias that is added before max-pooling, by the record of `ConvPool`.

    gb = ConvPoolBiasGrad((2, 2))(gz, record)

Every element that equals the maximum of its window receives the window's gradient, and the bias is
added to each of them: a window counts as often as its record has bits.

    gb[map] = sum over images and windows of gz * number of bits of the record

The sum goes from image to image, window by window, so that the compiler needs no other order of
additions to use whole vectors; the windows are added up last, in double precision.
"""

import numpy
from theano.gof import Apply
from theano.tensor import as_tensor_variable, vector

from lenet.ops.compiled import CompiledOp
from lenet.ops.convpool import record_dtype, record_words

C_CODE = """
{
  PyArrayObject *const gz = PyArray_GETCONTIGUOUS(%(gz)s);
  PyArrayObject *const record = PyArray_GETCONTIGUOUS(%(record)s);
  const bool fits = gz && record && PyArray_DIM(gz, 0) == PyArray_DIM(record, 0) &&
                    PyArray_DIM(gz, 1) * %(words)d == PyArray_DIM(record, 1) &&
                    PyArray_CompareLists(PyArray_DIMS(gz) + 2, PyArray_DIMS(record) + 2, 2);
  if (gz && record && !fits)
    PyErr_SetString(PyExc_ValueError, "ConvPoolBiasGrad: gradient and record differ in shape");
  npy_intp maps = PyArray_DIM(%(gz)s, 1);
  Py_XDECREF(%(gb)s);
  %(gb)s = fits ? (PyArrayObject *)PyArray_SimpleNew(1, &maps, PyArray_TYPE(gz)) : NULL;
  if (%(gb)s) {
    typedef npy_%(dtype)s T;
    const long images = PyArray_DIM(gz, 0), area = PyArray_DIM(gz, 2) * PyArray_DIM(gz, 3);
    #pragma omp parallel for schedule(static)
    for (long m = 0; m < maps; m++) {
      std::vector<T> sums(area);
      for (long i = 0; i < images; i++) {
        const T *const g = (T *)PyArray_DATA(gz) + (i * maps + m) * area;
        const npy_%(bits)s *const r =
            (npy_%(bits)s *)PyArray_DATA(record) + (i * maps + m) * %(words)d * area;
        for (long k = 0; k < area; k++) {
          int count = 0;
          for (int word = 0; word < %(words)d; word++)
            for (int bit = 0; bit < %(used)d; bit++) count += r[word * area + k] >> bit & 1;
          sums[k] += g[k] * count;
        }
      }
      double sum = 0;
      for (long k = 0; k < area; k++) sum += sums[k];
      ((T *)PyArray_DATA(%(gb)s))[m] = sum;
    }
  }
  Py_XDECREF(gz);
  Py_XDECREF(record);
  if (!%(gb)s) %(fail)s
}
"""


class ConvPoolBiasGrad(CompiledOp):
    """Gradient of a bias that is added to the unpooled maps of `ConvPool`.

    Parameters
    ----------
    window : two ints
        As given to `ConvPool`.

    Inputs are the gradient with respect to the pooled maps, of shape (images, maps, pooled rows,
    pooled columns), and the record; the output has one number per map.
    """

    python_file = "convpool_bias.py"
    __props__ = ("window",)

    def __init__(self, window, openmp=None):
        super().__init__(openmp=openmp)
        self.window = tuple(int(w) for w in window)

    def make_node(self, gz, record):
        gz, record = as_tensor_variable(gz), as_tensor_variable(record)
        if gz.ndim != 4 or gz.dtype not in ("float32", "float64"):
            raise TypeError(f"gradient should be 4 dimensions of floats, not {gz.type}")
        if record.ndim != 4 or record.dtype != record_dtype(self.window):
            raise TypeError(f"record should be 4 dimensions of {record_dtype(self.window)}, not "
                            f"{record.type}")
        return Apply(self, [gz, record], [vector(dtype=gz.dtype)])

    def infer_shape(self, node, shapes):
        return [(shapes[0][1],)]

    def perform(self, node, inputs, outputs):
        gz, record = inputs
        images, maps, *size = gz.shape
        words = record_words(self.window)
        if record.shape != (images, maps * words, *size):
            raise ValueError("ConvPoolBiasGrad: gradient and record differ in shape")
        total = numpy.zeros(maps)
        for i in range(self.window[0] * self.window[1]):
            word = record[:, i // 32::words]
            hit = word >> numpy.array(i % 32, record.dtype) & numpy.array(1, record.dtype)
            total += (gz * hit).sum(axis=(0, 2, 3), dtype="float64")
        outputs[0][0] = total.astype(gz.dtype)

    def c_headers(self):
        return super().c_headers() + ["<vector>"]

    def c_code(self, node, name, inputs, outputs, sub):
        return C_CODE % {"gz": inputs[0], "record": inputs[1], "gb": outputs[0],
                         "dtype": node.inputs[0].dtype, "bits": node.inputs[1].dtype,
                         "words": record_words(self.window),
                         "used": min(32, self.window[0] * self.window[1]), "fail": sub["fail"]}
