// The gradients of lenet.ops.convpool, and the ops' face to NumPy.
// To be included after convpool_hits.h and convpool_dense.h.

namespace lenet {

// gw: maps x channels x fh x fw or null; gx: images x channels x height x width or null.  False if
// there is not enough memory.
template <typename T, typename R>
bool convpool_backward(const Shape &s, const T *x, const T *w, bool flip, const T *gz,
                       const R *record, T *gw, T *gx, int threads) {
  ByHits<T, R> by_hits(s);
  if (s.channels * s.fh * s.fw * s.maps == 0) {
    if (gx) memset(gx, 0, s.images * s.channels * s.height * s.width * sizeof(T));
    return true;
  }
  const Transform<T> transform(gx ? 1 : gradient_points<T>(s), s.fw);
  const bool dense = transform.points > 1;

  // The blocks of images, whose gradients are summed in order, follow from the shapes alone.
  const long size = by_hits.filters_size(), area = s.fh * s.fw;
  const long most = larger(1, smaller(32, (1L << 26) / (size * (long)sizeof(T))));
  const long unit = dense ? (long)Simd<T>::N : 1;
  const long images = unit * larger(1, divide_up(divide_up(s.images, unit), most));
  const long blocks = divide_up(s.images, images);
  T *sums = 0;
  Scratch shared;
  shared.add(&by_hits.w, size);
  if (gw) shared.add(&sums, blocks * size);
  if (!shared.allocate()) return false;
  if (gx) by_hits.pack(w, flip);

  bool failed = false;
  const double work = (double)s.images * s.maps * s.ph * s.pw * s.channels * area;
  if (work < 1e6) threads = 1;
  LENET_PRAGMA(omp parallel for schedule(dynamic) num_threads(threads))
  for (long b = 0; b < blocks; b++) {
    const long from = b * images, to = smaller(s.images, from + images);
    T *const own = gw ? sums + b * size : 0;
    if (!(dense && filters_by_points(s, transform, x, gz, record, from, to, own, by_hits.padded)) &&
        !by_hits.run_block(x, gz, record, from, to, own, gx))
      failed = true;
  }
  if (failed || !gw) return !failed;
  const long map = s.fh * by_hits.padded;
  LENET_PRAGMA(omp parallel for num_threads(threads))
  for (long m = 0; m < s.maps; m++) {
    T *const sum = sums + m * map;
    for (long b = 1; b < blocks; b++)
      for (long i = 0; i < map; i++) sum[i] += sums[b * size + m * map + i];
    for (long c = 0; c < s.channels; c++)
      for (long k = 0; k < area; k++)
        gw[(m * s.channels + c) * area + (flip ? area - 1 - k : k)] =
            blocks ? sum[k / s.fw * by_hits.padded + k % s.fw * s.channels + c] : T(0);
  }
  return true;
}

#if defined(Py_PYTHON_H)
// ------------------------------------------------------------------------- the ops' face to NumPy

// options: whether filters are turned; rows and columns of a window; whether the last windows are
// left out if they are not full; zeros above, below, left and right of the images, which may be -1,
// half a filter, or -2, a filter but for one.  In the shape, zeros fill the last windows as well, and
// the only window of a smaller map is as large as that; its record has as many words all the same.
inline bool read_shape(PyArrayObject *x, PyArrayObject *w, const npy_int64 *options, Shape *s,
                       long *top, long *left) {
  const npy_intp *xd = PyArray_DIMS(x), *wd = PyArray_DIMS(w);
  long zeros[4], maps[2], window[2], pooled[2], size[2];
  for (int i = 0; i < 4; i++) {
    const long filter = wd[2 + i / 2], given = options[4 + i];
    zeros[i] = given == -1 ? filter / 2 : given == -2 ? filter - 1 : given;
  }
  for (int i = 0; i < 2; i++) {
    size[i] = xd[2 + i] + zeros[2 * i] + zeros[2 * i + 1];
    maps[i] = size[i] - wd[2 + i] + 1;
    window[i] = options[3] ? options[1 + i] : smaller(options[1 + i], larger(maps[i], 1));
    pooled[i] = options[3] ? maps[i] / window[i] : divide_up(maps[i], window[i]);
  }
  if (xd[1] != wd[1]) {
    PyErr_Format(PyExc_ValueError, "ConvPool: images have %ld channels, filters have %ld",
                 (long)xd[1], (long)wd[1]);
    return false;
  }
  if (smaller(smaller(wd[2], wd[3]), smaller(maps[0], maps[1])) < 1) {
    PyErr_Format(PyExc_ValueError, "ConvPool: filters of %ld x %ld do not fit images of %ld x %ld",
                 (long)wd[2], (long)wd[3], size[0], size[1]);
    return false;
  }
  for (int i = 0; i < 2; i++)
    size[i] = larger(size[i], pooled[i] * window[i] + wd[2 + i] - 1);
  const Shape shape = {xd[0], xd[1], size[0], size[1], wd[0], wd[2], wd[3], window[0], window[1],
                       size[0] - wd[2] + 1, size[1] - wd[3] + 1, pooled[0], pooled[1],
                       maps[0], maps[1], divide_up(options[1] * options[2], 32)};
  *s = shape;
  *top = zeros[0];
  *left = zeros[2];
  return true;
}

// to[plane][row] = from[plane][row]; sizes of planes and rows in numbers
template <typename T>
void copy_rows(const T *from, long from_plane, long from_row, T *to, long to_plane, long to_row,
               const npy_intp *dims) {
  const long planes = dims[0] * dims[1], rows = dims[2], columns = dims[3];
  LENET_PRAGMA(omp parallel for schedule(static))
  for (long i = 0; i < planes; i++)
    for (long r = 0; r < rows; r++)
      memcpy(to + i * to_plane + r * to_row, from + i * from_plane + r * from_row,
             columns * sizeof(T));
}

// The images of an array with zeros around them, as in the shape; null for a null array.
template <typename T> struct Padded {
  const InCOrder<T> inside;
  Scratch memory;
  bool failed;
  const T *data;
  Padded(PyArrayObject *x, const Shape &s, long top, long left)
      : inside(x), failed(inside.failed), data(inside.data) {
    if (!data || (PyArray_DIM(x, 2) == s.height && PyArray_DIM(x, 3) == s.width)) return;
    const long plane = s.height * s.width, size = s.images * s.channels * plane;
    const npy_intp *const dims = PyArray_DIMS(x);
    T *to;
    memory.add(&to, size);
    failed = !memory.allocate();
    if (failed) {
      PyErr_NoMemory();
      return;
    }
    memset(to, 0, size * sizeof(T));
    copy_rows(inside.data, dims[2] * dims[3], dims[3], to + top * s.width + left, plane, s.width,
              dims);
    data = to;
  }
};

// Both return false with a Python error set.  Outputs that are not wanted are NULL.
template <typename T, typename R>
bool convpool(PyArrayObject *x, PyArrayObject *w, const npy_int64 *options, PyArrayObject **z,
              PyArrayObject **record) {
  Shape s;
  long top, left;
  if (!read_shape(x, w, options, &s, &top, &left)) return false;
  const npy_intp dims[4] = {s.images, s.maps, s.ph, s.pw};
  const npy_intp record_dims[4] = {s.images, s.maps * s.words, s.ph, s.pw};
  const int unsigned_type = sizeof(R) == 1 ? NPY_UINT8 : sizeof(R) == 2 ? NPY_UINT16 : NPY_UINT32;
  if (!allocate(z, 4, dims, PyArray_TYPE(x))) return false;
  if (record && !allocate(record, 4, record_dims, unsigned_type)) return false;
  const Padded<T> xs(x, s, top, left);
  const InCOrder<T> ws(w);
  if (xs.failed || ws.failed) return false;
  bool done;
  Py_BEGIN_ALLOW_THREADS
  done = convpool_forward<T, R>(s, xs.data, ws.data, options[0], data_of<T>(z), data_of<R>(record),
                                threads());
  Py_END_ALLOW_THREADS
  if (!done) PyErr_NoMemory();
  return done;
}

template <typename T, typename R>
bool convpool_grad(PyArrayObject *x, PyArrayObject *w, PyArrayObject *gz, PyArrayObject *record,
                   const npy_int64 *options, PyArrayObject **gw, PyArrayObject **gx) {
  Shape s;
  long top, left;
  if (!read_shape(x, w, options, &s, &top, &left)) return false;
  const npy_intp dims[4] = {s.images, s.maps, s.ph, s.pw};
  const npy_intp record_dims[4] = {s.images, s.maps * s.words, s.ph, s.pw};
  if (!PyArray_CompareLists(PyArray_DIMS(gz), dims, 4) ||
      !PyArray_CompareLists(PyArray_DIMS(record), record_dims, 4)) {
    PyErr_Format(PyExc_ValueError,
                 "ConvPoolGrad: gradient and record should be %ld x %ld x %ld x %ld", s.images,
                 s.maps, s.ph, s.pw);
    return false;
  }
  if (gw && !allocate(gw, 4, PyArray_DIMS(w), PyArray_TYPE(x))) return false;
  if (gx && !allocate(gx, 4, PyArray_DIMS(x), PyArray_TYPE(x))) return false;
  const Padded<T> xs(gw ? x : NULL, s, top, left);
  const InCOrder<T> ws(w), gzs(gz);
  const InCOrder<R> records(record);
  if (xs.failed || ws.failed || gzs.failed || records.failed) return false;
  const npy_intp *const xd = PyArray_DIMS(x);
  const long plane = s.height * s.width;
  const bool padded = gx && (xd[2] != s.height || xd[3] != s.width);
  T *own_gx = data_of<T>(gx);
  Scratch scratch;
  if (padded) scratch.add(&own_gx, s.images * s.channels * plane);
  bool done = scratch.allocate();
  Py_BEGIN_ALLOW_THREADS
  done = done && convpool_backward<T, R>(s, xs.data, ws.data, options[0], gzs.data, records.data,
                                         data_of<T>(gw), own_gx, threads());
  if (done && padded)
    copy_rows(own_gx + top * s.width + left, plane, s.width, data_of<T>(gx), xd[2] * xd[3], xd[3],
              xd);
  Py_END_ALLOW_THREADS
  if (!done) PyErr_NoMemory();
  return done;
}
#endif

}  // namespace lenet
