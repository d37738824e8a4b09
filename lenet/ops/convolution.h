// Kernels of lenet.ops.convolution: a convolution without pooling, and its two gradients.
// To be included after simd.h.
//
// Vectors lie along the rows of an image, and from the end of one row into the next: with the image
// in one piece, all that a tap of the filters adds to the output is one run of the image.
//
//     image, width 5          taps of a 2 x 2 filter         sums, of which the last column of each
//     0  1  2  3  4           0  1                           row, "|", is of no use
//     5  6  7  8  9           5  6                           0  1  2  3 |4
//     10 11 12 13 14                                         5  6  7  8 |9
//
//     output    sum[m][p] = sum over taps t of filter[t][m] * image[at[t] + p]
//     images    the same: the gradient, with zeros in place of "|" and at both ends, is the image;
//               maps and channels change places, and the filters are turned
//     filters   sum[m][t] = sum over p of gradient[m][p] * image[at[t] + p], zeros in place of "|"
//
// A tile of sums stays in registers: a few maps by three vectors of positions, or by three taps.
//
// The zeros would turn infinity into NaN where it does not belong: such gradients are computed
// element by element.

// GCC would load a factor from memory again for each product.
#if defined(__x86_64__)
#define LENET_IN_REGISTER(vector) __asm__("" : "+v"(vector))
#else
#define LENET_IN_REGISTER(vector)
#endif

namespace lenet {

struct Sizes {
  long images, channels, height, width, maps, fh, fw, oh, ow;
};

// Vectors or taps of a tile, and its maps: 6 x 3 sums and 3 vectors of the image fit 32 registers,
// 4 x 3 fit 16.
enum { TILE = 3, TILE_MAPS = LENET_REGISTERS == 32 ? 6 : 4 };

// y[m * step + p] = sum over taps of w[t * maps + m] * x[at[t] + p]
template <typename T, int M>
void weigh_tile(const T *x, const long *at, long taps, const T *w, long maps, T *y, long step) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  V sum[M][TILE] = {};
  for (long t = 0; t < taps; t++, w += maps) {
    V a[TILE];
    LENET_UNROLL for (int k = 0; k < TILE; k++) a[k] = load<V>(x + at[t] + k * N);
    LENET_UNROLL for (int m = 0; m < M; m++)
      LENET_UNROLL for (int k = 0; k < TILE; k++) sum[m][k] += a[k] * w[m];
  }
  LENET_UNROLL for (int m = 0; m < M; m++)
    LENET_UNROLL for (int k = 0; k < TILE; k++) store(y + m * step + k * N, sum[m][k]);
}

template <typename T> LENET_INLINE T sum_of_lanes(typename Simd<T>::Vec v) {
  T lanes[Simd<T>::N];
  store(lanes, v);
  LENET_UNROLL for (int h = Simd<T>::N / 2; h; h /= 2)
    LENET_UNROLL for (int i = 0; i < h; i++) lanes[i] += lanes[i + h];
  return lanes[0];
}

// sums[m * step + k] += sum over images and n positions of g[m][p] * x[at[k] + p]
template <typename T, int M>
void correlate_tile(const T *g, long plane, long g_image, const T *x, const long *at, long x_image,
                    long images, long n, T *sums, long step, int wanted) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  V sum[M][TILE] = {};
  for (long i = 0; i < images; i++, g += g_image, x += x_image)
    for (long p = 0; p < n; p += N) {
      V a[TILE];
      LENET_UNROLL for (int k = 0; k < TILE; k++) {
        a[k] = load<V>(x + at[k] + p);
        LENET_IN_REGISTER(a[k]);
      }
      LENET_UNROLL for (int m = 0; m < M; m++) {
        V d = load<V>(g + m * plane + p);
        LENET_IN_REGISTER(d);
        LENET_UNROLL for (int k = 0; k < TILE; k++) sum[m][k] += a[k] * d;
      }
    }
  LENET_UNROLL for (int m = 0; m < M; m++) {
    T totals[TILE];
    LENET_UNROLL for (int k = 0; k < TILE; k++) totals[k] = sum_of_lanes<T>(sum[m][k]);
    for (int k = 0; k < wanted; k++) sums[m * step + k] += totals[k];
  }
}

// A function for each number of maps in a tile.
template <typename T> struct Tiles {
  typedef void (*Weigh)(const T *, const long *, long, const T *, long, T *, long);
  typedef void (*Correlate)(const T *, long, long, const T *, const long *, long, long, long, T *,
                            long, int);
  static Weigh weigh_of(long maps) {
    static const Weigh table[] = {weigh_tile<T, 1>, weigh_tile<T, 2>, weigh_tile<T, 3>,
                                  weigh_tile<T, 4>, weigh_tile<T, 5>, weigh_tile<T, 6>};
    return table[maps - 1];
  }
  static Correlate correlate_of(long maps) {
    static const Correlate table[] = {correlate_tile<T, 1>, correlate_tile<T, 2>,
                                      correlate_tile<T, 3>, correlate_tile<T, 4>,
                                      correlate_tile<T, 5>, correlate_tile<T, 6>};
    return table[maps - 1];
  }
};

// Maps in tiles of nearly the same size: where tile i of n begins.
inline long tile_begin(long maps, long i, long n) { return maps * i / n; }

inline long round_up(long n, long unit) { return divide_up(n, unit) * unit; }

// y[i][m]: out_rows x out_columns sums over all taps of `channels` planes.  In a plane, the rows of
// from[i][c] begin `width` apart, the first after `front` zeros.  The filter of map m and plane c
// is at filters + m * map_step + c * channel_step, turned or not.
template <typename T>
bool sum_taps(long images, long channels, long rows, long columns, const T *from, long width,
              long front, long fh, long fw, const T *filters, long map_step, long channel_step,
              bool turned, long maps, long out_rows, long out_columns, T *y, int threads) {
  const long positions = round_up((out_rows - 1) * width + out_columns, TILE * Simd<T>::N);
  const long reach = positions + (fh - 1) * width + fw - 1;
  const long plane = larger(reach, front + rows * width), taps = channels * fh * fw;
  const long n_tiles = divide_up(maps, (long)TILE_MAPS);
  long *at;
  T *w;
  Scratch shared;
  shared.add(&at, taps);
  shared.add(&w, taps * maps);
  if (!shared.allocate()) return false;
  for (long t = 0; t < taps; t++) {  // row by row, and in a row plane by plane
    const long c = t / fw % channels, i = t / (fw * channels), j = t % fw, k = i * fw + j;
    at[t] = c * plane + i * width + j;
    for (long m = 0; m < maps; m++)
      w[t * maps + m] =
          filters[m * map_step + c * channel_step + (turned ? fh * fw - 1 - k : k)];
  }
  bool failed = false;
  LENET_PRAGMA(omp parallel for schedule(static) num_threads(threads))
  for (long i = 0; i < images; i++) {
    T *x, *sums;
    Scratch scratch;
    scratch.add(&x, channels * plane);
    scratch.add(&sums, maps * positions);
    if (!scratch.allocate()) {
      failed = true;
      continue;
    }
    memset(x, 0, channels * plane * sizeof(T));
    for (long c = 0; c < channels; c++)
      for (long r = 0; r < rows; r++)
        memcpy(x + c * plane + front + r * width, from + ((i * channels + c) * rows + r) * columns,
               columns * sizeof(T));
    for (long p = 0; p < positions; p += TILE * Simd<T>::N) {
      // the rows of the filters that see more than zeros
      const long above = front - p - TILE * Simd<T>::N - fw + 2, below = front + rows * width - p;
      const long i0 = smaller(fh, larger(0, divide_up(above, width)));
      const long i1 = larger(i0, smaller(fh, divide_up(below, width))), row = channels * fw;
      for (long j = 0; j < n_tiles; j++) {
        const long m = tile_begin(maps, j, n_tiles), end = tile_begin(maps, j + 1, n_tiles);
        Tiles<T>::weigh_of(end - m)(x + p, at + i0 * row, (i1 - i0) * row, w + i0 * row * maps + m,
                                    maps, sums + m * positions + p, positions);
      }
    }
    for (long m = 0; m < maps; m++)
      for (long r = 0; r < out_rows; r++)
        memcpy(y + ((i * maps + m) * out_rows + r) * out_columns, sums + m * positions + r * width,
               out_columns * sizeof(T));
  }
  return !failed;
}

// y: images x maps x oh x ow
template <typename T>
bool convolve(const Sizes &s, const T *x, const T *w, bool flip, T *y, int threads) {
  const long area = s.fh * s.fw;
  return sum_taps<T>(s.images, s.channels, s.height, s.width, x, s.width, 0, s.fh, s.fw, w,
                     s.channels * area, area, flip, s.maps, s.oh, s.ow, y, threads);
}

// gx: images x channels x height x width
template <typename T>
bool gradient_of_images(const Sizes &s, const T *w, const T *gy, bool flip, T *gx, int threads) {
  const long area = s.fh * s.fw;
  if (!all_finite(w, s.maps * s.channels * area)) {
    memset(gx, 0, s.images * s.channels * s.height * s.width * sizeof(T));
    for (long n = 0; n < s.images * s.maps; n++)
      for (long c = 0; c < s.channels; c++)
        for (long k = 0; k < area; k++) {
          const T factor = w[(n % s.maps * s.channels + c) * area + (flip ? area - 1 - k : k)];
          for (long r = 0; r < s.oh; r++)
            for (long q = 0; q < s.ow; q++)
              gx[((n / s.maps * s.channels + c) * s.height + r + k / s.fw) * s.width + q +
                 k % s.fw] += factor * gy[(n * s.oh + r) * s.ow + q];
        }
    return true;
  }
  return sum_taps<T>(s.images, s.maps, s.oh, s.ow, gy, s.width, (s.fh - 1) * s.width + s.fw - 1,
                     s.fh, s.fw, w, area, s.channels * area, !flip, s.channels, s.height, s.width,
                     gx, threads);
}

// gw: maps x channels x fh x fw
template <typename T>
bool gradient_of_filters(const Sizes &s, const T *x, const T *gy, bool flip, T *gw, int threads) {
  const long area = s.fh * s.fw, taps = s.channels * area, pixels = s.height * s.width;
  memset(gw, 0, s.maps * taps * sizeof(T));
  if (!all_finite(x, s.images * s.channels * pixels)) {
    for (long n = 0; n < s.images * s.maps; n++)
      for (long c = 0; c < s.channels; c++)
        for (long k = 0; k < area; k++) {
          T sum = 0;
          for (long r = 0; r < s.oh; r++)
            for (long q = 0; q < s.ow; q++)
              sum += gy[(n * s.oh + r) * s.ow + q] *
                     x[((n / s.maps * s.channels + c) * s.height + r + k / s.fw) * s.width + q +
                       k % s.fw];
          gw[(n % s.maps * s.channels + c) * area + (flip ? area - 1 - k : k)] += sum;
        }
    return true;
  }
  const long positions = round_up((s.oh - 1) * s.width + s.ow, Simd<T>::N);
  const long image = s.channels * pixels, gradient = s.maps * positions;
  const long n_tiles = divide_up(s.maps, (long)TILE_MAPS);
  const long tap_tiles = divide_up(taps, (long)TILE);
  // All tiles go through as many images as a quarter of a second-level cache holds.  The sums of a
  // group of such blocks are added in order: the shapes alone determine the result.
  const long block = larger(1, (1 << 18) / (long)sizeof(T) / larger(1, image + gradient));
  const long group = block * larger(1, divide_up(divide_up(s.images, block), 32L));
  const long groups = divide_up(s.images, group), slack = Simd<T>::N + s.fw;
  long *at;
  T *sums;
  Scratch shared;
  shared.add(&at, tap_tiles * TILE);
  shared.add(&sums, groups * s.maps * taps);
  if (!shared.allocate()) return false;
  for (long t = 0; t < tap_tiles * TILE; t++)
    at[t] = t < taps ? t / area * pixels + t / s.fw % s.fh * s.width + t % s.fw : 0;
  memset(sums, 0, groups * s.maps * taps * sizeof(T));
  bool failed = false;
  LENET_PRAGMA(omp parallel for schedule(static) num_threads(threads))
  for (long k = 0; k < groups; k++) {
    const long most = smaller(block, s.images);
    T *xs, *g;
    Scratch scratch;
    scratch.add(&xs, most * image + slack);
    scratch.add(&g, most * gradient);
    if (!scratch.allocate()) {
      failed = true;
      continue;
    }
    memset(g, 0, most * gradient * sizeof(T));
    for (long i = k * group; i < smaller(s.images, (k + 1) * group); i += block) {
      const long n = smaller(block, s.images - i);
      memcpy(xs, x + i * image, n * image * sizeof(T));
      memset(xs + n * image, 0, slack * sizeof(T));  // times 0, but must be finite
      for (long m = 0; m < n * s.maps; m++)
        for (long r = 0; r < s.oh; r++)
          memcpy(g + m * positions + r * s.width, gy + ((i * s.maps + m) * s.oh + r) * s.ow,
                 s.ow * sizeof(T));
      for (long j = 0; j < n_tiles; j++) {
        const long m = tile_begin(s.maps, j, n_tiles), end = tile_begin(s.maps, j + 1, n_tiles);
        for (long t = 0; t < taps; t += TILE)
          Tiles<T>::correlate_of(end - m)(g + m * positions, positions, gradient, xs, at + t, image,
                                          n, positions, sums + (k * s.maps + m) * taps + t, taps,
                                          (int)smaller(TILE, taps - t));
      }
    }
  }
  for (long k = 0; k < groups; k++)
    for (long j = 0; j < s.maps * taps; j++)
      gw[j / area * area + (flip ? area - 1 - j % area : j % area)] += sums[k * s.maps * taps + j];
  return !failed;
}

#if defined(Py_PYTHON_H)
// The op's face to NumPy.  kind: which of the three arrays is computed from the other two; shape:
// NULL, or the rows and columns that it must have, as int64.
enum { OUTPUT, FILTERS, IMAGES };

// False with a Python error set.
template <typename T>
bool convolution(long kind, PyArrayObject *a, PyArrayObject *b, PyArrayObject *shape, bool flip,
                 PyArrayObject **out) {
  const npy_intp *x = PyArray_DIMS(a), *y = PyArray_DIMS(b);
  const long less[] = {x[2] - y[2] + 1, x[3] - y[3] + 1};
  const Sizes of_output = {x[0], x[1], x[2], x[3], y[0], y[2], y[3], less[0], less[1]};
  const Sizes of_filters = {x[0], x[1], x[2], x[3], y[1], less[0], less[1], y[2], y[3]};
  const Sizes of_images = {y[0], x[1], x[2] + y[2] - 1, x[3] + y[3] - 1, x[0], x[2], x[3],
                           y[2], y[3]};
  const Sizes s = kind == OUTPUT ? of_output : kind == FILTERS ? of_filters : of_images;
  const bool fit = kind == OUTPUT ? x[1] == y[1] : kind == FILTERS ? x[0] == y[0] : x[0] == y[1];
  if (!fit || smaller(smaller(s.fh, s.fw), smaller(s.oh, s.ow)) < 1) {
    PyErr_Format(PyExc_ValueError,
                 "Convolution: (%ld, %ld, %ld, %ld) and (%ld, %ld, %ld, %ld) do not fit",
                 (long)x[0], (long)x[1], (long)x[2], (long)x[3], (long)y[0], (long)y[1], (long)y[2],
                 (long)y[3]);
    return false;
  }
  const npy_intp dims[3][4] = {{s.images, s.maps, s.oh, s.ow},
                               {s.maps, s.channels, s.fh, s.fw},
                               {s.images, s.channels, s.height, s.width}};
  for (int i = 0; shape && i < 2; i++) {
    const long wanted = *(npy_int64 *)PyArray_GETPTR1(shape, i), found = dims[kind][2 + i];
    if (wanted != found) {
      PyErr_Format(PyExc_ValueError, "Convolution: dimension %d would be %ld, not %ld", 2 + i,
                   found, wanted);
      return false;
    }
  }
  if (!allocate(out, 4, dims[kind], PyArray_TYPE(a))) return false;
  const InCOrder<T> as(a), bs(b);
  if (as.failed || bs.failed) return false;
  bool (*const functions[])(const Sizes &, const T *, const T *, bool, T *, int) = {
      convolve<T>, gradient_of_filters<T>, gradient_of_images<T>};
  const double work = (double)s.images * s.maps * s.oh * s.ow * s.channels * s.fh * s.fw;
  bool done;
  Py_BEGIN_ALLOW_THREADS
  done = functions[kind](s, as.data, bs.data, flip, data_of<T>(out), work < 1e6 ? 1 : threads());
  Py_END_ALLOW_THREADS
  if (!done) PyErr_NoMemory();
  return done;
}
#endif

}  // namespace lenet
