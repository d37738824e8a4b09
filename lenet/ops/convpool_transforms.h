// Toom-Cook's algorithm: convolution along a row with fewer multiplications.
// To be included after simd.h.
//
// A tile is some neighbouring outputs in a row and the P = outputs + width - 1 inputs that a row of
// a filter sees for them: y[j] = sum over i of w[i] * x[i + j].  One product for each of P points
// replaces outputs * width products:
//
//     y = out(G(w) * in(x))        width 5:   P = 6,  2 outputs,  6 products instead of 10
//                                             P = 8,  4 outputs,  8 products instead of 20
//
//     points r        0, 1, -1, 2, -2, 1/2, -1/2, of which the first P - 1, and infinity
//     G(w)[r]         w(r) = sum of w[i] * r ** i, divided by the product of (r - every other r)
//     in(x)[r]        sum of x[k] * coefficient k of the product of (u - every other r)
//     out(m)[j]       sum of m[r] * r ** j
//     infinity        the highest coefficient: w[width - 1]; the product of all (u - r); the last j
//
// Sums over channels and over the rows of a filter are taken of the products, before out().  The
// gradient of w uses the same linear maps, transposed: G'(in(x) * out'(gradient of y)).
//
// (S. Winograd, "Arithmetic Complexity of Computations", 1980; A. Lavin, S. Gray, "Fast Algorithms
// for Convolutional Neural Networks", 2016.)  The products of points r and -r come from the even
// and the odd powers.  Every polynomial but those of 1 and -1 has the root 1, and so is applied to
// the differences x[k + 2] - x[k]: equal inputs give zeros without rounding, and equal outputs.
// G is scaled by 1, 3 or 45, which makes its factors binary fractions, for exactness again.

namespace lenet {

template <typename T, int P> struct Points {
  typedef typename Simd<T>::Vec V;
  enum { N = Simd<T>::N, PAIRS = P / 2 - 1, SCALE = P == 4 ? 1 : P == 6 ? 3 : 45 };

  static LENET_INLINE T root(int s) { return s == 0 ? T(1) : s == 1 ? T(2) : T(.5); }
  // coefficient k of the product of (u - r * r) over the roots r but 1 and number s
  static LENET_INLINE T coefficient(int s, int k) {
    const T of[3][3][3] = {{{1}}, {{-4, 1}, {1}}, {{1, T(-4.25), 1}, {T(-.25), 1}, {-4, 1}}};
    return of[PAIRS - 1][s][k];
  }
  // SCALE * G(w)[q] = sum of w[i] * filter(q, i)
  static T filter(int q, int i, int width) {
    const T factors[3][4] = {{-1, T(.5)}, {T(.75), T(-.5), T(.125)}, {-45, -10, T(.5), 32}};
    if (q == P - 1) return i == width - 1 ? T(SCALE) : T(0);
    T power = factors[PAIRS - 1][(q + 1) / 2];
    for (; i > 0; i--) power *= q == 0 ? T(0) : q % 2 ? root((q - 1) / 2) : -root((q - 1) / 2);
    return power;
  }

  // t[q][tile] = in(x) of tiles that begin `outputs` elements apart
  static void in(const T *x, long tiles, long outputs, T *t, long plane) {
    for (long k = 0; k < tiles; k++, x += outputs * N, t += N) {
      V d[P], difference[P - 2];
      LENET_UNROLL for (int i = 0; i < P; i++) d[i] = load<V>(x + i * N);
      LENET_UNROLL for (int i = 0; i < P - 2; i++) difference[i] = d[i + 2] - d[i];
      V zero = V(), infinity = V();
      LENET_UNROLL for (int s = 0; s < PAIRS; s++) {
        const V *from = s == 0 ? d : difference;
        V even = V(), odd = V();
        LENET_UNROLL for (int i = 0; i < PAIRS - (s > 0); i++) {
          even += coefficient(s, i) * from[2 * i + 2];
          odd += coefficient(s, i) * from[2 * i + 1];
        }
        store(t + (2 * s + 1) * plane, even + root(s) * odd);
        store(t + (2 * s + 2) * plane, even - root(s) * odd);
        zero += coefficient(0, s) * difference[2 * s];
        infinity += coefficient(0, s) * difference[2 * s + 1];
      }
      store(t, zero);
      store(t + (P - 1) * plane, infinity);
    }
  }

  // y[position][output][map] = out(m), m: [q][position][map]
  static void out(const T *m, long plane, long positions, long maps, long outputs, T *y) {
    for (long p = 0; p < positions; p++, y += (outputs - 1) * maps * N)
      for (long map = 0; map < maps; map++, m += N, y += N) {
        V even[PAIRS], odd[PAIRS];
        LENET_UNROLL for (int s = 0; s < PAIRS; s++) {
          const V plus = load<V>(m + (2 * s + 1) * plane), minus = load<V>(m + (2 * s + 2) * plane);
          even[s] = plus + minus;
          odd[s] = plus - minus;
        }
        LENET_UNROLL for (int j = 0; j < P - 1; j++) {
          if (j == outputs) break;
          V sum = j == 0 ? load<V>(m) : V();
          LENET_UNROLL for (int s = 0; s < PAIRS; s++)
            sum += power_of(s, j) * (j % 2 ? odd[s] : even[s]);
          if (j == outputs - 1) sum += load<V>(m + (P - 1) * plane);
          store(y + j * maps * N, sum);
        }
      }
  }

  // t[q][tile] = out'(y)
  static void out_back(const T *y, long tiles, long outputs, T *t, long plane) {
    for (long k = 0; k < tiles; k++, y += outputs * N, t += N) {
      V even[PAIRS], odd[PAIRS];
      LENET_UNROLL for (int s = 0; s < PAIRS; s++) even[s] = odd[s] = V();
      LENET_UNROLL for (int j = 0; j < P - 1; j++) {
        if (j == outputs) break;
        const V v = load<V>(y + j * N);
        LENET_UNROLL for (int s = 0; s < PAIRS; s++) (j % 2 ? odd : even)[s] += power_of(s, j) * v;
      }
      store(t, load<V>(y));
      LENET_UNROLL for (int s = 0; s < PAIRS; s++) {
        store(t + (2 * s + 1) * plane, even[s] + odd[s]);
        store(t + (2 * s + 2) * plane, even[s] - odd[s]);
      }
      store(t + (P - 1) * plane, load<V>(y + (outputs - 1) * N));
    }
  }

  static LENET_INLINE T power_of(int s, int j) {
    T power = 1;
    LENET_UNROLL for (int i = 0; i < j; i++) power *= root(s);
    return power;
  }
};

// The maps for a number of points that is known when the program runs; 1: no transform at all.
template <typename T> struct Transform {
  int points, outputs;
  T scale;
  T (*filter)(int, int, int);
  void (*in)(const T *, long, long, T *, long);
  void (*out)(const T *, long, long, long, long, T *);
  void (*out_back)(const T *, long, long, T *, long);

  Transform(int number, long width) : points(number), outputs(number - width + 1), scale(1) {
    if (points == 1) outputs = 1;
    if (points == 4) use<Points<T, 4> >();
    if (points == 6) use<Points<T, 6> >();
    if (points == 8) use<Points<T, 8> >();
  }
  template <typename P> void use() {
    scale = P::SCALE;
    filter = P::filter;
    in = P::in;
    out = P::out;
    out_back = P::out_back;
  }

  // to[q][row] = scale * G(w[row]); columns: room for as many numbers as w has
  void filters(const T *w, long rows, long width, T *columns, T *to) const {
    for (long r = 0; r < rows; r++)
      for (long i = 0; i < width; i++) columns[i * rows + r] = w[r * width + i];
    memset(to, 0, points * rows * sizeof(T));
    for (int q = 0; q < points; q++)
      for (long i = 0; i < width; i++) {
        const T factor = filter(q, i, width), *const column = columns + i * rows;
        for (long r = 0; r < rows; r++) to[q * rows + r] += factor * column[r];
      }
  }
};

}  // namespace lenet
