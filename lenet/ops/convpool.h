// Kernels of lenet.ops.convpool: convolution and max-pooling at once, and the gradients.
// To be included after simd.h, whose vectors hold N numbers (N = 16 for float32 with AVX-512).
//
// Forward
// -------
// A block is N images; lane l of every vector belongs to image l of the block.  So one scalar of a
// filter times one vector is one tap for N images, whatever the sizes of filters, maps and windows.
//
//     images (n, c, y, x)  ->  rows [c][y][x][lane]        a band of rows, at most half a megabyte
//     filters (m, c, i, j) ->  packed [tile][c, i, j][m]   a tile is up to LENET_TILE maps
//
//     for each block of images                             (threads share the blocks)
//       for each band of pooled rows: interleave the images' rows
//         for each tile of maps
//           for each group of whole windows in the band
//             for each 2 positions of the group            a row of a 2 x 2 window, say
//               sums of 2 positions x 6 maps = 12 registers                          multiply()
//               for each tap c, i, j:    2 loads, 6 broadcast scalars, 12 multiply-adds
//             the largest value of each window, and the bits that say which equal it     pool()
//           scatter the tile's pooled maps back:  [m][y][x][lane] -> (n, m, y, x)
//
//                position 0   1                     map   0  1  2  3  4  5
//                  +-----+-----+          position 0      s  s  s  s  s  s
//                  |  x  |  x  |                   1      s  s  s  s  s  s   s += x[p] * w[map]
//                  +-----+-----+
//
// Backward, by hits (Backward)
// ----------------------------
// Of each window only the elements that equalled the maximum receive gradient: with windows of
// 2 x 2 and without ties, one in four elements of the unpooled maps.  The record is turned into
// lists of these hits (where, how much), by map and by position.  Images are rearranged as
// [y][x][c], filters as [i][m][j, c]: then the part of the image below a hit that a filter's row i
// covers is one contiguous run of (filter columns x channels) numbers, which fills the vectors.
//
//     image [y][x][c]                    filters [i][m][j, c]        their gradient [m][i][j, c]
//     . . . . . . . . . .                m = 0: # # # # #            m = 0: # # # # #
//     . . . # # # # # . .   row y + i        1: # # # # #                1: # # # # #
//     . . . . . . . . . .                    2: # # # # #                2: # # # # #
//           ^ x ... x + j
//
//     for each block of images                             (threads share the blocks)
//       for each image
//         images:   for row i, for position p:  run of registers = image gradient[y + i][x ...]
//                     for each hit at p:        run += g * filters[i][m]
//       for each two images, if the first-level cache has room for two
//         filters:  for map m, for row i:       run of registers = gradient[m][i]
//                     for each hit of map m:    run += g * image[y + i][x ...]
//
// Both inner loops are one function, add_runs().  Registers are loaded and stored once for many
// hits, so that nearly all the work is multiply-adds with an operand from memory.
//
// Backward, at all positions (DenseFilters)
// -----------------------------------------
// An image of one channel has runs of 5 numbers, which leave most of a vector empty.  Where only
// the filters' gradient is wanted (the first layer) and a filter has few taps, lanes are images
// again:
//
//     gradient and record -> d [m][y][x][lane]             0 where the element is not the maximum
//     for each block of images, for each LENET_DENSE_MAPS maps, for each pooled row
//       for each row of a filter, 5 taps at a time                                  correlate()
//         sums of 4 maps x 5 taps = 20 registers
//         for each position x:           4 loads of d, 5 of the image, 20 multiply-adds
//     at the end the lanes are added up
//
// Every block has its own gradient of the filters; blocks follow from the shapes alone and are
// summed in order, so that results are bit-identical for any number of threads.
//
// Where a filter or an image is not finite, hits with gradient 0 are listed as well: 0 times
// infinity is NaN, as it is in Theano's own ops.

// LENET_TILE: maps per register tile.  2 positions x 6 maps, 2 loads and a scalar are 15 of the 16
// registers that AVX2 has, and 12 sums keep two units busy whose results take 4 cycles each.
// LENET_SUMS: sums that the backward kernels keep in registers; 13 and three factors are 16.
// LENET_DENSE_MAPS: maps whose sums of 5 taps, with 1 + LENET_DENSE_MAPS factors, fit them.
#define LENET_TILE 6
#if defined(__AVX512F__) || defined(__aarch64__)
#define LENET_SUMS 16
#define LENET_DENSE_MAPS 4
#else
#define LENET_SUMS 13
#define LENET_DENSE_MAPS 2
#endif

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

// ------------------------------------------------------------------------------------- forward

// out[position][map] = sum over taps of x[at[position] + tap] * w[tap][map]: 2 positions, M maps
template <typename T, int M>
void multiply(const Shape &s, const T *x, const long *at, long plane, const T *w, T *out) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  V sum[2][M];
#pragma GCC unroll 8
  for (int m = 0; m < M; m++) sum[0][m] = sum[1][m] = V();
  const T *x0 = x + at[0], *x1 = x + at[1];
  for (long c = 0; c < s.channels; c++)
    for (long ky = 0; ky < s.fh; ky++) {
      const long row = c * plane + ky * s.width * N;
      for (long k = row; k < row + s.fw * N; k += N, w += M) {
        const V a = load<V>(x0 + k), b = load<V>(x1 + k);
#pragma GCC unroll 8
        for (int m = 0; m < M; m++) {
          sum[0][m] += a * w[m];
          sum[1][m] += b * w[m];
        }
      }
    }
#pragma GCC unroll 8
  for (int m = 0; m < M; m++) {
    store(out + m * N, sum[0][m]);
    store(out + (M + m) * N, sum[1][m]);
  }
}

// multiply() for 1 to M maps
template <typename T, int M>
void multiply_tile(long maps, const Shape &s, const T *x, const long *at, long plane, const T *w,
                   T *out) {
  if (M == 1 || maps == M) return multiply<T, M>(s, x, at, plane, w, out);
  multiply_tile<T, (M > 1 ? M - 1 : 1)>(maps, s, x, at, plane, w, out);
}

// The largest of one window's values, and bit e set where value e equals it.  As in Theano's Pool,
// a NaN stays if it comes first and is passed over if it comes later.
template <typename T>
LENET_INLINE void pool(const T *value, long step, long elements, T *z,
                       typename Simd<T>::Int *record) {
  typedef typename Simd<T>::Vec V;
  typedef typename Simd<T>::IntVec I;
  V best = load<V>(value);
  for (long e = 1; e < elements; e++) {
    V v = load<V>(value + e * step);
    best = v > best ? v : best;
  }
  store(z, best);
  if (!record) return;
  I mask = I();
  for (long e = 0; e < elements; e++) {
    const typename Simd<T>::Int bit = (typename Simd<T>::Int)(uint32_t(1) << e);
    mask |= (load<V>(value + e * step) == best) & bit;
  }
  store(record, mask);
}

// w as tiles of up to LENET_TILE maps, of sizes as equal as can be: [tile][channel, ky, kx][map]
template <typename T> struct Filters {
  long tiles, taps, maps;
  T *packed;
  long first(long tile) const { return tile * maps / tiles; }
  void pack(const Shape &s, const T *w, bool flip) {
    for (long t = 0; t < tiles; t++) {
      T *to = packed + first(t) * taps;
      for (long k = 0; k < taps; k++) {
        const long area = s.fh * s.fw, tap = k % area;
        const T *from = w + (k - tap) + (flip ? area - 1 - tap : tap);
        for (long m = first(t); m < first(t + 1); m++) *to++ = from[m * taps];
      }
    }
  }
};

// Lanes are images first_image ...; maps are those of tiles from ... to-1.
template <typename T, typename R> struct ForwardBlock {
  typedef typename Simd<T>::Int Int;
  enum { N = Simd<T>::N };
  const Shape &s;
  long elements, group, band;  // of a window; windows per group; pooled rows per band
  long groups, plane;

  explicit ForwardBlock(const Shape &shape) : s(shape) {
    elements = s.wh * s.ww;
    group = elements % 2 == 0 ? 1 : 2;  // an even number of positions
    groups = divide_up(s.pw, group);
    // at most half a megabyte of image rows, for the second-level cache
    const long row = s.channels * s.width * N * sizeof(T);
    band = smaller(s.ph, larger(1, ((1 << 19) / row - s.fh + 1) / s.wh));
    plane = (band * s.wh + s.fh - 1) * s.width * N;
  }
  size_t bytes() const {
    return Scratch::size<T>(s.channels * plane) + Scratch::size<long>(groups * group * elements) +
           Scratch::size<T>(group * elements * LENET_TILE * N) +
           Scratch::size<T>(LENET_TILE * band * s.pw * N) +
           Scratch::size<Int>(LENET_TILE * band * s.pw * N);
  }

  void run(const T *x, const Filters<T> &w, T *z, R *record, long image, long from, long to,
           Scratch &scratch) const {
    const long lanes = smaller(N, s.images - image);
    T *const rows = scratch.take<T>(s.channels * plane);
    long *const at = scratch.take<long>(groups * group * elements);
    T *const values = scratch.take<T>(group * elements * LENET_TILE * N);
    T *const pooled = scratch.take<T>(LENET_TILE * band * s.pw * N);
    Int *const masks = scratch.take<Int>(LENET_TILE * band * s.pw * N);
    for (long i = 0; i < groups * group * elements; i++) {
      const long px = smaller(i / elements, s.pw - 1), e = i % elements;
      at[i] = (e / s.ww * s.width + px * s.ww + e % s.ww) * N;
    }
    for (long y0 = 0; y0 < s.ph; y0 += band) {
      const long y1 = smaller(s.ph, y0 + band);
      const long n = ((y1 - y0) * s.wh + s.fh - 1) * s.width;
      const long area = s.height * s.width;
      for (long c = 0; c < s.channels; c++)
        interleave(x + (image * s.channels + c) * area + y0 * s.wh * s.width, s.channels * area,
                   lanes, n, rows + c * plane);
      for (long tile = from; tile < to; tile++) {
        const long m0 = w.first(tile), maps = w.first(tile + 1) - m0;
        const long size = (y1 - y0) * s.pw;  // pooled elements of a map in this band
        for (long y = y0; y < y1; y++)
          for (long g = 0; g < groups; g++) {
            const T *const top = rows + (y - y0) * s.wh * s.width * N;
            for (long i = 0; i < group * elements; i += 2)
              multiply_tile<T, LENET_TILE>(maps, s, top, at + g * group * elements + i, plane,
                                           w.packed + m0 * w.taps, values + i * maps * N);
            for (long px = g * group; px < smaller(s.pw, (g + 1) * group); px++)
              for (long m = 0; m < maps; m++) {
                const long i = m * size + (y - y0) * s.pw + px;
                pool<T>(values + ((px - g * group) * elements * maps + m) * N, maps * N, elements,
                        pooled + i * N, record ? masks + i * N : 0);
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

// z and record (or null): images x maps x ph x pw.  False if there is not enough memory.
template <typename T, typename R>
bool convpool_forward(const Shape &s, const T *x, const T *w, bool flip, T *z, R *record,
                      int threads) {
  if (s.images * s.maps * s.ph * s.pw == 0) return true;
  Filters<T> filters;
  filters.maps = s.maps;
  filters.tiles = divide_up(s.maps, LENET_TILE);
  filters.taps = s.channels * s.fh * s.fw;
  Scratch packed(Scratch::size<T>(s.maps * filters.taps));
  if (packed.failed()) return false;
  filters.packed = packed.take<T>(s.maps * filters.taps);
  filters.pack(s, w, flip);

  const ForwardBlock<T, R> block(s);
  const long blocks = divide_up(s.images, Simd<T>::N);
  // few blocks: threads share a block's maps, each with images of its own in its scratch
  const long share = blocks >= 4 * threads ? 1 : smaller(filters.tiles, threads);
  const double work = (double)s.images * s.maps * s.oh * s.ow * filters.taps;
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
    block.run(x, filters, z, record, i / share * Simd<T>::N, part * filters.tiles / share,
              (part + 1) * filters.tiles / share, scratch);
  }
  return !failed;
}

// ------------------------------------------------------------------------------------ backward

// An element of an unpooled map that received gradient g; at: where the other operand's run begins.
template <typename T> struct Hit {
  int32_t at;
  T g;
};

// sums[row][.] += sum over hits of g * x[at + row * step + .]
template <typename T, int RUN, int ROWS>
void add_runs(const Hit<T> *hit, const Hit<T> *end, const T *x, long step, T *sums,
              long sums_step) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  V sum[ROWS][RUN];
#pragma GCC unroll 16
  for (int k = 0; k < ROWS; k++)
#pragma GCC unroll 16
    for (int r = 0; r < RUN; r++) sum[k][r] = load<V>(sums + k * sums_step + r * N);
  for (; hit < end; hit++) {
    const T *run = x + hit->at;
    const T g = hit->g;
#pragma GCC unroll 16
    for (int k = 0; k < ROWS; k++)
#pragma GCC unroll 16
      for (int r = 0; r < RUN; r++) sum[k][r] += g * load<V>(run + k * step + r * N);
  }
#pragma GCC unroll 16
  for (int k = 0; k < ROWS; k++)
#pragma GCC unroll 16
    for (int r = 0; r < RUN; r++) store(sums + k * sums_step + r * N, sum[k][r]);
}

template <typename T> struct AddRuns {
  typedef void (*Function)(const Hit<T> *, const Hit<T> *, const T *, long, T *, long);
  enum { MOST = 5 };  // filter rows taken together
  static int rows(int run) { return smaller(MOST, LENET_SUMS / run); }
  // the function for a run, of RUN vectors at most, and for rows, of ROWS at most
  template <int RUN, int ROWS> static Function of_rows(int rows) {
    if (ROWS == 1 || rows == ROWS) return add_runs<T, RUN, ROWS>;
    return of_rows<RUN, (ROWS > 1 ? ROWS - 1 : 1)>(rows);
  }
  template <int RUN> static Function of_run(int run, int rows) {
    if (RUN == 1 || run == RUN)
      return of_rows<RUN, (LENET_SUMS / RUN < MOST ? LENET_SUMS / RUN : MOST)>(rows);
    return of_run<(RUN > 1 ? RUN - 1 : 1)>(run, rows);
  }
  static Function get(int run, int rows) { return of_run<LENET_SUMS>(run, rows); }
};

template <typename T> bool all_finite(const T *x, long n) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  V nan = V();
  long i = 0;
  for (; i + N <= n; i += N) {
    V v = load<V>(x + i);
    nan += v - v;
  }
  T sum = 0;
  for (int l = 0; l < N; l++) sum += nan[l];
  for (; i < n; i++) sum += x[i] - x[i];
  return sum == sum;
}

// to[j][i] = from[i][j], in squares, of which the last ones overlap the previous ones
template <typename T> void transpose(const T *from, long rows, long columns, T *to) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  if (rows < N || columns < N) {
    for (long i = 0; i < rows; i++)
      for (long j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j];
    return;
  }
  for (long j = 0; j < columns; j += N)
    for (long i = 0; i < rows; i += N) {
      const long i0 = smaller(i, rows - N), j0 = smaller(j, columns - N);
      V r[N];
#pragma GCC unroll 16
      for (int l = 0; l < N; l++) r[l] = load<V>(from + (i0 + l) * columns + j0);
      Transpose<T>::run(r);
#pragma GCC unroll 16
      for (int l = 0; l < N; l++) store(to + (j0 + l) * rows + i0, r[l]);
    }
}

// By hits: visits only the elements of the unpooled maps that received gradient.
template <typename T, typename R> struct Backward {
  typedef typename AddRuns<T>::Function Function;
  enum { N = Simd<T>::N };
  const Shape &s;
  bool want_w, want_x;
  long length, strips, run, padded;  // filter row: elements; strips of run vectors; padded elements
  long size, step;                   // elements of an image; from an image row to the next
  long rows, positions;              // filter rows taken together; positions of an unpooled map
  long together;                     // images whose hits are listed together
  Function add[2];                   // for rows and for the rows that are left at the end
  T *w;                              // filters, [ky][map][kx, channel], rows padded with 0
  bool finite;                       // are they all

  Backward(const Shape &shape, bool gw, bool gx)
      : s(shape), want_w(gw), want_x(gx), w(0), finite(true) {
    length = s.fw * s.channels;
    strips = divide_up(length, LENET_SUMS * N);
    run = divide_up(length, strips * N);
    padded = strips * run * N;
    size = s.height * s.width * s.channels;
    step = s.width * s.channels;
    positions = s.oh * s.ow;
    rows = divide_up(s.fh, divide_up(s.fh, AddRuns<T>::rows(run)));
    // images that fit the first-level cache, so that a map's gradient is loaded once for all
    together = larger(1, smaller(2, 32768 / (size * (long)sizeof(T))));
    add[0] = AddRuns<T>::get(run, rows);
    add[1] = AddRuns<T>::get(run, s.fh % rows);
  }

  bool fits() const {  // the 31 bits of Hit::at
    return (double)size * together < 2147483647. && (double)s.maps * padded < 2147483647.;
  }
  long filters_size() const { return s.fh * s.maps * padded; }

  void pack(const T *from, bool flip) {
    finite = all_finite(from, s.maps * s.channels * s.fh * s.fw);
    memset(w, 0, filters_size() * sizeof(T));
    const long area = s.fh * s.fw;
    for (long m = 0; m < s.maps; m++)
      for (long c = 0; c < s.channels; c++, from += area)
        for (long k = 0; k < area; k++)
          w[(k / s.fw * s.maps + m) * padded + k % s.fw * s.channels + c] =
              from[flip ? area - 1 - k : k];
  }

  size_t bytes() const {
    return Scratch::size<T>(together * size + padded) + Scratch::size<T>(size + padded) +
           Scratch::size<Hit<T> >(s.maps * together * positions) +
           Scratch::size<Hit<T> >(s.maps * positions) + Scratch::size<long>(s.maps) +
           Scratch::size<long>(positions);
  }

  // Hits by map, of several images (at: the pixel of x), and by position, of one image (at: the
  // filter).  Map m has count_of_map[m] hits from map[m * most] on, position p has count[p] from
  // position[p * maps] on.
  struct Hits {
    Hit<T> *map, *position;
    long *count_of_map, *count, most;
  };

  // position: y * ow + x of the unpooled map; pixel: where the filter's run begins in x
  template <bool W, bool X>
  LENET_INLINE void hit(const Hits &h, Hit<T> *&of_map, long m, long position, long pixel,
                        T g) const {
    if (W) {
      of_map->at = (int32_t)pixel;
      of_map++->g = g;
    }
    if (X) {
      Hit<T> &to = h.position[position * s.maps + h.count[position]++];
      to.at = (int32_t)(m * padded);
      to.g = g;
    }
  }

  // image: where the image begins among those taken together
  template <bool W, bool X>
  void collect(const T *gz, const R *record, const Hits h, long image) const {
    const Backward b = *this;      // a copy, which the stores below cannot change
    long position[32], pixel[32];  // of a window's elements, relative to its first one
    for (long e = 0; e < s.wh * s.ww; e++) {
      position[e] = e / s.ww * s.ow + e % s.ww;
      pixel[e] = (e / s.ww * s.width + e % s.ww) * s.channels;
    }
    const Shape s = b.s;
    for (long m = 0; m < s.maps; m++) {
      Hit<T> *const first = h.map + m * h.most, *of_map = first + h.count_of_map[m];
      for (long py = 0; py < s.ph; py++)
        for (long px = 0; px < s.pw; px++) {
          const T g = *gz++;
          const long at = py * s.wh * s.ow + px * s.ww;
          const long x = image + (py * s.wh * s.width + px * s.ww) * s.channels;
          for (uint32_t mask = *record++; mask; mask &= mask - 1) {
            const int e = __builtin_ctz(mask);
            b.template hit<W, X>(h, of_map, m, at + position[e], x + pixel[e], g);
          }
        }
      h.count_of_map[m] = of_map - first;
    }
  }

  // Positions without gradient as well, since 0 times infinity is not 0.
  void collect_all(const T *gz, const R *record, const Hits &h, long image) const {
    for (long m = 0; m < s.maps; m++, gz += s.ph * s.pw, record += s.ph * s.pw) {
      Hit<T> *const first = h.map + m * h.most, *of_map = first + h.count_of_map[m];
      for (long y = 0; y < s.oh; y++)
        for (long x = 0; x < s.ow; x++) {
          const long py = y / s.wh, px = x / s.ww, e = y % s.wh * s.ww + x % s.ww;
          const bool in = py < s.ph && px < s.pw && (record[py * s.pw + px] >> e & 1);
          hit<true, true>(h, of_map, m, y * s.ow + x, image + (y * s.width + x) * s.channels,
                          in ? gz[py * s.pw + px] : T(0));
        }
      h.count_of_map[m] = of_map - first;
    }
  }

  // gw: [map][ky][kx, channel], rows padded
  void add_filters(const Hits &h, const T *x, T *gw) const {
    for (long m = 0; m < s.maps; m++)
      for (long ky = 0; ky < s.fh; ky += rows)
        for (long r = 0; r < padded; r += run * N) {
          const Hit<T> *hits = h.map + m * h.most;
          add[ky + rows > s.fh](hits, hits + h.count_of_map[m], x + ky * step + r, step,
                                gw + (m * s.fh + ky) * padded + r, padded);
        }
  }

  // gx: [pixel][channel].  A run ends in up to N - 1 zeros of w, which add 0 to the next pixels.
  // One filter row after the other, so that this row of all maps stays in the first-level cache.
  void add_image(const Hits &h, T *gx) const {
    const Function add_row = AddRuns<T>::get(run, 1);
    for (long ky = 0; ky < s.fh; ky++)
      for (long r = 0; r < padded; r += run * N)
        for (long x = 0; x < s.ow; x++)
          for (long y = 0; y < s.oh; y++) {
            const long p = y * s.ow + x;
            const Hit<T> *hits = h.position + p * s.maps;
            if (h.count[p])
              add_row(hits, hits + h.count[p], w + ky * s.maps * padded + r, 0,
                      gx + (y + ky) * step + x * s.channels + r, 0);
          }
  }

  // The same where gradients include infinities, which times the zeros behind a run would be NaN.
  void add_image_exactly(const Hits &h, T *gx) const {
    for (long ky = 0; ky < s.fh; ky++)
      for (long p = 0; p < positions; p++)
        for (long k = 0; k < h.count[p]; k++) {
          const Hit<T> &hit = h.position[p * s.maps + k];
          T *const pixel = gx + (p / s.ow + ky) * step + p % s.ow * s.channels;
          for (long i = 0; i < length; i++)
            pixel[i] += hit.g * w[ky * s.maps * padded + hit.at + i];
        }
  }

  // images from ... to - 1; gw is this block's own
  void run_block(const T *x, const T *gz, const R *record, long from, long to, T *gw, T *gx,
                 Scratch &scratch) const {
    const long pixels = s.height * s.width, pooled = s.maps * s.ph * s.pw;
    T *const xt = scratch.take<T>(together * size + padded);
    T *const gxt = scratch.take<T>(size + padded);
    Hits h;
    h.most = together * positions;
    h.map = scratch.take<Hit<T> >(s.maps * h.most);
    h.position = scratch.take<Hit<T> >(s.maps * positions);
    h.count_of_map = scratch.take<long>(s.maps);
    h.count = scratch.take<long>(positions);
    if (want_w) {
      memset(gw, 0, s.maps * s.fh * padded * sizeof(T));
      memset(xt, 0, (together * size + padded) * sizeof(T));
    }
    for (long first = from; first < to; first += together) {
      memset(h.count_of_map, 0, s.maps * sizeof(long));
      for (long i = first; i < smaller(to, first + together); i++) {
        const long image = (i - first) * size;
        const T *const own_gz = gz + i * pooled;
        const R *const own_record = record + i * pooled;
        const bool everywhere = !finite || (want_w && !all_finite(x + i * size, size));
        memset(h.count, 0, positions * sizeof(long));
        if (everywhere) collect_all(own_gz, own_record, h, image);
        else if (!want_x) collect<true, false>(own_gz, own_record, h, image);
        else if (!want_w) collect<false, true>(own_gz, own_record, h, image);
        else collect<true, true>(own_gz, own_record, h, image);
        if (want_w) transpose(x + i * size, s.channels, pixels, xt + image);
        if (want_x) {
          memset(gxt, 0, (size + padded) * sizeof(T));
          if (all_finite(own_gz, pooled)) add_image(h, gxt);
          else add_image_exactly(h, gxt);
          transpose(gxt, pixels, s.channels, gx + i * size);
        }
      }
      if (want_w) add_filters(h, xt, gw);
    }
  }
};

// sums[m][k] += sum over n positions p of d[m][p] * x[p + k]; each is a vector of lanes
template <typename T, int M, int K>
void correlate(const T *d, long d_step, const T *x, long n, T *sums, long sums_step) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  V sum[M][K];
#pragma GCC unroll 4
  for (int m = 0; m < M; m++)
#pragma GCC unroll 5
    for (int k = 0; k < K; k++) sum[m][k] = load<V>(sums + m * sums_step + k * N);
  for (long p = 0; p < n; p++, d += N, x += N) {
    V g[M];
#pragma GCC unroll 4
    for (int m = 0; m < M; m++) g[m] = load<V>(d + m * d_step);
#pragma GCC unroll 5
    for (int k = 0; k < K; k++) {
      const V a = load<V>(x + k * N);
#pragma GCC unroll 4
      for (int m = 0; m < M; m++) sum[m][k] += g[m] * a;
    }
  }
#pragma GCC unroll 4
  for (int m = 0; m < M; m++)
#pragma GCC unroll 5
    for (int k = 0; k < K; k++) store(sums + m * sums_step + k * N, sum[m][k]);
}

// At all positions, N images at once: the gradient of the filters of images with few channels,
// where a filter row would fill a small part of a vector.
template <typename T, typename R> struct DenseFilters {
  typedef typename Simd<T>::Int Int;
  typedef typename Simd<T>::IntVec IntVec;
  typedef void (*Function)(const T *, long, const T *, long, T *, long);
  enum { N = Simd<T>::N, MAPS = LENET_DENSE_MAPS, TAPS = 5 };
  const Shape &s;
  long taps, area, pooled, width;  // of a filter; elements of an image's channel, of a pooled map;
                                   // positions of a map's row that are in windows
  explicit DenseFilters(const Shape &shape) : s(shape) {
    taps = s.channels * s.fh * s.fw;
    area = s.height * s.width;
    pooled = s.ph * s.pw;
    width = s.pw * s.ww;
  }

  // Vectors of work for one window of N images: all positions here, N hits in Backward.
  static bool pays(const Shape &s) {
    const long row = divide_up(s.fw * s.channels, (long)N);
    return s.wh * s.ww * s.channels * s.fh * s.fw <= N * (8 + 2 * s.fh * row);
  }
  size_t bytes() const {
    return Scratch::size<T>(s.channels * area * N) + Scratch::size<T>(MAPS * pooled * N) +
           Scratch::size<Int>(MAPS * pooled * N) + Scratch::size<T>(MAPS * s.wh * width * N) +
           Scratch::size<T>(s.maps * taps * N);
  }

  // the function for maps, M at most, and for taps, K at most
  template <int M, int K> static Function of_taps(long k) {
    return K == 1 || k == K ? correlate<T, M, K> : of_taps<M, (K > 1 ? K - 1 : 1)>(k);
  }
  template <int M> static Function of_maps(long maps, long k) {
    return M == 1 || maps == M ? of_taps<M, TAPS>(k) : of_maps<(M > 1 ? M - 1 : 1)>(maps, k);
  }

  // d[row of the window][px, column] = g where the element equals the maximum, else 0
  void unpool(const T *g, const Int *masks, T *d) const {
    for (long px = 0; px < s.pw; px++)
      for (long e = 0; e < s.wh * s.ww; e++) {
        const Int bit = (Int)(uint32_t(1) << e);
        const IntVec hit = (load<IntVec>(masks + px * N) & bit) != 0;
        const IntVec bits = load<IntVec>(g + px * N) & hit;
        store(d + (e / s.ww * width + px * s.ww + e % s.ww) * N, bits);
      }
  }

  // images from ... to - 1, maps m0 ... m1 - 1; gw: [map][ky][kx, channel], rows of padded elements
  void run_block(const T *x, const T *gz, const R *record, long from, long to, long m0, long m1,
                 T *gw, long padded, Scratch &scratch) const {
    T *const rows = scratch.take<T>(s.channels * area * N);
    T *const g = scratch.take<T>(MAPS * pooled * N);
    Int *const masks = scratch.take<Int>(MAPS * pooled * N);
    T *const d = scratch.take<T>(MAPS * s.wh * width * N);
    T *const sums = scratch.take<T>(s.maps * taps * N);
    memset(sums, 0, (m1 - m0) * taps * N * sizeof(T));
    for (long image = from; image < to; image += N) {
      const long lanes = smaller(N, to - image), stride = s.maps * pooled;
      for (long c = 0; c < s.channels; c++)
        interleave(x + (image * s.channels + c) * area, s.channels * area, lanes, area,
                   rows + c * area * N);
      for (long m = m0; m < m1; m += MAPS) {
        const long maps = smaller(MAPS, m1 - m);
        for (long k = 0; k < maps; k++) {
          const long at = image * stride + (m + k) * pooled;
          interleave(gz + at, stride, lanes, pooled, g + k * pooled * N);
          interleave(record + at, stride, lanes, pooled, masks + k * pooled * N);
        }
        for (long py = 0; py < s.ph; py++) {
          for (long k = 0; k < maps; k++) {
            const long at = (k * pooled + py * s.pw) * N;
            unpool(g + at, masks + at, d + k * s.wh * width * N);
          }
          for (long r = 0; r < s.wh; r++)
            for (long row = 0; row < s.channels * s.fh; row++)  // of a filter
              for (long kx = 0; kx < s.fw; kx += TAPS) {
                const long y = row / s.fh * s.height + py * s.wh + r + row % s.fh;
                of_maps<MAPS>(maps, smaller(TAPS, s.fw - kx))(
                    d + r * width * N, s.wh * width * N, rows + (y * s.width + kx) * N, width,
                    sums + ((m - m0) * taps + row * s.fw + kx) * N, taps * N);
              }
        }
      }
    }
    for (long m = m0; m < m1; m++)
      for (long k = 0; k < taps; k++) {
        const long c = k / (s.fh * s.fw), ky = k / s.fw % s.fh, kx = k % s.fw;
        const T *lane = sums + ((m - m0) * taps + k) * N;
        T sum = 0;
        for (int l = 0; l < N; l++) sum += lane[l];
        gw[(m * s.fh + ky) * padded + kx * s.channels + c] = sum;
      }
  }
};

// gw: maps x channels x fh x fw or null; gx: images x channels x height x width or null.  False if
// there is not enough memory.
template <typename T, typename R>
bool convpool_backward(const Shape &s, const T *x, const T *w, bool flip, const T *gz,
                       const R *record, T *gw, T *gx, int threads) {
  Backward<T, R> by_hits(s, gw != 0, gx != 0);
  if (!by_hits.fits()) return false;
  if (s.channels * s.fh * s.fw * s.maps == 0) {
    if (gx) memset(gx, 0, s.images * s.channels * s.height * s.width * sizeof(T));
    return true;
  }
  // only Backward follows Theano where images are infinite: 0 times infinity is not 0
  const DenseFilters<T, R> all(s);
  const bool dense =
      gw && !gx && all.pays(s) && all_finite(x, s.images * s.channels * s.height * s.width);

  // The blocks of images, whose gradients are summed in order, follow from the shapes alone.
  const long size = by_hits.filters_size();
  const long most = larger(1, smaller(32, (1L << 26) / (size * (long)sizeof(T))));
  const long unit = dense ? (long)Simd<T>::N : 1;
  const long images = unit * larger(1, divide_up(divide_up(s.images, unit), most));
  const long blocks = divide_up(s.images, images);
  Scratch shared(Scratch::size<T>(size) * (gw ? blocks + 1 : 1));
  if (shared.failed()) return false;
  by_hits.w = shared.take<T>(size);
  if (gx) by_hits.pack(w, flip);
  T *const parts = gw ? shared.take<T>(blocks * size) : 0;

  // few blocks: threads share a block's maps
  const long share = dense && blocks < 4 * threads ? smaller(s.maps, threads) : 1;
  bool failed = false;
  const double work = (double)s.images * s.maps * s.ph * s.pw * s.channels * s.fh * s.fw;
  if (work < 1e6) threads = 1;
  LENET_PRAGMA(omp parallel for schedule(dynamic) num_threads(threads))
  for (long i = 0; i < blocks * share; i++) {
    Scratch scratch(dense ? all.bytes() : by_hits.bytes());
    if (scratch.failed()) {
      failed = true;
      continue;
    }
    const long block = i / share, part = i % share;
    const long from = block * images, to = smaller(s.images, from + images);
    T *const own = gw ? parts + block * size : 0;
    if (dense)
      all.run_block(x, gz, record, from, to, part * s.maps / share, (part + 1) * s.maps / share,
                    own, by_hits.padded, scratch);
    else
      by_hits.run_block(x, gz, record, from, to, own, gx, scratch);
  }
  if (failed || !gw) return !failed;
  const long area = s.fh * s.fw, map = s.fh * by_hits.padded;
  LENET_PRAGMA(omp parallel for num_threads(threads))
  for (long m = 0; m < s.maps; m++) {
    T *const sum = parts + m * map;
    for (long b = 1; b < blocks; b++)
      for (long i = 0; i < map; i++) sum[i] += parts[b * size + m * map + i];
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
