// The gradient of the filters of lenet.ops.convpool from all positions of the maps.
// To be included after convpool_forward.h.
//
// For images of few channels, whose filter rows would leave most of a vector empty in
// convpool_hits.h: one channel has runs of 5 numbers.  Lanes are images again, and the gradient of
// the unpooled maps is 0 where an element is not the largest of its window.
//
//     gradient, record  ->  d [row][x][lane], a map's row of windows  ->  points [q][m][tile][y]
//
//     for each block of images, for each 4 maps, for each point q
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
// leave the second-level cache, or would take more multiply-adds for a window of N images.
template <typename T> int gradient_points(const Shape &s) {
  const long N = Simd<T>::N, vectors = s.fh * divide_up(s.fw * s.channels, N);
  if (s.maps * s.channels * s.fh > 1024) return 1;
  return cheapest_points(s, s.ph * s.pw * N * (8 + 2 * vectors), 0);
}

template <typename T, typename R> struct Dense {
  typedef typename Simd<T>::Int Int;
  typedef typename Simd<T>::IntVec IntVec;
  typedef void (*Function)(const T *, long, const T *, long, long, T *, long);
  // 4 maps x 5 rows, 4 gradients and an input are 25 registers; 2 maps are 13
  enum { N = Simd<T>::N, MAPS = LENET_REGISTERS == 32 ? 4 : 2, ROWS = 5 };
  const Shape &s;
  Transform<T> transform;
  long tiles, width, rows;   // of a map's row; its elements in tiles; rows that are in windows
  long pooled, image, taps;  // elements of a pooled map, of an image; of a filter at a point
  long map, plane;           // numbers of a map's and of a channel's point

  Dense(const Shape &shape, int points) : s(shape), transform(points, s.fw) {
    tiles = divide_up(s.pw * s.ww, transform.outputs);
    width = tiles * transform.outputs;
    rows = s.ph * s.wh;
    pooled = s.ph * s.pw;
    image = s.channels * s.height * s.width;
    taps = s.channels * s.fh;
    map = rows * tiles * N;
    plane = s.height * tiles * N;
  }

  // d[row of the window][column] = g where the element equals the maximum, else 0
  void unpool(const T *g, const Int *masks, T *d) const {
    for (long px = 0; px < s.pw; px++, g += N, masks += N) {
      uint32_t bit = 1;
      for (long r = 0; r < s.wh; r++)
        for (long c = 0; c < s.ww; c++, bit <<= 1) {
          const IntVec hit = (load<IntVec>(masks) & (Int)bit) != 0;
          store(d + (r * width + px * s.ww + c) * N, load<IntVec>(g) & hit);
        }
    }
  }

  // the function for maps, M at most, and for filter rows, K at most
  template <int M, int K> static Function of_rows(long k) {
    return K == 1 || k == K ? correlate<T, M, K> : of_rows<M, (K > 1 ? K - 1 : 1)>(k);
  }
  template <int M> static Function of_maps(long maps, long k) {
    return M == 1 || maps == M ? of_rows<M, ROWS>(k) : of_maps<(M > 1 ? M - 1 : 1)>(maps, k);
  }

  // images from ... to - 1, maps m0 ... m1 - 1; gw: [map][ky][kx, channel], rows of padded numbers.
  // False if an image or a gradient is not finite, which a transform would spread, or if there is
  // not enough memory.
  bool run_block(const T *x, const T *gz, const R *record, long from, long to, long m0, long m1,
                 T *gw, long padded) const {
    const int P = transform.points;
    T *g, *d, *d_points, *images, *x_points, *sums;  // sums: [map][point][channel, row]
    Int *masks;
    Scratch scratch;
    scratch.add(&g, pooled * N);
    scratch.add(&masks, pooled * N);
    scratch.add(&d, s.wh * width * N);
    scratch.add(&d_points, P * MAPS * map);
    scratch.add(&images, (image + 8) * N);
    scratch.add(&x_points, P * s.channels * plane);
    scratch.add(&sums, (m1 - m0) * P * taps * N);
    if (!scratch.allocate()) return false;
    memset(d, 0, s.wh * width * N * sizeof(T));  // the columns that are in no window
    memset(images + image * N, 0, 8 * N * sizeof(T));  // the last tile may reach beyond
    memset(sums, 0, (m1 - m0) * P * taps * N * sizeof(T));
    for (long first = from; first < to; first += N) {
      const long lanes = smaller(N, to - first), stride = s.maps * pooled;
      interleave(x + first * image, image, lanes, image, images);
      if (!all_finite(images, image * N)) return false;
      for (long y = 0; y < s.channels * s.height; y++)
        transform.in(images + y * s.width * N, tiles, transform.outputs, x_points + y * tiles * N,
                     s.channels * plane);
      for (long m = m0; m < m1; m += MAPS) {
        const long maps = smaller(MAPS, m1 - m);
        for (long k = 0; k < maps; k++) {
          const long at = first * stride + (m + k) * pooled;
          interleave(gz + at, stride, lanes, pooled, g);
          interleave(record + at, stride, lanes, pooled, masks);
          if (!all_finite(g, pooled * N)) return false;
          for (long y = 0; y < rows; y++) {
            const long row = y / s.wh * s.pw * N;
            if (y % s.wh == 0) unpool(g + row, masks + row, d);
            transform.out_back(d + y % s.wh * width * N, tiles, transform.outputs,
                               d_points + k * map + y * tiles * N, MAPS * map);
          }
        }
        for (long q = 0; q < P; q++)
          for (long i = 0; i < taps; i += smaller(ROWS, s.fh - i % s.fh))
            of_maps<MAPS>(maps, smaller(ROWS, s.fh - i % s.fh))(
                d_points + q * MAPS * map, map,
                x_points + (q * s.channels + i / s.fh) * plane + i % s.fh * tiles * N, tiles * N,
                rows * tiles, sums + ((m - m0) * P * taps + q * taps + i) * N, P * taps * N);
      }
    }
    for (long i = 0; i < (m1 - m0) * taps; i++) {
      const long m = i / taps, tap = i % taps;
      T *const row = gw + ((m0 + m) * s.fh + tap % s.fh) * padded + tap / s.fh;
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
};

}  // namespace lenet
