// Kernels of lenet.ops.convpool: convolution and max-pooling at once.
// To be included after simd.h, whose vectors hold N numbers (N = 16 for float32 with AVX-512).
//
// A block is N images; lane l of every vector belongs to image l of the block.  So one scalar of a
// filter times one vector is one tap for N images, whatever the sizes of filters, maps and windows.
//
//     images (n, c, y, x)  ->  rows [c][y][x][lane]        a band of rows, at most half a megabyte
//                          ->  points [q][c][tile][y][lane]      with a transform (Transform::in)
//     filters (m, c, i, j) ->  points [q][m][c][i]               with a transform
//
//     for each block of images                             (threads share the blocks)
//       for each band of pooled rows: interleave the images' rows
//         for each LENET_TILE maps
//           for each group of whole windows in the band
//             for each point q, for each 2 positions of the group
//               sums of 2 positions x 6 maps = 12 registers                          multiply()
//               for each tap c, i, j:    2 loads, 6 broadcast scalars, 12 multiply-adds
//             the values from the points (Transform::out)
//             the largest value of each window, and the bits that say which equal it     pool()
//           scatter the pooled maps back:  [m][y][x][lane] -> (n, m, y, x)
//
//                position 0   1                     map   0  1  2  3  4  5
//                  +-----+-----+          position 0      s  s  s  s  s  s
//                  |  x  |  x  |                   1      s  s  s  s  s  s   s += x[p] * w[map]
//                  +-----+-----+
//
// A position is an element of an unpooled map and a tap an element of a filter; with a transform, a
// position is a point of a tile, and a tap a point of a row of a filter.

// Maps per register tile.  2 positions x 6 maps, 2 loads and a scalar are 15 of the 16 registers
// that AVX2 has, and 12 sums keep two units busy whose results take 4 cycles each.
#define LENET_TILE 6

namespace lenet {

struct Shape {
  long images, channels, height, width;  // x: images x channels x height x width
  long maps, fh, fw;                     // w: maps x channels x fh x fw
  long wh, ww;                           // window of the max-pooling
  long oh, ow;                           // unpooled map: oh = height - fh + 1
  long ph, pw;                           // pooled map: ph = oh / wh
};

// ---------------------------------------------------------------- images <-> lanes of a vector

// N vectors of N lanes, transposed in log2(N) stages: stage S swaps the S-blocks off the diagonal.
template <typename T, int S = Simd<T>::N / 2> struct Transpose {
  enum { N = Simd<T>::N };
  typedef typename Simd<T>::Vec V;
  static LENET_INLINE void run(V *r) {
#if defined(__clang__)
    V t[N];
    for (int i = 0; i < N; i++)
      for (int l = 0; l < N; l++) t[i][l] = r[(i & ~S) | (l & S)][(l & ~S) | (i & S)];
    memcpy(r, t, sizeof t);
#else
    typename Simd<T>::IntVec low, high;
#pragma GCC unroll 16
    for (int l = 0; l < N; l++) {
      low[l] = (l & S) ? N + l - S : l;
      high[l] = (l & S) ? N + l : l + S;
    }
#pragma GCC unroll 16
    for (int i = 0; i < N; i++)
      if (!(i & S)) {
        V a = r[i], b = r[i + S];
        r[i] = __builtin_shuffle(a, b, low);
        r[i + S] = __builtin_shuffle(a, b, high);
      }
#endif
    Transpose<T, S / 2>::run(r);
  }
};
template <typename T> struct Transpose<T, 0> {
  static LENET_INLINE void run(typename Simd<T>::Vec *) {}
};

// to[i][lane] = from[lane][i], 0 in lanes without an image; S may be narrower than D
template <typename S, typename D>
void interleave(const S *from, long stride, long lanes, long n, D *to) {
  typedef typename Simd<D>::Vec V;
  const int N = Simd<D>::N;
  typedef S Narrow __attribute__((vector_size(N * sizeof(S))));
  long i = 0;
  if (lanes == N)
    for (; i + N <= n; i += N) {
      V r[N];
#pragma GCC unroll 16
      for (int l = 0; l < N; l++)
        r[l] = __builtin_convertvector(load<Narrow>(from + l * stride + i), V);
      Transpose<D>::run(r);
#pragma GCC unroll 16
      for (int l = 0; l < N; l++) store(to + (i + l) * N, r[l]);
    }
  for (; i < n; i++)
    for (int l = 0; l < N; l++) to[i * N + l] = l < lanes ? (D)from[l * stride + i] : D(0);
}

// to[lane][i] = from[i][lane]; D may be narrower than S
template <typename S, typename D>
void deinterleave(const S *from, long n, D *to, long stride, long lanes) {
  typedef typename Simd<S>::Vec V;
  const int N = Simd<S>::N;
  typedef D Narrow __attribute__((vector_size(N * sizeof(D))));
  long i = 0;
  if (lanes == N)
    for (; i + N <= n; i += N) {
      V r[N];
#pragma GCC unroll 16
      for (int l = 0; l < N; l++) r[l] = load<V>(from + (i + l) * N);
      Transpose<S>::run(r);
#pragma GCC unroll 16
      for (int l = 0; l < N; l++)
        store(to + l * stride + i, __builtin_convertvector(r[l], Narrow));
    }
  for (; i < n; i++)
    for (int l = 0; l < lanes; l++) to[l * stride + i] = (D)from[i * N + l];
}

// False as well where numbers are so large that a transform might overflow.
template <typename T> bool all_finite(const T *x, long n) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  const T big = 1 << 20;
  V nan = V();
  long i = 0;
  for (; i + N <= n; i += N) {
    const V v = load<V>(x + i) * big;
    nan += v - v;
  }
  T sum = 0;
  for (int l = 0; l < N; l++) sum += nan[l];
  for (; i < n; i++) sum += x[i] * big - x[i] * big;
  return sum == sum;
}

// ------------------------------------------------------------------------------------- forward

// The taps of a sum: rows of `run` neighbours, in x at at[row] and in a filter w_row apart.
struct Taps {
  long rows, run, w_row;
  const long *at;
};

// out[position][map] = sum over taps of x[at[position] + tap] * w[map][tap]: 2 positions, M maps
template <typename T, int M>
__attribute__((noinline)) void multiply(const Taps &taps, const T *x, const long *at, const T *w,
                                        long w_map, T *out, long out_position, long out_map) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  const T *const x0 = x + at[0], *const x1 = x + at[1];
  const long rows = taps.rows, run = taps.run, w_row = taps.w_row, *const row = taps.at;
  V sum[2][M];
#pragma GCC unroll 8
  for (int m = 0; m < M; m++) sum[0][m] = sum[1][m] = V();
  for (long r = 0; r < rows; r++, w += w_row) {
    const T *a = x0 + row[r], *b = x1 + row[r];
    for (const T *v = w; v < w + run; v++, a += N, b += N) {
      const V left = load<V>(a), right = load<V>(b);
#pragma GCC unroll 8
      for (int m = 0; m < M; m++) {
        sum[0][m] += left * v[m * w_map];
        sum[1][m] += right * v[m * w_map];
      }
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; m++) {
    store(out + m * out_map, sum[0][m]);
    store(out + m * out_map + out_position, sum[1][m]);
  }
}

// multiply() for 1 to M maps
template <typename T, int M>
void multiply_tile(long maps, const Taps &taps, const T *x, const long *at, const T *w, long w_map,
                   T *out, long out_position, long out_map) {
  if (M == 1 || maps == M)
    return multiply<T, M>(taps, x, at, w, w_map, out, out_position, out_map);
  multiply_tile<T, (M > 1 ? M - 1 : 1)>(maps, taps, x, at, w, w_map, out, out_position, out_map);
}

// The largest of a window's values, and bit e set where value e equals it, for some maps.  As in
// Theano's Pool, a NaN stays if it comes first and is passed over if it comes later.  Value e is at
// value[at[e]][map]; ELEMENTS, if it is not 0, is their number.
template <typename T, int ELEMENTS>
void pool(const T *value, const long *at, long elements, T scale, long maps, T *z,
          typename Simd<T>::Int *record, long z_map) {
  typedef typename Simd<T>::Vec V;
  typedef typename Simd<T>::IntVec I;
  const int N = Simd<T>::N;
  if (ELEMENTS) elements = ELEMENTS;
  for (long m = 0; m < maps; m++, value += N) {
    V best = load<V>(value);
#pragma GCC unroll 4
    for (long e = 1; e < elements; e++) {
      const V v = load<V>(value + at[e] * maps * N);
      best = v > best ? v : best;
    }
    I mask = I();
#pragma GCC unroll 4
    for (long e = 0; record && e < elements; e++) {
      const typename Simd<T>::Int bit = (typename Simd<T>::Int)(uint32_t(1) << e);
      mask |= (load<V>(value + at[e] * maps * N) == best) & bit;
    }
    store(z + m * z_map, best * scale);
    if (record) store(record + m * z_map, mask);
  }
}

// How the values of a row of windows are computed: with a transform, or without (1 point).
template <typename T> struct Plan {
  enum { N = Simd<T>::N };
  Transform<T> transform;
  const T *w;                            // filters or their points, [q][map][channel, ...]
  long w_point, w_map;                   // from one point to the next, from one map to the next
  long tiles, windows, groups, per_row;  // tiles of a row of windows; windows of a group; groups
                                         // of a row; tiles of a group's row
  long positions;                        // of a group
  long point, points_size;               // numbers of a point's plane, of all in scratch
  long x_step, y_step;                   // to the next tile, to the next row
  long element[32];                      // of a window: its place among the values
  long per_channel, taps, run, channel;  // rows of taps of a channel, of all; their length; to
                                         // the next channel
  struct Work {
    T *points, *products, *values;
    long *at;  // of each position of each group
    Taps taps;
  };

  Plan(const Shape &s, int number, long rows) : transform(number, s.fw) {
    const long outputs = transform.outputs;
    tiles = divide_up(s.pw * s.ww, outputs);
    windows = 1;  // as many as make whole tiles and an even number of positions
    while (windows * s.ww % outputs || s.wh * windows * s.ww / outputs % 2) windows++;
    groups = divide_up(s.pw, windows);
    per_row = windows * s.ww / outputs;
    positions = s.wh * per_row;
    for (long e = 0; e < s.wh * s.ww; e++) element[e] = e / s.ww * windows * s.ww + e % s.ww;
    per_channel = number == 1 ? s.fh : 1;
    taps = s.channels * per_channel;
    run = number == 1 ? s.fw : s.fh;
    channel = rows * (number == 1 ? s.width : tiles) * N;
    x_step = number == 1 ? N : rows * N;
    y_step = number == 1 ? s.width * N : N;
    point = s.channels * channel;
    points_size = number == 1 ? 0 : number * point;
    w_map = taps * run;
    w_point = divide_up(s.maps * w_map, N) * N;
  }
  size_t bytes() const {
    const long values = positions * LENET_TILE * N;
    return Scratch::size<T>(points_size) + Scratch::size<long>(taps) +
           Scratch::size<long>(groups * positions) +
           Scratch::size<T>(transform.points * values) +
           Scratch::size<T>(transform.outputs * values);
  }
  Work take(Scratch &scratch) const {
    const long values = positions * LENET_TILE * N;
    Work work;
    work.points = scratch.take<T>(points_size);
    work.products = scratch.take<T>(transform.points * values);
    work.values = scratch.take<T>(transform.outputs * values);
    work.at = scratch.take<long>(groups * positions);
    for (long i = 0; i < groups * positions; i++) {
      const long tile = i / positions * per_row + i % per_row;
      work.at[i] = smaller(tile, tiles - 1) * x_step + i % positions / per_row * y_step;
    }
    long *const rows = scratch.take<long>(taps);
    for (long i = 0; i < taps; i++) rows[i] = i / per_channel * channel + i % per_channel * y_step;
    work.taps.rows = taps;
    work.taps.run = work.taps.w_row = run;
    work.taps.at = rows;
    return work;
  }
  // values[row of the window][column][map] of a group; x: the points of its first row of images
  const T *values(const Work &work, const T *x, long group, long map, long maps) const {
    for (int q = 0; q < transform.points; q++)
      for (long i = 0; i < positions; i += 2)
        multiply_tile<T, LENET_TILE>(
            maps, work.taps, x + q * point, work.at + group * positions + i,
            w + q * w_point + map * w_map, w_map, work.products + (q * positions + i) * maps * N,
            maps * N, N);
    if (transform.points == 1) return work.products;
    transform.out(work.products, positions * maps * N, positions, maps, transform.outputs,
                  work.values);
    return work.values;
  }
};

// The number of points of the forward transform, 1 for none.
//
// Costs are vector multiply-adds for a row of windows of a map.  With a transform, each product
// of a tile costs some 6 more for in(), out() and the way through memory.  Where a record is kept,
// tiles may not reach into the next window: a tie of a window whose inputs are all equal (the
// empty border of a digit) would be lost to rounding errors from inputs that it does not see.
// Rounding errors grow with the outputs of a tile: up to 4 they are at most twice a plain sum's.
inline int forward_points(const Shape &s, bool record) {
  int best = 1;
  long least = s.pw * s.ww * s.channels * s.fh * s.fw;
  for (int points = 4; points <= 8; points += 2) {
    const long outputs = points - s.fw + 1;
    if (s.fw < 2 || outputs < 1 || outputs > 4 || (record && s.ww % outputs)) continue;
    const long cost = divide_up(s.pw * s.ww, outputs) * points * (s.channels * s.fh + 6);
    if (cost < least) {
      least = cost;
      best = points;
    }
  }
  return best;
}

// Lanes are images image ...; maps are those of tiles from ... to - 1.
template <typename T, typename R> struct ForwardBlock {
  typedef typename Simd<T>::Int Int;
  enum { N = Simd<T>::N };
  const Shape &s;
  long band, rows_size, map_tiles;  // pooled rows per band; of a band of images; of all maps
  Plan<T> direct, fast;

  ForwardBlock(const Shape &shape, int points)
      : s(shape), band(rows_per_band(shape, points)), map_tiles(divide_up(s.maps, LENET_TILE)),
        direct(s, 1, band * s.wh + s.fh - 1), fast(s, points, band * s.wh + s.fh - 1) {
    rows_size = direct.point + 8 * N;
  }
  // at most half a megabyte of image rows, or of their points, for the second-level cache
  static long rows_per_band(const Shape &s, int points) {
    const long elements = points == 1 ? s.width : points * Plan<T>(s, points, 1).tiles;
    const long row = s.channels * elements * N * sizeof(T);
    return smaller(s.ph, larger(1, ((1 << 19) / row - s.fh + 1) / s.wh));
  }
  size_t bytes() const {
    return Scratch::size<T>(rows_size) + direct.bytes() + fast.bytes() +
           Scratch::size<T>(LENET_TILE * band * s.pw * N) +
           Scratch::size<Int>(LENET_TILE * band * s.pw * N);
  }

  void run(const T *x, T *z, R *record, long image, long from, long to, Scratch &scratch) const {
    const long lanes = smaller(N, s.images - image), area = s.height * s.width;
    T *const rows = scratch.take<T>(rows_size);
    T *const pooled = scratch.take<T>(LENET_TILE * band * s.pw * N);
    Int *const masks = scratch.take<Int>(LENET_TILE * band * s.pw * N);
    const typename Plan<T>::Work by_taps = direct.take(scratch), by_points = fast.take(scratch);
    for (long y0 = 0; y0 < s.ph; y0 += band) {
      const long y1 = smaller(s.ph, y0 + band), n = (y1 - y0) * s.wh + s.fh - 1;
      bool transformed = fast.w != 0;
      for (long c = 0; c < s.channels; c++) {
        T *const plane = rows + c * direct.channel;
        interleave(x + (image * s.channels + c) * area + y0 * s.wh * s.width, s.channels * area,
                   lanes, n * s.width, plane);
        memset(plane + n * s.width * N, 0, 8 * N * sizeof(T));  // the last tile may reach beyond
        transformed = transformed && all_finite(plane, n * s.width * N);
      }
      for (long i = 0; transformed && i < s.channels * n; i++)
        fast.transform.in(rows + i / n * direct.channel + i % n * s.width * N, fast.tiles,
                          fast.transform.outputs,
                          by_points.points + i / n * fast.channel + i % n * N, fast.point,
                          fast.x_step);
      const Plan<T> &plan = transformed ? fast : direct;
      const T scale = 1 / plan.transform.scale, *const in = transformed ? by_points.points : rows;
      for (long tile = from; tile < to; tile++) {
        const long m0 = tile * s.maps / map_tiles, maps = (tile + 1) * s.maps / map_tiles - m0;
        const long size = (y1 - y0) * s.pw;  // pooled elements of a map in this band
        for (long y = 0; y < y1 - y0; y++)
          for (long g = 0; g < plan.groups; g++) {
            const T *const values = plan.values(transformed ? by_points : by_taps,
                                                in + y * s.wh * plan.y_step, g, m0, maps);
            const long first = g * plan.windows;
            for (long px = first; px < smaller(s.pw, first + plan.windows); px++) {
              const long to = (y * s.pw + px) * N;
              (s.wh * s.ww == 4 ? pool<T, 4> : pool<T, 0>)(
                  values + (px - first) * s.ww * maps * N, plan.element, s.wh * s.ww, scale, maps,
                  pooled + to, record ? masks + to : 0, size * N);
            }
          }
        for (long m = 0; m < maps; m++) {
          const long stride = s.maps * s.ph * s.pw;
          const long offset = image * stride + (m0 + m) * s.ph * s.pw + y0 * s.pw;
          deinterleave(pooled + m * size * N, size, z + offset, stride, lanes);
          if (record) deinterleave(masks + m * size * N, size, record + offset, stride, lanes);
        }
      }
    }
  }
};

// to[map][channel][row, column]: filters as correlation takes them
template <typename T> void as_correlation(const Shape &s, const T *w, bool flip, T *to) {
  const long area = s.fh * s.fw;
  for (long first = 0; first < s.maps * s.channels * area; first += area)
    for (long k = 0; k < area; k++) to[first + k] = w[first + (flip ? area - 1 - k : k)];
}

// z and record (or null): images x maps x ph x pw.  False if there is not enough memory.
template <typename T, typename R>
bool convpool_forward(const Shape &s, const T *x, const T *w, bool flip, T *z, R *record,
                      int threads) {
  if (s.images * s.maps * s.ph * s.pw == 0) return true;
  ForwardBlock<T, R> block(s, forward_points(s, record != 0));
  const long filters = s.maps * s.channels * s.fh * s.fw;
  const long points = block.fast.transform.points * block.fast.w_point;
  Scratch shared(Scratch::size<T>(filters) + Scratch::size<T>(points));
  if (shared.failed()) return false;
  T *const own = shared.take<T>(filters), *const own_points = shared.take<T>(points);
  as_correlation(s, w, flip, own);
  block.direct.w = own;
  block.fast.w = 0;
  if (block.fast.transform.points > 1 && all_finite(own, filters)) {
    block.fast.transform.filters(own, s.maps * s.channels * s.fh, s.fw, own_points,
                                 block.fast.w_point);
    block.fast.w = own_points;
  }
  const long blocks = divide_up(s.images, Simd<T>::N);
  // few blocks: threads share a block's maps, each with images of its own in its scratch
  const long share = blocks >= 4 * threads ? 1 : smaller(block.map_tiles, threads);
  const double work = (double)s.images * s.maps * s.oh * s.ow * s.channels * s.fh * s.fw;
  bool failed = false;
  if (work < 4e6) threads = 1;  // 80 microseconds: less is not worth waking a thread up
  LENET_PRAGMA(omp parallel for schedule(dynamic) num_threads(threads))
  for (long i = 0; i < blocks * share; i++) {
    Scratch scratch(block.bytes());
    if (scratch.failed()) {
      failed = true;
      continue;
    }
    const long part = i % share;
    block.run(x, z, record, i / share * Simd<T>::N, part * block.map_tiles / share,
              (part + 1) * block.map_tiles / share, scratch);
  }
  return !failed;
}

}  // namespace lenet
