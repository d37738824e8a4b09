// The gradient of the filters of lenet.ops.convpool from all positions of the maps.
// To be included after convpool_forward.h.
//
// For images of few channels, whose filter rows would leave most of a vector empty in
// convpool_hits.h: one channel has runs of 5 numbers.  Lanes are images again, and the gradient of
// the unpooled maps is 0 where an element is not the largest of its window.
//
//     gradient, record  ->  d [row][x][lane], a map's row of windows  ->  points [q][m][y][tile]
//
//     for each block of images, for 4 maps at a time, for each point q
//       for each channel c, for 5 rows i of a filter at a time
//         sums over rows y and tiles of d[q][m][y][tile] * x[q][c][y + i][tile]         correlate()
//             4 maps x 5 rows = 20 registers; at each place 4 loads of d, 5 of x, 20 multiply-adds
//     at the end the lanes are added up, and points become columns of the filters

namespace lenet {

// sums[m][k] += sum over n positions p of d[m][p] * x[k][p]; each is a vector of lanes
template <typename T, int M, int K>
void correlate(const T *d, long map, const T *x, long row, long n, T *sums, long sums_step) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  V sum[M][K];
  LENET_UNROLL for (int m = 0; m < M; m++)
    LENET_UNROLL for (int k = 0; k < K; k++) sum[m][k] = load<V>(sums + m * sums_step + k * N);
  for (long p = 0; p < n; p++, d += N, x += N) {
    V g[M];
    LENET_UNROLL for (int m = 0; m < M; m++) g[m] = load<V>(d + m * map);
    LENET_UNROLL for (int k = 0; k < K; k++) {
      const V a = load<V>(x + k * row);
      LENET_UNROLL for (int m = 0; m < M; m++) sum[m][k] += g[m] * a;
    }
  }
  LENET_UNROLL for (int m = 0; m < M; m++)
    LENET_UNROLL for (int k = 0; k < K; k++) store(sums + m * sums_step + k * N, sum[m][k]);
}

// The number of points of the transform, 1 where hits are better: where the sums of all lanes would
// leave the second-level cache, or would take more multiply-adds for a window of N images, or a
// record has several words.
template <typename T> int gradient_points(const Shape &s) {
  const long N = Simd<T>::N, vectors = s.fh * divide_up(s.fw * s.channels, N);
  if (s.maps * s.channels * s.fh > 1024 || s.words > 1) return 1;
  return cheapest_points(s, s.ph * s.pw * N * (8 + 2 * vectors), 0);
}

// correlate() for 1 to M maps and 1 to K rows of a filter
template <typename T, int M, int K>
void correlate_tile(long maps, long rows, const T *d, long map, const T *x, long row, long n,
                    T *sums, long sums_step) {
  if (M > 1 && maps < M)
    correlate_tile<T, (M > 1 ? M - 1 : 1), K>(maps, rows, d, map, x, row, n, sums, sums_step);
  else if (K > 1 && rows < K)
    correlate_tile<T, M, (K > 1 ? K - 1 : 1)>(maps, rows, d, map, x, row, n, sums, sums_step);
  else
    correlate<T, M, K>(d, map, x, row, n, sums, sums_step);
}

// d[row][column] of a row of windows = g where the element equals the maximum, else 0
template <typename T>
void unpool(const Shape &s, const T *g, const typename Simd<T>::Int *masks, long width, T *d) {
  typedef typename Simd<T>::IntVec IntVec;
  const int N = Simd<T>::N;
  for (long px = 0; px < s.pw; px++, g += N, masks += N) {
    uint32_t bit = 1;
    for (long r = 0; r < s.wh; r++)
      for (long c = 0; c < s.ww; c++, bit <<= 1) {
        const IntVec hit = (load<IntVec>(masks) & (typename Simd<T>::Int)bit) != 0;
        store(d + (r * width + px * s.ww + c) * N, load<IntVec>(g) & hit);
      }
  }
}

// images from ... to - 1; gw: [map][ky][kx, channel], rows of padded numbers.  False if an image or
// a gradient is not finite, which a transform would spread, or if there is not enough memory.
template <typename T, typename R>
bool filters_by_points(const Shape &s, const Transform<T> &transform, const T *x, const T *gz,
                       const R *record, long from, long to, T *gw, long padded) {
  // 4 maps x 5 rows, 4 gradients and an input are 25 registers; with 2 maps they are 13
  enum { N = Simd<T>::N, MAPS = LENET_REGISTERS == 32 ? 4 : 2, ROWS = 5 };
  const long P = transform.points, outputs = transform.outputs;
  const long tiles = divide_up(s.pw * s.ww, outputs), width = tiles * outputs;
  const long rows = s.ph * s.wh, pooled = s.ph * s.pw, taps = s.channels * s.fh;
  const long map = rows * tiles * N, plane = s.height * tiles * N;  // numbers of a point of a map
  T *g, *d, *d_points, *images, *x_points, *sums;  // sums: [map][point][channel, row]
  typename Simd<T>::Int *masks;
  Scratch scratch;
  scratch.add(&g, pooled * N);
  scratch.add(&masks, pooled * N);
  scratch.add(&d, s.wh * width * N);
  scratch.add(&d_points, P * MAPS * map);
  scratch.add(&images, (s.channels * s.height * s.width + 8) * N);
  scratch.add(&x_points, P * s.channels * plane);
  scratch.add(&sums, s.maps * P * taps * N);
  if (!scratch.allocate()) return false;
  memset(d, 0, s.wh * width * N * sizeof(T));  // the columns that are in no window
  memset(sums, 0, s.maps * P * taps * N * sizeof(T));
  for (long first = from; first < to; first += N) {
    const long lanes = smaller(N, to - first), stride = s.maps * pooled;
    if (!image_points(s, transform, x, first, 0, s.height, tiles, images, x_points)) return false;
    for (long m = 0; m < s.maps; m += MAPS) {
      const long maps = smaller(MAPS, s.maps - m);
      for (long k = 0; k < maps; k++) {
        const long at = first * stride + (m + k) * pooled;
        interleave(gz + at, stride, lanes, pooled, g);
        interleave(record + at, stride, lanes, pooled, masks);
        if (!all_finite(g, pooled * N)) return false;
        for (long y = 0; y < rows; y++) {
          const long row = y / s.wh * s.pw * N;
          if (y % s.wh == 0) unpool(s, g + row, masks + row, width, d);
          transform.out_back(d + y % s.wh * width * N, tiles, outputs,
                             d_points + k * map + y * tiles * N, MAPS * map);
        }
      }
      for (long q = 0; q < P; q++)
        for (long i = 0; i < taps; i += smaller(ROWS, s.fh - i % s.fh))
          correlate_tile<T, MAPS, ROWS>(
              maps, smaller(ROWS, s.fh - i % s.fh), d_points + q * MAPS * map, map,
              x_points + (q * s.channels + i / s.fh) * plane + i % s.fh * tiles * N, tiles * N,
              rows * tiles, sums + (m * P * taps + q * taps + i) * N, P * taps * N);
    }
  }
  for (long i = 0; i < s.maps * taps; i++) {
    const long m = i / taps, tap = i % taps;
    T *const row = gw + (m * s.fh + tap % s.fh) * padded + tap / s.fh;
    for (long kx = 0; kx < s.fw; kx++) row[kx * s.channels] = 0;
    for (int q = 0; q < P; q++) {
      const T *lane = sums + ((m * P + q) * taps + tap) * N;
      T sum = 0;
      for (int l = 0; l < N; l++) sum += lane[l];
      for (long kx = 0; kx < s.fw; kx++)
        row[kx * s.channels] += sum * (transform.filter(q, kx, s.fw) / transform.scale);
    }
  }
  return true;
}

}  // namespace lenet
