"""Sums and means of windows side by side, and their gradient.

    z = SumPool((2, 2))(maps)           z[n, m, r, c] = sum of maps[n, m, 2 r:2 r + 2, 2 c:2 c + 2]
    g = SumPoolGrad((2, 2))(maps, gz)   every element of a window receives the window's gradient

Theano's `Pool` and `AveragePoolGrad` look at each window by itself. Here the loops go along the
rows, so that the compiler uses whole vectors for windows of two columns. The elements of a window
are added in Theano's order. Rows and columns that do not fill a window are left out.
"""

import numpy
from theano.gof import Apply
from theano.tensor import as_tensor_variable

from lenet.ops.compiled import CompiledOp

# COLUMNS: of a window if the compiler shall know them, else 0
SUPPORT_CODE = """
namespace lenet {
template <typename T, int COLUMNS>
void add_windows(const T *x, T *z, long n, long columns) {
  if (COLUMNS) columns = COLUMNS;
  for (long q = 0; q < n; q++) {
    T sum = z[q];
    for (long j = 0; j < columns; j++) sum += x[q * columns + j];
    z[q] = sum;
  }
}
template <typename T, int COLUMNS>
void spread_windows(const T *gz, T *gx, T elements, long n, long columns) {
  if (COLUMNS) columns = COLUMNS;
  for (long q = 0; q < n; q++)
    for (long j = 0; j < columns; j++) gx[q * columns + j] = gz[q] / elements;
}
}  // namespace lenet
"""

C_CODE = """
{
  typedef npy_%(dtype)s T;
  npy_intp dims[4];
  memcpy(dims, PyArray_DIMS(%(x)s), sizeof dims);
  const long rows = dims[2] / %(rows)d, columns = dims[3] / %(columns)d;
  const long height = dims[2], width = dims[3], maps = dims[0] * dims[1];
  PyArrayObject *const in = PyArray_GETCONTIGUOUS(%(in)s);
  bool fits = in;
  if (in && %(grad)d && (PyArray_DIM(in, 0) != dims[0] || PyArray_DIM(in, 1) != dims[1] ||
                         PyArray_DIM(in, 2) != rows || PyArray_DIM(in, 3) != columns)) {
    PyErr_SetString(PyExc_ValueError, "SumPoolGrad: gradient and maps differ in shape");
    fits = false;
  }
  if (!%(grad)d) {
    dims[2] = rows;
    dims[3] = columns;
  }
  if (fits && !(%(out)s && PyArray_IS_C_CONTIGUOUS(%(out)s) &&
                PyArray_CompareLists(PyArray_DIMS(%(out)s), dims, 4))) {
    Py_XDECREF(%(out)s);
    %(out)s = (PyArrayObject *)PyArray_SimpleNew(4, dims, PyArray_TYPE(in));
    fits = %(out)s;
  }
  if (fits) {
    const T *const from = (T *)PyArray_DATA(in);
    T *const to = (T *)PyArray_DATA(%(out)s);
    #pragma omp parallel for schedule(static) if (maps * height * width > 100000)
    for (long m = 0; m < maps; m++) {
      %(body)s
    }
  }
  Py_XDECREF(in);
  if (!fits) %(fail)s
}
"""

SUM = """
      T *const z = to + m * rows * columns;
      memset(z, 0, rows * columns * sizeof(T));
      for (long r = 0; r < rows * %(rows)d; r++)
        lenet::add_windows<T, %(constant)d>(from + (m * height + r) * width,
                                            z + r / %(rows)d * columns, columns, %(columns)d);
      if (%(mean)d)
        for (long q = 0; q < rows * columns; q++) z[q] /= %(rows)d * %(columns)d;
"""

SPREAD = """
      T *const gx = to + m * height * width;
      for (long r = 0; r < height; r++)
        for (long q = columns * %(columns)d; q < width; q++) gx[r * width + q] = 0;
      for (long r = rows * %(rows)d; r < height; r++) memset(gx + r * width, 0, width * sizeof(T));
      for (long r = 0; r < rows * %(rows)d; r++)
        lenet::spread_windows<T, %(constant)d>(
            from + (m * rows + r / %(rows)d) * columns, gx + r * width,
            %(mean)d ? %(rows)d * %(columns)d : 1, columns, %(columns)d);
"""


class SumPoolBase(CompiledOp):
    """What both ops share.

    Parameters
    ----------
    window : two ints
        Rows and columns of a window.
    mean : bool
        Whether sums are divided by the number of elements of a window.
    """

    python_file = "pool_sum.py"
    __props__ = ("window", "mean")

    def __init__(self, window, mean=False, openmp=None):
        super().__init__(openmp=openmp)
        self.window = tuple(int(w) for w in window)
        self.mean = bool(mean)

    def c_support_code(self):
        return super().c_support_code() + SUPPORT_CODE

    def code(self, node, body, **names):
        rows, columns = self.window
        values = dict(names, rows=rows, columns=columns, constant=columns if columns == 2 else 0,
                      mean=self.mean, dtype=node.inputs[0].dtype)
        return C_CODE % dict(values, body=body % values)


class SumPool(SumPoolBase):
    """Sums or means of windows: (n, m, rows, columns) -> (n, m, rows // wh, columns // ww)."""

    def make_node(self, maps):
        maps = as_tensor_variable(maps)
        return Apply(self, [maps], [maps.type.clone(
            broadcastable=maps.broadcastable[:2] + (False, False))()])

    def infer_shape(self, node, shapes):
        n, m, height, width = shapes[0]
        return [(n, m, height // self.window[0], width // self.window[1])]

    def perform(self, node, inputs, outputs):
        maps, = inputs
        wh, ww = self.window
        n, m, rows, columns = self.infer_shape(node, [maps.shape])[0]
        windows = maps[:, :, :rows * wh, :columns * ww].reshape(n, m, rows, wh, columns, ww)
        total = windows.sum(axis=(3, 5))
        outputs[0][0] = total / numpy.asarray(wh * ww, total.dtype) if self.mean else total

    def c_code(self, node, name, inputs, outputs, sub):
        return self.code(node, SUM, x=inputs[0], out=outputs[0], grad=False, fail=sub["fail"],
                         **{"in": inputs[0]})


class SumPoolGrad(SumPoolBase):
    """Gradient of `SumPool` from its maps, of which only the shape matters, and the gradient."""

    def make_node(self, maps, gz):
        maps, gz = as_tensor_variable(maps), as_tensor_variable(gz)
        return Apply(self, [maps, gz], [maps.type()])

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def perform(self, node, inputs, outputs):
        maps, gz = inputs
        wh, ww = self.window
        if gz.shape != maps.shape[:2] + (maps.shape[2] // wh, maps.shape[3] // ww):
            raise ValueError("SumPoolGrad: gradient and maps differ in shape")
        gx = numpy.zeros_like(maps)
        gx[:, :, :gz.shape[2] * wh, :gz.shape[3] * ww] = gz.repeat(wh, 2).repeat(ww, 3)
        outputs[0][0] = gx / numpy.asarray(wh * ww, gx.dtype) if self.mean else gx

    def c_code(self, node, name, inputs, outputs, sub):
        return self.code(node, SPREAD, x=inputs[0], out=outputs[0], grad=True, fail=sub["fail"],
                         **{"in": inputs[1]})
