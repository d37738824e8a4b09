// Kernels of lenet.ops.convpool; the prose and the drawings are at the top of convpool.py.
// To be included after simd.h.

// LENET_TILE: maps a register tile; 4 positions x LENET_TILE sums have to fit the registers.
// LENET_SUMS: sums that the backward kernels keep in registers.
#if defined(__AVX512F__) || defined(__aarch64__)
#define LENET_TILE 6
#define LENET_SUMS 16
#else
#define LENET_TILE 3
#define LENET_SUMS 8
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
template <typename V, typename I, int N, int S> struct Transpose {
  static LENET_INLINE void run(V *r) {
#if defined(__clang__)
    V t[N];
    for (int i = 0; i < N; i++)
      for (int l = 0; l < N; l++) t[i][l] = r[(i & ~S) | (l & S)][(l & ~S) | (i & S)];
    memcpy(r, t, sizeof t);
#else
    I low, high;
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
    Transpose<V, I, N, S / 2>::run(r);
  }
};
template <typename V, typename I, int N> struct Transpose<V, I, N, 0> {
  static LENET_INLINE void run(V *) {}
};

// to[i][lane] = from[lane][i], 0 in lanes without an image
template <typename T> void interleave(const T *from, long stride, long lanes, long n, T *to) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  long i = 0;
  if (lanes == N)
    for (; i + N <= n; i += N) {
      V r[N];
#pragma GCC unroll 16
      for (int l = 0; l < N; l++) r[l] = load<V>(from + l * stride + i);
      Transpose<V, typename Simd<T>::IntVec, N, N / 2>::run(r);
#pragma GCC unroll 16
      for (int l = 0; l < N; l++) store(to + (i + l) * N, r[l]);
    }
  for (; i < n; i++)
    for (int l = 0; l < N; l++) to[i * N + l] = l < lanes ? from[l * stride + i] : T(0);
}

// to[lane][i] = from[i][lane]; V: vector of S, I: integers of as many lanes; D may be narrower
template <typename V, typename I, typename S, typename D>
void deinterleave(const S *from, long n, D *to, long stride, long lanes) {
  const int N = sizeof(V) / sizeof(S);
  typedef D Narrow __attribute__((vector_size(N * sizeof(D))));
  long i = 0;
  if (lanes == N)
    for (; i + N <= n; i += N) {
      V r[N];
#pragma GCC unroll 16
      for (int l = 0; l < N; l++) r[l] = load<V>(from + (i + l) * N);
      Transpose<V, I, N, N / 2>::run(r);
#pragma GCC unroll 16
      for (int l = 0; l < N; l++)
        store(to + l * stride + i, __builtin_convertvector(r[l], Narrow));
    }
  for (; i < n; i++)
    for (int l = 0; l < lanes; l++) to[l * stride + i] = (D)from[i * N + l];
}

// ------------------------------------------------------------------------------------- forward

// out[position][map] = sum over taps of x[at[position] + tap] * w[tap][map]: 4 positions, M maps
template <typename T, int M>
void multiply(const Shape &s, const T *x, const long *at, long plane, const T *w, T *out) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  V sum[4][M];
#pragma GCC unroll 4
  for (int p = 0; p < 4; p++)
#pragma GCC unroll 8
    for (int m = 0; m < M; m++) sum[p][m] = V();
  const T *x0 = x + at[0], *x1 = x + at[1], *x2 = x + at[2], *x3 = x + at[3];
  for (long c = 0; c < s.channels; c++)
    for (long ky = 0; ky < s.fh; ky++) {
      const long row = c * plane + ky * s.width * N;
      for (long k = row; k < row + s.fw * N; k += N, w += M) {
        V a[4] = {load<V>(x0 + k), load<V>(x1 + k), load<V>(x2 + k), load<V>(x3 + k)};
#pragma GCC unroll 8
        for (int m = 0; m < M; m++)
#pragma GCC unroll 4
          for (int p = 0; p < 4; p++) sum[p][m] += a[p] * w[m];
      }
    }
#pragma GCC unroll 4
  for (int p = 0; p < 4; p++)
#pragma GCC unroll 8
    for (int m = 0; m < M; m++) store(out + (p * M + m) * N, sum[p][m]);
}

template <typename T>
void multiply_tile(long maps, const Shape &s, const T *x, const long *at, long plane, const T *w,
                   T *out) {
  switch (maps) {
    case 1: return multiply<T, 1>(s, x, at, plane, w, out);
    case 2: return multiply<T, 2>(s, x, at, plane, w, out);
    case 3: return multiply<T, 3>(s, x, at, plane, w, out);
#if LENET_TILE == 6
    case 4: return multiply<T, 4>(s, x, at, plane, w, out);
    case 5: return multiply<T, 5>(s, x, at, plane, w, out);
    case 6: return multiply<T, 6>(s, x, at, plane, w, out);
#endif
  }
}

// The largest of one window's values, and bit e set where value e equals it.  As Theano's Pool, a
// NaN stays if it comes first and is passed over if it comes later.
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
  typedef typename Simd<T>::Vec V;
  typedef typename Simd<T>::Int Int;
  typedef typename Simd<T>::IntVec IntVec;
  enum { N = Simd<T>::N };
  const Shape &s;
  long elements, group, band;  // of a window; windows a group of whole tiles; pooled rows a band
  long groups, plane;

  explicit ForwardBlock(const Shape &shape) : s(shape) {
    elements = s.wh * s.ww;
    group = elements % 4 == 0 ? 1 : elements % 2 == 0 ? 2 : 4;
    groups = divide_up(s.pw, group);
    // at most half a megabyte of image rows, for the second-level cache, and no more than there are
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
            for (long i = 0; i < group * elements; i += 4)
              multiply_tile(maps, s, top, at + g * group * elements + i, plane,
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
          deinterleave<V, IntVec>(pooled + m * size * N, size, z + offset, stride, lanes);
          if (record)
            deinterleave<IntVec, IntVec>(masks + m * size * N, size, record + offset, stride,
                                         lanes);
        }
      }
    }
  }
};

// z and, unless null, record: images x maps x ph x pw.  False when memory ran out.
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
  if (work < 3e5) threads = 1;
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
#pragma GCC unroll 8
  for (int k = 0; k < ROWS; k++)
#pragma GCC unroll 8
    for (int r = 0; r < RUN; r++) sum[k][r] = load<V>(sums + k * sums_step + r * N);
  for (; hit < end; hit++) {
    const T *run = x + hit->at;
    const T g = hit->g;
#pragma GCC unroll 8
    for (int k = 0; k < ROWS; k++)
#pragma GCC unroll 8
      for (int r = 0; r < RUN; r++) sum[k][r] += g * load<V>(run + k * step + r * N);
  }
#pragma GCC unroll 8
  for (int k = 0; k < ROWS; k++)
#pragma GCC unroll 8
    for (int r = 0; r < RUN; r++) store(sums + k * sums_step + r * N, sum[k][r]);
}

template <typename T> struct AddRuns {
  typedef void (*Function)(const Hit<T> *, const Hit<T> *, const T *, long, T *, long);
  // rows together for a run of so many vectors
  static int rows(int run) {
    static const int best[] = {5, 5, 5, 4, 3, 2, 2, 2};
    return larger(1, smaller(best[run - 1], LENET_SUMS / run));
  }
  template <int RUN> static Function choose(int rows) {
    switch (rows) {
      case 1: return add_runs<T, RUN, 1>;
      case 2: return add_runs<T, RUN, (RUN * 2 <= LENET_SUMS ? 2 : 1)>;
      case 3: return add_runs<T, RUN, (RUN * 3 <= LENET_SUMS ? 3 : 1)>;
      case 4: return add_runs<T, RUN, (RUN * 4 <= LENET_SUMS ? 4 : 1)>;
      default: return add_runs<T, RUN, (RUN * 5 <= LENET_SUMS ? 5 : 1)>;
    }
  }
  static Function get(int run, int rows) {
    switch (run) {
      case 1: return choose<1>(rows);
      case 2: return choose<2>(rows);
      case 3: return choose<3>(rows);
      case 4: return choose<4>(rows);
      case 5: return choose<5>(rows);
      case 6: return choose<6>(rows);
      case 7: return choose<7>(rows);
      default: return choose<8>(rows);
    }
  }
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

// to[j][i] = from[i][j], in squares of which the last ones overlap the ones before
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
      Transpose<V, typename Simd<T>::IntVec, N, N / 2>::run(r);
#pragma GCC unroll 16
      for (int l = 0; l < N; l++) store(to + (j0 + l) * rows + i0, r[l]);
    }
}

template <typename T, typename R> struct Backward {
  typedef typename Simd<T>::Vec V;
  typedef typename AddRuns<T>::Function Function;
  enum { N = Simd<T>::N };
  const Shape &s;
  bool want_w, want_x;
  long length, strips, run, padded;  // filter row: elements; strips of run vectors; padded elements
  long pixels, step;                 // pixels an image; elements from an image row to the next
  long rows, positions;              // filter rows taken together; positions of an unpooled map
  Function add[2];                   // for rows and for the rows that are left at the end
  T *w;                              // filters, [ky][map][kx, channel], rows padded with 0
  bool finite;                       // are they all

  Backward(const Shape &shape, bool gw, bool gx)
      : s(shape), want_w(gw), want_x(gx), w(0), finite(true) {
    length = s.fw * s.channels;
    strips = divide_up(length, 8 * N);
    run = divide_up(length, strips * N);
    padded = strips * run * N;
    pixels = s.height * s.width;
    step = s.width * s.channels;
    positions = s.oh * s.ow;
    rows = divide_up(s.fh, divide_up(s.fh, AddRuns<T>::rows(run)));
    add[0] = AddRuns<T>::get(run, rows);
    add[1] = AddRuns<T>::get(run, s.fh % rows);
  }

  bool fits() const {  // Hit::at
    const double limit = 2147483647.;
    return (double)pixels * s.channels < limit && (double)s.maps * padded < limit;
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
    return 2 * Scratch::size<T>(pixels * s.channels + padded) +
           2 * Scratch::size<Hit<T> >(s.maps * positions) + Scratch::size<long>(s.maps + 1) +
           Scratch::size<long>(positions) + Scratch::size<T>(rows * run * N);
  }

  // Hits of one image by map (their at: the pixel of x) and by position (their at: the filter).
  struct Hits {
    Hit<T> *map, *position;
    long *first, *count;  // map m has first[m] ... first[m + 1] - 1; position p has p * maps ...
  };

  // position: y * ow + x of the unpooled map; pixel: where the filter's run begins in x
  template <bool W, bool X>
  static LENET_INLINE void hit(const Hits &h, long &n, long m, long maps, long padded,
                               long position, long pixel, T g) {
    if (W) {
      h.map[n].at = (int32_t)pixel;
      h.map[n++].g = g;
    }
    if (X) {
      Hit<T> &to = h.position[position * maps + h.count[position]++];
      to.at = (int32_t)(m * padded);
      to.g = g;
    }
  }

  template <bool W, bool X> void collect(const T *gz, const R *record, const Hits hits) const {
    const Shape s = this->s;  // a copy, since the stores below might change the other
    const long padded = this->padded;
    long position[32], pixel[32], n = 0;  // of a window's elements, from its first one
    for (long e = 0; e < s.wh * s.ww; e++) {
      position[e] = e / s.ww * s.ow + e % s.ww;
      pixel[e] = (e / s.ww * s.width + e % s.ww) * s.channels;
    }
    for (long m = 0; m < s.maps; m++) {
      hits.first[m] = n;
      for (long py = 0; py < s.ph; py++)
        for (long px = 0; px < s.pw; px++) {
          const T g = *gz++;
          const long at = py * s.wh * s.ow + px * s.ww;
          const long x = (py * s.wh * s.width + px * s.ww) * s.channels;
          for (uint32_t mask = *record++; mask; mask &= mask - 1) {
            const int e = __builtin_ctz(mask);
            hit<W, X>(hits, n, m, s.maps, padded, at + position[e], x + pixel[e], g);
          }
        }
    }
    hits.first[s.maps] = n;
  }

  // Positions without gradient as well, since 0 times infinity is not 0.
  void collect_all(const T *gz, const R *record, const Hits &h) const {
    long n = 0;
    for (long m = 0; m < s.maps; m++, gz += s.ph * s.pw, record += s.ph * s.pw) {
      h.first[m] = n;
      for (long y = 0; y < s.oh; y++)
        for (long x = 0; x < s.ow; x++) {
          const long py = y / s.wh, px = x / s.ww, e = y % s.wh * s.ww + x % s.ww;
          const bool in = py < s.ph && px < s.pw && (record[py * s.pw + px] >> e & 1);
          hit<true, true>(h, n, m, s.maps, padded, y * s.ow + x,
                          (y * s.width + x) * s.channels, in ? gz[py * s.pw + px] : T(0));
        }
    }
    h.first[s.maps] = n;
  }

  // gw: [map][ky][kx, channel], rows padded
  void add_filters(const Hits &h, const T *x, T *gw) const {
    for (long m = 0; m < s.maps; m++)
      for (long ky = 0; ky < s.fh; ky += rows)
        for (long r = 0; r < padded; r += run * N)
          add[ky + rows > s.fh](h.map + h.first[m], h.map + h.first[m + 1], x + ky * step + r,
                                step, gw + (m * s.fh + ky) * padded + r, padded);
  }

  // gx: [pixel][channel]; sums: rows runs
  void add_image(const Hits &h, T *sums, T *gx) const {
    for (long ky = 0; ky < s.fh; ky += rows)
      for (long r = 0; r < padded; r += run * N)
        for (long p = 0; p < positions; p++) {
          if (!h.count[p]) continue;
          const Hit<T> *hits = h.position + p * s.maps;
          memset(sums, 0, rows * run * N * sizeof(T));
          add[ky + rows > s.fh](hits, hits + h.count[p], w + ky * s.maps * padded + r,
                                s.maps * padded, sums, run * N);
          T *to = gx + (p / s.ow + ky) * step + p % s.ow * s.channels + r;
          const long n = smaller(run * N, length - r);
          for (long k = 0; k < smaller(rows, s.fh - ky); k++, to += step) {
            const T *from = sums + k * run * N;
            long i = 0;
            for (; i + N <= n; i += N) store(to + i, load<V>(to + i) + load<V>(from + i));
            for (; i < n; i++) to[i] += from[i];
          }
        }
  }

  // images from ... to - 1; gw is this block's own
  void run_block(const T *x, const T *gz, const R *record, long from, long to, T *gw, T *gx,
                 Scratch &scratch) const {
    const long size = pixels * s.channels;
    T *const xt = scratch.take<T>(size + padded);
    T *const gxt = scratch.take<T>(size + padded);
    Hits h;
    h.map = scratch.take<Hit<T> >(s.maps * positions);
    h.position = scratch.take<Hit<T> >(s.maps * positions);
    h.first = scratch.take<long>(s.maps + 1);
    h.count = scratch.take<long>(positions);
    T *const sums = scratch.take<T>(rows * run * N);
    if (want_w) {
      memset(gw, 0, s.maps * s.fh * padded * sizeof(T));
      memset(xt + size, 0, padded * sizeof(T));
    }
    for (long i = from; i < to; i++) {
      const bool everywhere = !finite || (want_w && !all_finite(x + i * size, size));
      const long pooled = i * s.maps * s.ph * s.pw;
      memset(h.count, 0, positions * sizeof(long));
      if (everywhere) collect_all(gz + pooled, record + pooled, h);
      else if (!want_x) collect<true, false>(gz + pooled, record + pooled, h);
      else if (!want_w) collect<false, true>(gz + pooled, record + pooled, h);
      else collect<true, true>(gz + pooled, record + pooled, h);
      if (want_w) {
        transpose(x + i * size, s.channels, pixels, xt);
        add_filters(h, xt, gw);
      }
      if (want_x) {
        memset(gxt, 0, size * sizeof(T));
        add_image(h, sums, gxt);
        transpose(gxt, pixels, s.channels, gx + i * size);
      }
    }
  }
};

enum { OK, NO_MEMORY, TOO_LARGE, ERROR_SET };

// gw: maps x channels x fh x fw or null; gx: images x channels x height x width or null.
template <typename T, typename R>
int convpool_backward(const Shape &s, const T *x, const T *w, bool flip, const T *gz,
                      const R *record, T *gw, T *gx, int threads) {
  Backward<T, R> block(s, gw != 0, gx != 0);
  if (!block.fits()) return TOO_LARGE;
  if (s.channels * s.fh * s.fw * s.maps == 0) {
    if (gx) memset(gx, 0, s.images * s.channels * s.height * s.width * sizeof(T));
    return OK;
  }
  // The blocks of images, whose gradients are summed in order, follow from the shapes alone.
  const long size = block.filters_size();
  const long most = larger(1, smaller(32, (1L << 26) / (size * (long)sizeof(T))));
  const long images = larger(1, divide_up(s.images, most));
  const long blocks = divide_up(s.images, images);
  Scratch shared(Scratch::size<T>(size) * (gw ? blocks + 1 : 1));
  if (shared.failed()) return NO_MEMORY;
  block.w = shared.take<T>(size);
  if (gx) block.pack(w, flip);
  else block.finite = true;
  T *const parts = gw ? shared.take<T>(blocks * size) : 0;

  bool failed = false;
  const double work = (double)s.images * s.maps * s.ph * s.pw * s.channels * s.fh * s.fw;
  if (work < 1e5) threads = 1;
  LENET_PRAGMA(omp parallel for schedule(dynamic) num_threads(threads))
  for (long b = 0; b < blocks; b++) {
    Scratch scratch(block.bytes());
    if (scratch.failed()) {
      failed = true;
      continue;
    }
    block.run_block(x, gz, record, b * images, smaller(s.images, (b + 1) * images),
                    gw ? parts + b * size : 0, gx, scratch);
  }
  if (failed) return NO_MEMORY;
  if (!gw) return OK;
  const long area = s.fh * s.fw, map = s.fh * block.padded;
  LENET_PRAGMA(omp parallel for num_threads(threads))
  for (long m = 0; m < s.maps; m++) {
    T *const sum = parts + m * map;
    for (long b = 1; b < blocks; b++)
      for (long i = 0; i < map; i++) sum[i] += parts[b * size + m * map + i];
    for (long c = 0; c < s.channels; c++)
      for (long k = 0; k < area; k++)
        gw[(m * s.channels + c) * area + (flip ? area - 1 - k : k)] =
            blocks ? sum[k / s.fw * block.padded + k % s.fw * s.channels + c] : T(0);
  }
  return OK;
}

}  // namespace lenet

#if defined(Py_PYTHON_H)
// ------------------------------------------------------------------------- the ops' face to NumPy

namespace lenet {

inline bool read_shape(PyArrayObject *x, PyArrayObject *w, long wh, long ww, Shape *s) {
  const npy_intp *xd = PyArray_DIMS(x), *wd = PyArray_DIMS(w);
  const Shape shape = {xd[0], xd[1], xd[2], xd[3], wd[0], wd[2], wd[3], wh, ww,
                       xd[2] - wd[2] + 1, xd[3] - wd[3] + 1,
                       (xd[2] - wd[2] + 1) / wh, (xd[3] - wd[3] + 1) / ww};
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

// Both return false with a Python error set.  record and out are NULL where they are not wanted.
template <typename T, typename R>
bool convpool(PyArrayObject *x, PyArrayObject *w, bool flip, long wh, long ww, PyArrayObject **z,
              int type, PyArrayObject **record, int record_type) {
  Shape s;
  if (!read_shape(x, w, wh, ww, &s)) return false;
  const npy_intp dims[4] = {s.images, s.maps, s.ph, s.pw};
  if (!allocate(z, 4, dims, type)) return false;
  if (record && !allocate(record, 4, dims, record_type)) return false;
  PyArrayObject *xc = in_c_order(x), *wc = in_c_order(w);
  bool done = xc && wc;
  if (done) {
    Py_BEGIN_ALLOW_THREADS
    done = convpool_forward<T, R>(s, (const T *)PyArray_DATA(xc), (const T *)PyArray_DATA(wc),
                                  flip, (T *)PyArray_DATA(*z),
                                  record ? (R *)PyArray_DATA(*record) : NULL, threads());
    Py_END_ALLOW_THREADS
    if (!done) PyErr_NoMemory();
  }
  Py_XDECREF(xc);
  Py_XDECREF(wc);
  return done;
}

template <typename T, typename R>
bool convpool_grad(PyArrayObject *x, PyArrayObject *w, PyArrayObject *gz, PyArrayObject *record,
                   bool flip, long wh, long ww, int type, PyArrayObject **gw, PyArrayObject **gx) {
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
  if (gw && !allocate(gw, 4, PyArray_DIMS(w), type)) return false;
  if (gx && !allocate(gx, 4, PyArray_DIMS(x), type)) return false;
  PyArrayObject *xc = in_c_order(x), *wc = in_c_order(w);
  PyArrayObject *gzc = in_c_order(gz), *rc = in_c_order(record);
  int status = xc && wc && gzc && rc ? OK : ERROR_SET;
  if (status == OK) {
    Py_BEGIN_ALLOW_THREADS
    status = convpool_backward<T, R>(
        s, (const T *)PyArray_DATA(xc), (const T *)PyArray_DATA(wc), flip,
        (const T *)PyArray_DATA(gzc), (const R *)PyArray_DATA(rc),
        gw ? (T *)PyArray_DATA(*gw) : NULL, gx ? (T *)PyArray_DATA(*gx) : NULL, threads());
    Py_END_ALLOW_THREADS
    if (status == NO_MEMORY) PyErr_NoMemory();
    if (status == TOO_LARGE)
      PyErr_Format(PyExc_ValueError, "ConvPoolGrad: one image of %ld x %ld x %ld is too large",
                   s.channels, s.height, s.width);
  }
  Py_XDECREF(xc);
  Py_XDECREF(wc);
  Py_XDECREF(gzc);
  Py_XDECREF(rc);
  return status == OK;
}

}  // namespace lenet
#endif
