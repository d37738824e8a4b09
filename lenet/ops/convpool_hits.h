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
  LENET_UNROLL for (int r = 0; r < RUN; r++) sum[r] = load<V>(sums + r * N);
  for (; hit < end; hit++) {
    LENET_UNROLL for (int r = 0; r < RUN; r++) sum[r] += hit->g * load<V>(x + hit->at + r * N);
  }
  LENET_UNROLL for (int r = 0; r < RUN; r++) store(sums + r * N, sum[r]);
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

// Lists of hits: list i has count[i] of them, from hits[i * room] on.
template <typename T> struct Lists {
  Hit<T> *hits;
  long *count, room;
};

// Visits only the elements of the unpooled maps that received gradient.
template <typename T, typename R> struct ByHits {
  // 13 sums, a gradient and an operand from memory are 15 of the 16 registers of AVX2
  enum { N = Simd<T>::N, SUMS = LENET_REGISTERS == 32 ? 16 : 13 };
  const Shape &s;
  long length, run, padded;  // filter row: elements; vectors taken together; padded elements
  long size, step;           // elements of an image; from an image row to the next
  long positions;            // of an unpooled map
  long together;             // images whose hits are listed together
  typename AddRuns<T, SUMS>::Function add_run;
  T *w;         // filters, [ky][map][kx, channel], rows padded with 0
  bool finite;  // are they all

  explicit ByHits(const Shape &shape) : s(shape), w(0), finite(true) {
    length = s.fw * s.channels;
    const long strips = divide_up(length, SUMS * N);
    run = divide_up(length, strips * N);
    padded = strips * run * N;
    size = s.height * s.width * s.channels;
    step = s.width * s.channels;
    positions = s.oh * s.ow;
    // images that fit the first-level cache, so that a map's gradient is loaded once for all
    together = larger(1, smaller(2, 32768 / (size * (long)sizeof(T))));
    add_run = AddRuns<T, SUMS>::of(run);
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

  // The hits of an image: by map, at pixels of x from `image` on, or by position, at filters of w.
  // element: room for where those of a window are, relative to its first one
  template <bool BY_MAP>
  void collect(const T *gz, const R *record, const Lists<T> lists, long image,
               long *element) const {
    const Shape s = this->s;  // a copy, which the stores below cannot change
    const long filter = padded, pixel = BY_MAP ? s.channels : 1;
    const long row = BY_MAP ? s.width * pixel : s.ow;
    for (long e = 0; e < s.wh * s.ww; e++) element[e] = e / s.ww * row + e % s.ww * pixel;
    const long words = s.words, area = s.ph * s.pw;
    for (long m = 0; m < s.maps; m++)
      for (long py = 0; py < s.ph; py++)
        for (long px = 0; px < s.pw; px++) {
          const long first = image + py * s.wh * row + px * s.ww * pixel, p = py * s.pw + px;
          const T g = gz[m * area + p];
          for (long k = 0; k < words; k++)
            for (uint32_t mask = record[(m * words + k) * area + p]; mask; mask &= mask - 1) {
              const long at = first + element[32 * k + __builtin_ctz(mask)];
              const long list = BY_MAP ? m : at;
              Hit<T> &hit = lists.hits[list * lists.room + lists.count[list]++];
              hit.at = (int32_t)(BY_MAP ? at : m * filter);
              hit.g = g;
            }
        }
  }

  // gw: [map][ky][kx, channel], rows padded
  void add_filters(const Lists<T> &lists, const T *x, T *gw) const {
    for (long m = 0; m < s.maps; m++)
      for (long ky = 0; ky < s.fh; ky++)
        for (long r = 0; r < padded; r += run * N) {
          const Hit<T> *hits = lists.hits + m * lists.room;
          add_run(hits, hits + lists.count[m], x + ky * step + r,
                  gw + (m * s.fh + ky) * padded + r);
        }
  }

  // gx: [pixel][channel].  A run ends in up to N - 1 zeros of w, which add 0 to the next pixels.
  // One filter row after the other, so that this row of all maps stays in the first-level cache.
  void add_image(const Lists<T> &lists, T *gx) const {
    for (long ky = 0; ky < s.fh; ky++)
      for (long r = 0; r < padded; r += run * N)
        for (long x = 0; x < s.ow; x++)
          for (long y = 0; y < s.oh; y++) {
            const long p = y * s.ow + x;
            const Hit<T> *hits = lists.hits + p * lists.room;
            if (lists.count[p])
              add_run(hits, hits + lists.count[p], w + ky * s.maps * padded + r,
                      gx + (y + ky) * step + x * s.channels + r);
          }
  }

  // Both from all positions, one number after the other; gw or gx may be null.
  void add_exactly(const T *gz, const R *record, const T *x, T *gw, T *gx) const {
    for (long m = 0; m < s.maps; m++)
      for (long p = 0; p < positions; p++) {
        const long y = p / s.ow, px = p % s.ow / s.ww, e = y % s.wh * s.ww + p % s.ow % s.ww;
        if (y >= s.rows || p % s.ow >= s.columns) continue;  // in no window and under no filter
        const long at_z = y / s.wh * s.pw + px, area = s.ph * s.pw;
        const T g = y / s.wh < s.ph && px < s.pw &&
                            record[(m * s.words + e / 32) * area + at_z] >> e % 32 & 1
                        ? gz[m * area + at_z]
                        : T(0);
        for (long ky = 0; ky < s.fh; ky++) {
          const long at = (y + ky) * step + p % s.ow * s.channels;
          for (long k = 0; k < length; k++) {
            if (gw) gw[(m * s.fh + ky) * padded + k] += g * x[at + k];
            if (gx) gx[at + k] += g * w[(ky * s.maps + m) * padded + k];
          }
        }
      }
  }

  // images from ... to - 1; gw: this block's own, or null.  False if there is not enough memory.
  bool run_block(const T *x, const T *gz, const R *record, long from, long to, T *gw,
                 T *gx) const {
    const long pixels = s.height * s.width, pooled = s.maps * s.ph * s.pw;
    T *images, *gradient;
    long *element;
    Lists<T> by_map, by_position;
    by_map.room = together * positions;
    by_position.room = s.maps;
    Scratch scratch;
    scratch.add(&images, together * size + padded);
    scratch.add(&gradient, size + padded);
    scratch.add(&by_map.hits, s.maps * by_map.room);
    scratch.add(&by_map.count, s.maps);
    scratch.add(&by_position.hits, positions * by_position.room);
    scratch.add(&by_position.count, positions);
    scratch.add(&element, s.wh * s.ww);
    if (!scratch.allocate()) return false;
    if (gw) memset(gw, 0, filters_size() * sizeof(T));
    if (gw) memset(images, 0, (together * size + padded) * sizeof(T));
    for (long first = from; first < to; first += together) {
      memset(by_map.count, 0, s.maps * sizeof(long));
      for (long i = first; i < smaller(to, first + together); i++) {
        T *const image = images + (i - first) * size;
        const T *const own_gz = gz + i * pooled;
        const R *const own_record = record + i * pooled * s.words;
        const bool exactly = !all_finite(own_gz, pooled) || (gx && !finite) ||
                             (gw && !all_finite(x + i * size, size));
        const long side = smaller(pixels, s.channels);
        if (gw) transpose<T>(x + i * size, pixels, s.channels, pixels, image, s.channels, side);
        if (gx) memset(gradient, 0, (size + padded) * sizeof(T));
        if (exactly) add_exactly(own_gz, own_record, image, gw, gx ? gradient : 0);
        if (gw && !exactly) 
          collect<true>(own_gz, own_record, by_map, image - images, element);
        if (gx && !exactly) {
          memset(by_position.count, 0, positions * sizeof(long));
          collect<false>(own_gz, own_record, by_position, 0, element);
          add_image(by_position, gradient);
        }
        if (gx) transpose<T>(gradient, s.channels, pixels, s.channels, gx + i * size, pixels, side);
      }
      if (gw) add_filters(by_map, images, gw);
    }
    return true;
  }
};

}  // namespace lenet
