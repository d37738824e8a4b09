// Kernels of lenet.ops.convpool: convolution and max-pooling at once.
// To be included after simd.h, whose vectors hold N numbers (N = 16 for float32 with AVX-512).
//
// A block is N images; lane l of every vector belongs to image l of the block.  So one scalar of a
// filter times one vector is one tap for N images, whatever the sizes of filters, maps and windows.
//
//     images (n, c, y, x)  ->  rows [c][y][x][lane]
//                          ->  points [q][c][y][tile][lane]      with a transform (Transform::in)
//     filters (m, c, i, j) ->  points [q][m][c][i]               with a transform
//
//     for each block of images                             (threads share the blocks)
//       for each band of pooled rows, for each LENET_TILE maps, for each row of windows
//         for each point q, for each 2 positions of the row
//           sums of 2 positions x 6 maps = 12 registers                              multiply()
//           for each tap c, i, j:    2 loads, 6 broadcast scalars, 12 multiply-adds
//         the values from the points (Transform::out)
//         the largest value of each window, and the bits that say which equal it         pool()
//       scatter the pooled maps back:  [m][y][x][lane] -> (n, m, y, x)
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
  long rows, columns;                    // of an unpooled map: windows end where they do
  long words;                            // of 32 bits, of a window's record
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
    LENET_UNROLL for (int l = 0; l < N; l++) {
      low[l] = (l & S) ? N + l - S : l;
      high[l] = (l & S) ? N + l : l + S;
    }
    LENET_UNROLL for (int i = 0; i < N; i++)
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

// to[j][i] = from[i][j], N x N numbers: reads `rows` rows of from, 0 below, writes `columns` of to
template <typename W, bool WHOLE, typename S, typename D>
LENET_INLINE void transpose_square(const S *from, long from_row, long rows, long columns, D *to,
                                   long to_row) {
  typedef typename Simd<W>::Vec V;
  const int N = Simd<W>::N;
  typedef S From __attribute__((vector_size(N * sizeof(S))));
  typedef D To __attribute__((vector_size(N * sizeof(D))));
  V r[N];
  LENET_UNROLL for (int l = 0; l < N; l++) {
    const bool read = WHOLE || l < rows;
    r[l] = read ? __builtin_convertvector(load<From>(from + l * from_row), V) : V();
  }
  Transpose<W>::run(r);
  LENET_UNROLL for (int l = 0; l < N; l++)
    if (WHOLE || l < columns) store(to + l * to_row, __builtin_convertvector(r[l], To));
}

// to[j][i] = from[i][j] in squares, of which the last ones overlap the previous ones; number by
// number where the shorter side is less than N.  Lanes do not count as a side: there are always N.
// W: the wider of the two types.
template <typename W, typename S, typename D>
void transpose(const S *from, long from_row, long rows, long columns, D *to, long to_row,
               long side) {
  const long N = Simd<W>::N;
  if (side < N) {
    for (long j = 0; j < columns; j++)
      for (long i = 0; i < rows; i++) to[j * to_row + i] = (D)from[i * from_row + j];
    return;
  }
  for (long i = 0; i < rows; i += N)
    for (long j = 0; j < columns; j += N) {
      const long i0 = larger(0, smaller(i, rows - N)), j0 = larger(0, smaller(j, columns - N));
      (smaller(rows, columns) < N ? transpose_square<W, false, S, D>
                                  : transpose_square<W, true, S, D>)(
          from + i0 * from_row + j0, from_row, rows, columns, to + j0 * to_row + i0, to_row);
    }
}

// to[i][lane] = from[lane][i], 0 in lanes without an image
template <typename S, typename D>
void interleave(const S *from, long stride, long lanes, long n, D *to) {
  if (lanes < Simd<D>::N) memset(to, 0, n * Simd<D>::N * sizeof(D));
  transpose<D>(from, stride, lanes, n, to, Simd<D>::N, n);
}

// to[lane][i] = from[i][lane]
template <typename S, typename D>
void deinterleave(const S *from, long n, D *to, long stride, long lanes) {
  transpose<S>(from, Simd<S>::N, n, lanes, to, stride, n);
}

// ------------------------------------------------------------------------------------- forward

// out[position][map] = sum over taps of x[position][tap[k]] * w[map][k]: 2 positions, M maps
template <typename T, int M>
__attribute__((noinline)) void multiply(const T *x0, const T *x1, const long *tap, long taps,
                                        const T *w, T *out) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  V sum[2][M];
  LENET_UNROLL for (int m = 0; m < M; m++) sum[0][m] = sum[1][m] = V();
  for (long k = 0; k < taps; k++) {
    const V left = load<V>(x0 + tap[k]), right = load<V>(x1 + tap[k]);
    LENET_UNROLL for (int m = 0; m < M; m++) {
      sum[0][m] += left * w[m * taps + k];
      sum[1][m] += right * w[m * taps + k];
    }
  }
  LENET_UNROLL for (int m = 0; m < M; m++) {
    store(out + m * N, sum[0][m]);
    store(out + (M + m) * N, sum[1][m]);
  }
}

// multiply() for 1 to M maps
template <typename T, int M>
void multiply_tile(long maps, const T *x0, const T *x1, const long *tap, long taps, const T *w,
                   T *out) {
  if (M == 1 || maps == M) return multiply<T, M>(x0, x1, tap, taps, w, out);
  multiply_tile<T, (M > 1 ? M - 1 : 1)>(maps, x0, x1, tap, taps, w, out);
}

// The largest of a window's values, and bit e set where value e equals it, for some maps.  As in
// Theano's Pool, a NaN stays if it comes first and is passed over if it comes later.  Value e is at
// value[at[e]][map]; ELEMENTS, if it is not 0, is their number.  The elements that a window at the
// border lacks are at the first one's place, and their bits remain 0, as those of words without
// elements.
template <typename T, int ELEMENTS>
void pool(const T *value, const long *at, long elements, long words, T scale, long maps, T *z,
          typename Simd<T>::Int *record, long z_map) {
  typedef typename Simd<T>::Vec V;
  typedef typename Simd<T>::IntVec I;
  const int N = Simd<T>::N;
  if (ELEMENTS) elements = ELEMENTS, words = 1;
  for (long m = 0; m < maps; m++, value += N) {
    V best = load<V>(value);
    LENET_UNROLL for (long e = 1; e < elements; e++) {
      const V v = load<V>(value + at[e] * maps * N);
      best = v > best ? v : best;
    }
    store(z + m * z_map, best * scale);
    for (long first = 0; record && first < 32 * words; first += 32, record += z_map) {
      I mask = I();
      LENET_UNROLL for (long e = first; e < smaller(elements, first + 32); e++) {
        const uint32_t bit = e == 0 || at[e] ? uint32_t(1) << (e - first) : 0;
        mask |= (load<V>(value + at[e] * maps * N) == best) & (typename Simd<T>::Int)bit;
      }
      store(record, mask);
    }
  }
}

// The number of points of the transform of a map's rows, 1 for none.
//
// Costs are vector multiply-adds for a map; each product of a tile takes some 6 more for the
// transform and the way through memory.  `least`: without a transform.  Rounding errors grow with
// the outputs of a tile: up to 4 they are at most twice a plain sum's.  The outputs divide `whole`.
inline int cheapest_points(const Shape &s, long least, long whole) {
  int best = 1;
  for (int points = 4; points <= 8 && s.fw > 1; points += 2) {
    const long outputs = points - s.fw + 1;
    if (outputs < 1 || outputs > 4 || whole % outputs) continue;
    const long tiles = s.ph * s.wh * divide_up(s.pw * s.ww, outputs);
    const long cost = tiles * points * (s.channels * s.fh + 6);
    if (cost < least) {
      least = cost;
      best = points;
    }
  }
  return best;
}

// rows: n rows from y0 on of the images `image` ... in lanes, [c][y][x]; points: if there is a
// transform, [q][c][y][tile].  False if a number is not finite, which a transform would spread.
template <typename T>
bool image_points(const Shape &s, const Transform<T> &transform, const T *x, long image, long y0,
                  long n, long tiles, T *rows, T *points) {
  const long N = Simd<T>::N, planes = s.channels * n, size = planes * s.width;
  for (long c = 0; c < s.channels; c++)
    interleave(x + ((image * s.channels + c) * s.height + y0) * s.width,
               s.channels * s.height * s.width, smaller(N, s.images - image), n * s.width,
               rows + c * n * s.width * N);
  if (transform.points == 1) return true;
  if (!all_finite(rows, size * N)) return false;
  memset(rows + size * N, 0, 8 * N * sizeof(T));  // the last tile may reach beyond
  for (long y = 0; y < planes; y++)
    transform.in(rows + y * s.width * N, tiles, transform.outputs, points + y * tiles * N,
                 planes * tiles * N);
  return true;
}

// Pooled maps of N images, by a transform or, with 1 point, by plain sums.
template <typename T, typename R> struct Forward {
  typedef typename Simd<T>::Int Int;
  enum { N = Simd<T>::N };
  const Shape &s;
  Transform<T> transform;
  long map_tiles, band, n;    // of all maps; rows of windows at a time, and of images for them
  long tiles, positions;      // of a row of windows; positions rounded up to an even number
  long row, point;            // numbers of a row of tiles, of a point
  long taps, w_point;         // of a map's filters at a point; numbers of a point of all filters
  long *element[2][2];        // of a window: its place among the values; [in the last row][column]
  long *at, *tap;             // where positions and taps begin, relative to the first row
  T *w;                       // filters or their points, [q][map][tap]
  Scratch tables;             // memory of all these
  bool failed;                // was there too little

  Forward(const Shape &shape, int points) : s(shape), transform(points, s.fw) {
    const long run = points == 1 ? s.fw : 1;
    map_tiles = divide_up(s.maps, LENET_TILE);
    // at most half a megabyte of images, for the second-level cache
    const long most = (1 << 19) / (s.channels * s.width * N * (long)sizeof(T));
    band = smaller(s.ph, larger(1, (most - s.fh + 1) / s.wh));
    n = band * s.wh + s.fh - 1;
    tiles = divide_up(s.pw * s.ww, transform.outputs);
    positions = divide_up(s.wh * tiles, 2) * 2;
    row = (points == 1 ? s.width : tiles) * N;
    point = s.channels * n * row;
    taps = s.channels * s.fh * run;
    w_point = s.maps * taps;
    tables.add(&at, positions);
    tables.add(&tap, taps);
    tables.add(&w, points * w_point);
    for (int last = 0; last < 4; last++) tables.add(&element[last / 2][last % 2], s.wh * s.ww);
    failed = !tables.allocate();
    if (failed) return;
    for (int last = 0; last < 4; last++)
      for (long e = 0; e < s.wh * s.ww; e++) {
        const bool lacks = (last / 2 && (s.ph - 1) * s.wh + e / s.ww >= s.rows) ||
                           (last % 2 && (s.pw - 1) * s.ww + e % s.ww >= s.columns);
        element[last / 2][last % 2][e] =
            lacks ? 0 : e / s.ww * tiles * transform.outputs + e % s.ww;
      }
    for (long i = 0; i < positions; i++) {
      const long p = smaller(i, s.wh * tiles - 1);
      at[i] = p / tiles * row + p % tiles * N;
    }
    for (long c = 0; c < s.channels; c++)
      for (long i = 0; i < s.fh; i++)
        for (long j = 0; j < run; j++)
          tap[(c * s.fh + i) * run + j] = (c * n + i) * row + j * N;
  }

  // Lanes are images image ...; maps are those of tiles from ... to - 1.  False if there is not
  // enough memory, or if an image is not finite, which a transform would spread.
  bool run(const T *x, T *z, R *record, long image, long from, long to) const {
    const long lanes = smaller(N, s.images - image), size = band * s.pw, words = s.words;
    const long P = transform.points, values_size = positions * LENET_TILE * N;
    T *rows, *points, *products, *sums, *pooled;
    Int *masks;
    Scratch scratch;
    scratch.add(&rows, (s.channels * n * s.width + 8) * N);
    scratch.add(&points, P == 1 ? 0 : P * point);
    scratch.add(&products, P * values_size);
    scratch.add(&sums, transform.outputs * values_size);
    scratch.add(&pooled, LENET_TILE * size * N);
    scratch.add(&masks, record ? LENET_TILE * words * size * N : 0);
    if (!scratch.allocate()) return false;
    for (long y = 0; y < s.ph; y += band) {
      const long y0 = smaller(y, s.ph - band);  // the last band overlaps the previous one
      if (!image_points(s, transform, x, image, y0 * s.wh, n, tiles, rows, points)) return false;
      for (long tile = from; tile < to; tile++) {
        const long m0 = tile * s.maps / map_tiles, maps = (tile + 1) * s.maps / map_tiles - m0;
        for (long i = 0; i < size; i += s.pw) {
          const T *const first = (P == 1 ? rows : points) + i / s.pw * s.wh * row;
          for (long q = 0; q < P; q++)
            for (long p = 0; p < positions; p += 2)
              multiply_tile<T, LENET_TILE>(maps, first + q * point + at[p],
                                           first + q * point + at[p + 1], tap, taps,
                                           w + q * w_point + m0 * taps,
                                           products + (q * positions + p) * maps * N);
          if (P > 1)
            transform.out(products, positions * maps * N, positions, maps, transform.outputs, sums);
          const T *const values = P == 1 ? products : sums;
          for (long px = 0; px < s.pw; px++)
            (s.wh * s.ww == 4 && words == 1 ? pool<T, 4> : pool<T, 0>)(
                values + px * s.ww * maps * N,
                element[y0 + i / s.pw == s.ph - 1][px == s.pw - 1], s.wh * s.ww, words,
                1 / transform.scale, maps, pooled + (i + px) * N,
                record ? masks + (i + px) * N : 0, size * N);
        }
        const long area = s.ph * s.pw, first_map = image * s.maps + m0;
        for (long m = 0; m < maps; m++)
          deinterleave(pooled + m * size * N, size, z + (first_map + m) * area + y0 * s.pw,
                       s.maps * area, lanes);
        for (long k = 0; record && k < maps * words; k++)
          deinterleave(masks + k * size * N, size,
                       record + (first_map * words + k) * area + y0 * s.pw, s.maps * words * area,
                       lanes);
      }
    }
    return true;
  }
};

// z: images x maps x ph x pw; record, or null: images x maps x words x ph x pw.  False if there is
// not enough memory.
template <typename T, typename R>
bool convpool_forward(const Shape &s, const T *x, const T *w, bool flip, T *z, R *record,
                      int threads) {
  if (s.images * s.maps * s.ph * s.pw == 0) return true;
  // Where a record is kept, tiles may not reach into the next window: a tie of a window whose
  // inputs are all equal (the empty border of a digit) would be lost to rounding errors from inputs
  // that it does not see.
  const long area = s.fh * s.fw, products = s.oh * s.ow * s.channels * area;
  const int points = cheapest_points(s, s.ph * s.wh * s.pw * s.ww * s.channels * area,
                                     record ? s.ww : 0);
  Forward<T, R> direct(s, 1), fast(s, points);
  T *columns;
  Scratch scratch;
  scratch.add(&columns, direct.w_point);
  if (direct.failed || fast.failed || !scratch.allocate()) return false;
  for (long i = 0; i < direct.w_point; i += area)  // filters as correlation takes them
    for (long k = 0; k < area; k++) direct.w[i + k] = w[i + (flip ? area - 1 - k : k)];
  const bool transformed = points > 1 && all_finite(direct.w, direct.w_point);
  if (transformed)
    fast.transform.filters(direct.w, fast.w_point, s.fw, columns, fast.w);
  // few blocks: threads share a block's maps, each with images of its own in its scratch
  const long blocks = divide_up(s.images, Simd<T>::N), tiles = direct.map_tiles;
  const long share = blocks >= 4 * threads ? 1 : smaller(tiles, threads);
  // 4e6: 80 microseconds; less is not worth waking a thread up
  if ((double)s.images * s.maps * products < 4e6) threads = 1;
  bool failed = false;
  LENET_PRAGMA(omp parallel for schedule(dynamic) num_threads(threads))
  for (long i = 0; i < blocks * share; i++) {
    const long image = i / share * Simd<T>::N;
    const long from = i % share * tiles / share, to = (i % share + 1) * tiles / share;
    if (!(transformed && fast.run(x, z, record, image, from, to)) &&
        !direct.run(x, z, record, image, from, to))
      failed = true;
  }
  return !failed;
}

}  // namespace lenet
