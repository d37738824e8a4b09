// The gradients of lenet.ops.convpool by hits.
// To be included after convpool_forward.h.
//
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
// Where a number is not finite all positions are visited: 0 times infinity is NaN, as it is in
// Theano's own ops.

// Sums kept in registers; 13 and three factors are the 16 registers of AVX2.
#if defined(__AVX512F__) || defined(__aarch64__)
#define LENET_SUMS 16
#else
#define LENET_SUMS 13
#endif

namespace lenet {

// An element of an unpooled map that received gradient g; at: where the other operand's run begins.
template <typename T> struct Hit {
  int32_t at;
  T g;
};

// sums[.] += sum over hits of g * x[at + .]: a run of RUN vectors
template <typename T, int RUN>
void add_runs(const Hit<T> *hit, const Hit<T> *end, const T *x, T *sums) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  V sum[RUN];
#pragma GCC unroll 16
  for (int r = 0; r < RUN; r++) sum[r] = load<V>(sums + r * N);
  for (; hit < end; hit++) {
#pragma GCC unroll 16
    for (int r = 0; r < RUN; r++) sum[r] += hit->g * load<V>(x + hit->at + r * N);
  }
#pragma GCC unroll 16
  for (int r = 0; r < RUN; r++) store(sums + r * N, sum[r]);
}

// add_runs() for a run of 1 to RUN vectors
template <typename T, int RUN> struct AddRuns {
  typedef void (*Function)(const Hit<T> *, const Hit<T> *, const T *, T *);
  static Function of(long run) {
    return run == RUN ? add_runs<T, RUN> : AddRuns<T, RUN - 1>::of(run);
  }
};
template <typename T> struct AddRuns<T, 0> {
  static typename AddRuns<T, 1>::Function of(long) { return 0; }
};

// Visits only the elements of the unpooled maps that received gradient.
template <typename T, typename R> struct ByHits {
  enum { N = Simd<T>::N };
  const Shape &s;
  long length, run, padded;  // filter row: elements; vectors taken together; padded elements
  long size, step;           // elements of an image; from an image row to the next
  long positions;            // of an unpooled map
  long together;             // images whose hits are listed together
  typename AddRuns<T, LENET_SUMS>::Function add_run;
  T *w;         // filters, [ky][map][kx, channel], rows padded with 0
  bool finite;  // are they all

  explicit ByHits(const Shape &shape) : s(shape), w(0), finite(true) {
    length = s.fw * s.channels;
    const long strips = divide_up(length, LENET_SUMS * N);
    run = divide_up(length, strips * N);
    padded = strips * run * N;
    size = s.height * s.width * s.channels;
    step = s.width * s.channels;
    positions = s.oh * s.ow;
    // images that fit the first-level cache, so that a map's gradient is loaded once for all
    together = larger(1, smaller(2, 32768 / (size * (long)sizeof(T))));
    add_run = AddRuns<T, LENET_SUMS>::of(run);
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

  // Hits by map, of several images (at: the pixel of x), and by position, of one image (at: the
  // filter).  Map m has count_of_map[m] hits from map[m * most] on, position p has count[p] from
  // position[p * maps] on.
  struct Hits {
    Hit<T> *map, *position;
    long *count_of_map, *count, most;
  };

  // image: where the image begins among those taken together
  template <bool W, bool X>
  void collect(const T *gz, const R *record, const Hits h, long image, long m0, long m1) const {
    const ByHits b = *this;         // a copy, which the stores below cannot change
    const Shape s = b.s;
    long position[32], offset[32];  // of a window's elements, relative to its first one
    for (long e = 0; e < s.wh * s.ww; e++) {
      position[e] = e / s.ww * s.ow + e % s.ww;
      offset[e] = (e / s.ww * s.width + e % s.ww) * s.channels;
    }
    for (long m = m0; m < m1; m++) {
      Hit<T> *const first = h.map + m * h.most, *of_map = first + h.count_of_map[m];
      for (long py = 0; py < s.ph; py++)
        for (long px = 0; px < s.pw; px++) {
          const long i = (m * s.ph + py) * s.pw + px;
          const T g = gz[i];
          const long at = py * s.wh * s.ow + px * s.ww;
          const long x = image + (py * s.wh * s.width + px * s.ww) * s.channels;
          for (uint32_t mask = record[i]; mask; mask &= mask - 1) {
            const int e = __builtin_ctz(mask);
            if (W) {
              of_map->at = (int32_t)(x + offset[e]);
              of_map++->g = g;
            }
            if (X) {
              const long p = at + position[e];
              Hit<T> &to = h.position[p * s.maps + h.count[p]++];
              to.at = (int32_t)(m * b.padded);
              to.g = g;
            }
          }
        }
      h.count_of_map[m] = of_map - first;
    }
  }

  // gw: [map][ky][kx, channel], rows padded
  void add_filters(const Hits &h, const T *x, T *gw, long m0, long m1) const {
    for (long m = m0; m < m1; m++)
      for (long ky = 0; ky < s.fh; ky++)
        for (long r = 0; r < padded; r += run * N) {
          const Hit<T> *hits = h.map + m * h.most;
          add_run(hits, hits + h.count_of_map[m], x + ky * step + r,
                  gw + (m * s.fh + ky) * padded + r);
        }
  }

  // gx: [pixel][channel].  A run ends in up to N - 1 zeros of w, which add 0 to the next pixels.
  // One filter row after the other, so that this row of all maps stays in the first-level cache.
  void add_image(const Hits &h, T *gx) const {
    for (long ky = 0; ky < s.fh; ky++)
      for (long r = 0; r < padded; r += run * N)
        for (long x = 0; x < s.ow; x++)
          for (long y = 0; y < s.oh; y++) {
            const long p = y * s.ow + x;
            const Hit<T> *hits = h.position + p * s.maps;
            if (h.count[p])
              add_run(hits, hits + h.count[p], w + ky * s.maps * padded + r,
                      gx + (y + ky) * step + x * s.channels + r);
          }
  }

  // Both from all positions, one number after the other; gw or gx may be null.
  void add_exactly(const T *gz, const R *record, const T *x, long m0, long m1, T *gw,
                   T *gx) const {
    for (long m = m0; m < m1; m++)
      for (long p = 0; p < positions; p++) {
        const long y = p / s.ow, px = p % s.ow / s.ww, e = y % s.wh * s.ww + p % s.ow % s.ww;
        const long i = (m * s.ph + y / s.wh) * s.pw + px;
        const T g = y / s.wh < s.ph && px < s.pw && (record[i] >> e & 1) ? gz[i] : T(0);
        for (long ky = 0; ky < s.fh; ky++) {
          const long at = (y + ky) * step + p % s.ow * s.channels;
          for (long k = 0; k < length; k++) {
            if (gw) gw[(m * s.fh + ky) * padded + k] += g * x[at + k];
            if (gx) gx[at + k] += g * w[(ky * s.maps + m) * padded + k];
          }
        }
      }
  }

  // images from ... to - 1, maps m0 ... m1 - 1 (all of them for gx); gw: this block's own, or null.
  // False if there is not enough memory.
  bool run_block(const T *x, const T *gz, const R *record, long from, long to, long m0, long m1,
                 T *gw, T *gx) const {
    const long pixels = s.height * s.width, pooled = s.maps * s.ph * s.pw;
    T *xt, *gxt;
    Hits h;
    h.most = together * positions;
    Scratch scratch;
    scratch.add(&xt, together * size + padded);
    scratch.add(&gxt, size + padded);
    scratch.add(&h.map, s.maps * h.most);
    scratch.add(&h.position, s.maps * positions);
    scratch.add(&h.count_of_map, s.maps);
    scratch.add(&h.count, positions);
    if (!scratch.allocate()) return false;
    if (gw) memset(gw + m0 * s.fh * padded, 0, (m1 - m0) * s.fh * padded * sizeof(T));
    if (gw) memset(xt, 0, (together * size + padded) * sizeof(T));
    for (long first = from; first < to; first += together) {
      memset(h.count_of_map, 0, s.maps * sizeof(long));
      for (long i = first; i < smaller(to, first + together); i++) {
        T *const image = xt + (i - first) * size;
        const T *const own_gz = gz + i * pooled;
        const R *const own_record = record + i * pooled;
        const bool exactly = !all_finite(own_gz, pooled) || (gx && !finite) ||
                             (gw && !all_finite(x + i * size, size));
        memset(h.count, 0, positions * sizeof(long));
        if (gx) memset(gxt, 0, (size + padded) * sizeof(T));
        if (gw) transpose(x + i * size, pixels, s.channels, pixels, image, s.channels,
                          smaller(pixels, s.channels));
        if (exactly) add_exactly(own_gz, own_record, image, m0, m1, gw, gx ? gxt : 0);
        else if (!gx) collect<true, false>(own_gz, own_record, h, image - xt, m0, m1);
        else if (!gw) collect<false, true>(own_gz, own_record, h, image - xt, m0, m1);
        else collect<true, true>(own_gz, own_record, h, image - xt, m0, m1);
        if (gx) {
          if (!exactly) add_image(h, gxt);
          transpose(gxt, s.channels, pixels, s.channels, gx + i * size, pixels,
                    smaller(pixels, s.channels));
        }
      }
      if (gw) add_filters(h, xt, gw, m0, m1);
    }
    return true;
  }
};

}  // namespace lenet
