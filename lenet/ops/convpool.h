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

inline bool read_shape(PyArrayObject *x, PyArrayObject *w, long wh, long ww, Shape *s) {
  const npy_intp *xd = PyArray_DIMS(x), *wd = PyArray_DIMS(w);
  const long oh = xd[2] - wd[2] + 1, ow = xd[3] - wd[3] + 1;
  const Shape shape = {xd[0], xd[1], xd[2], xd[3], wd[0], wd[2], wd[3],
                       wh,    ww,    oh,    ow,    oh / wh, ow / ww};
  if (xd[1] != wd[1]) {
    PyErr_Format(PyExc_ValueError, "ConvPool: images have %ld channels, filters have %ld",
                 (long)xd[1], (long)wd[1]);
    return false;
  }
  if (wd[2] < 1 || wd[3] < 1 || shape.oh < 1 || shape.ow < 1) {
    PyErr_Format(PyExc_ValueError, "ConvPool: filters of %ld x %ld do not fit images of %ld x %ld",
                 shape.fh, shape.fw, shape.height, shape.width);
    return false;
  }
  *s = shape;
  return true;
}

// Both return false with a Python error set.  Outputs that are not wanted are NULL.
template <typename T, typename R>
bool convpool(PyArrayObject *x, PyArrayObject *w, bool flip, long wh, long ww, PyArrayObject **z,
              PyArrayObject **record) {
  Shape s;
  if (!read_shape(x, w, wh, ww, &s)) return false;
  const npy_intp dims[4] = {s.images, s.maps, s.ph, s.pw};
  const int unsigned_type = sizeof(R) == 1 ? NPY_UINT8 : sizeof(R) == 2 ? NPY_UINT16 : NPY_UINT32;
  if (!allocate(z, 4, dims, PyArray_TYPE(x))) return false;
  if (record && !allocate(record, 4, dims, unsigned_type)) return false;
  const InCOrder<T> xs(x), ws(w);
  if (xs.failed || ws.failed) return false;
  bool done;
  Py_BEGIN_ALLOW_THREADS
  done = convpool_forward<T, R>(s, xs.data, ws.data, flip, data_of<T>(z), data_of<R>(record),
                                threads());
  Py_END_ALLOW_THREADS
  if (!done) PyErr_NoMemory();
  return done;
}

template <typename T, typename R>
bool convpool_grad(PyArrayObject *x, PyArrayObject *w, PyArrayObject *gz, PyArrayObject *record,
                   bool flip, long wh, long ww, PyArrayObject **gw, PyArrayObject **gx) {
  Shape s;
  if (!read_shape(x, w, wh, ww, &s)) return false;
  const npy_intp dims[4] = {s.images, s.maps, s.ph, s.pw};
  if (!PyArray_CompareLists(PyArray_DIMS(gz), dims, 4) ||
      !PyArray_CompareLists(PyArray_DIMS(record), dims, 4)) {
    PyErr_Format(PyExc_ValueError,
                 "ConvPoolGrad: gradient and record should be %ld x %ld x %ld x %ld", s.images,
                 s.maps, s.ph, s.pw);
    return false;
  }
  if (gw && !allocate(gw, 4, PyArray_DIMS(w), PyArray_TYPE(x))) return false;
  if (gx && !allocate(gx, 4, PyArray_DIMS(x), PyArray_TYPE(x))) return false;
  const InCOrder<T> xs(x), ws(w), gzs(gz);
  const InCOrder<R> records(record);
  if (xs.failed || ws.failed || gzs.failed || records.failed) return false;
  bool done;
  Py_BEGIN_ALLOW_THREADS
  done = convpool_backward<T, R>(s, xs.data, ws.data, flip, gzs.data, records.data, data_of<T>(gw),
                                 data_of<T>(gx), threads());
  Py_END_ALLOW_THREADS
  if (!done) PyErr_NoMemory();
  return done;
}
#endif

}  // namespace lenet
