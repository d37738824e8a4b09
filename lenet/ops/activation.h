// Kernels of lenet.ops.activation: tanh and sigmoid on whole vectors, with bias and gradient.
// To be included after simd.h.
//
// The C library's functions take one number per call.  Here exp is computed for a whole vector,
// without a branch:
//
//     exp(x) = 2^n * exp(r)      n = round(x / log 2),  r = x - n * log 2,  |r| <= log(2) / 2
//     exp(r) = 1 + r + r^2 / 2! + r^3 / 3! + ...      7 more terms for float32, 13 for float64
//
//     2^n: n goes straight into the exponent's bits      | sign | n + 127 | 000...  |   float32
//     round(): adding 1.5 * 2^23 pushes the fraction out of the end of the mantissa
//
//     tanh(x)    = sign(x) * (1 - 2 / (exp(2 |x|) + 1))          for |x| >= 0.75
//                = x + x^3 * (a polynomial in x^2)               below, where 1 - ... would cancel
//     sigmoid(x) = 1 / (1 + exp(-x)), exp(x) / (1 + exp(x))      for x >= 0, x < 0: no overflow
//
// Both formulas of tanh are computed and each lane takes its own.  Measured against double
// precision over all magnitudes of float32, tanh is within 1.04 and sigmoid within 1.34 units in
// the last place of the exact value.  NaN gives NaN, and tanh(-0) is -0.
//
// An array is a matrix to the loops: rows are images, and a row is units x inner numbers, where
// units are maps or neurons and inner is the area of a map (1 after a matrix product).
//
//            unit 0        unit 1        unit 2
//     row 0  # # # # # #   # # # # # #   # # # # # #     y = function(scale * (x + wide))
//     row 1  # # # # # #   # # # # # #   # # # # # #     wide: the bias, each number `inner` times
//     ...    # # # # # #   # # # # # #   # # # # # #     gx = gy * slope(y);  sums += gx
//     sums   + + + + + +   + + + + + +   + + + + + +     one per block of rows; their sum over
//                                                        blocks and inner: the bias' gradient

namespace lenet {

// Constants: of exp(r) - 1 = r + r^2 / 2! + ... (TERMS of them after the first), of the reduction
// to |r| <= log(2) / 2, and of tanh(x) = x + x^3 q(x^2) on |x| < 0.75, where q interpolates
// (tanh(x) / x - 1) / x^2 at Chebyshev's points.
template <typename T> struct Constants;
template <> struct Constants<float> {
  enum { MANTISSA = 23, BIAS = 127, TERMS = 7, TANH_TERMS = 7 };
  static float log2e() { return 1.44269504088896341f; }
  // log(2) in two parts; multiples up to 2^9 of the first are exact
  static float ln2_high() { return 0.693359375f; }
  static float ln2_low() { return -2.12194440e-4f; }
  static float round() { return 12582912.f; }  // 1.5 * 2^23: adding it rounds to an integer
  static float tanh_limit() { return 10.f; }   // tanh(10) rounds to 1
  static float exp_limit() { return 105.f; }   // exp(-105) rounds to 0
  static float tanh_term(int i) {
    static const float q[] = {-0.33333333271933147f, 0.13333322611171833f, -0.05396516773197359f,
                              0.021835781401076455f, -0.008684716990247879f,
                              0.003089926394565096f, -0.0006965330334160416f};
    return q[i];
  }
};
template <> struct Constants<double> {
  enum { MANTISSA = 52, BIAS = 1023, TERMS = 13, TANH_TERMS = 14 };
  static double log2e() { return 1.4426950408889634074; }
  static double ln2_high() { return 6.93147180369123816490e-01; }
  static double ln2_low() { return 1.90821492927058770002e-10; }
  static double round() { return 6755399441055744.; }  // 1.5 * 2^52
  static double tanh_limit() { return 20.; }
  static double exp_limit() { return 750.; }
  static double tanh_term(int i) {
    static const double q[] = {-0.3333333333333333, 0.13333333333333294, -0.0539682539682076,
                               0.021869488534033452, -0.008863235479105364, 0.003592127305771337,
                               -0.0014558275482916571, 0.0005899837682081133,
                               -0.0002389332673687292, 9.628953316427487e-05,
                               -3.784864316675998e-05, 1.3601729022897116e-05,
                               -3.833589294501544e-06, 5.985399672039163e-07};
    return q[i];
  }
};

// exp(x) - 1 = 2^n * p + (2^n - 1) with n = round(x / log 2), p = exp(r) - 1, r = x - n * log 2
template <typename T>
LENET_INLINE void exp_parts(typename Simd<T>::Vec x, typename Simd<T>::Vec *p,
                            typename Simd<T>::IntVec *n) {
  typedef typename Simd<T>::Vec V;
  typedef typename Simd<T>::IntVec I;
  const V shifted = x * Constants<T>::log2e() + Constants<T>::round();
  const V whole = shifted - Constants<T>::round();
  const V round = V() + Constants<T>::round();
  *n = (I)shifted - (I)round;
  const V r = (x - whole * Constants<T>::ln2_high()) - whole * Constants<T>::ln2_low();
  // 1/2! + r/3! + r^2/4! + ..., from the last term inwards
  static const double inverse[] = {1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040,
                                   1. / 40320, 1. / 362880, 1. / 3628800, 1. / 39916800,
                                   1. / 479001600, 1. / 6227020800., 1. / 87178291200.};
  V q = V() + (T)inverse[Constants<T>::TERMS - 1];
  LENET_UNROLL for (int i = Constants<T>::TERMS - 2; i >= 0; i--) q = q * r + (T)inverse[i];
  *p = r * r * q + r;
}

template <typename T>
LENET_INLINE typename Simd<T>::Vec power_of_2(typename Simd<T>::IntVec n) {
  return (typename Simd<T>::Vec)((n + (typename Simd<T>::Int)Constants<T>::BIAS)
                                 << (typename Simd<T>::Int)Constants<T>::MANTISSA);
}

// tanh |x| = 1 - 2 / (exp(2 |x|) + 1), or the polynomial, which keeps every bit of a small x
struct Tanh {
  template <typename T> static LENET_INLINE typename Simd<T>::Vec value(typename Simd<T>::Vec x) {
    typedef typename Simd<T>::Vec V;
    typedef typename Simd<T>::IntVec I;
    typedef Constants<T> C;
    const V minus_zero = -V();
    const I sign = (I)x & (I)minus_zero;
    V a = (V)((I)x ^ sign), limit = V() + C::tanh_limit(), p;
    a = a < limit ? a : limit;
    I n;
    exp_parts<T>(a + a, &p, &n);
    const V scale = power_of_2<T>(n);
    const V large = 1 - 2 / (scale * p + scale + 1);
    const V z = a * a;
    V q = V() + C::tanh_term(C::TANH_TERMS - 1);
    LENET_UNROLL for (int i = C::TANH_TERMS - 2; i >= 0; i--) q = q * z + C::tanh_term(i);
    const V small = a * (z * q) + a;
    const V y = (V)((I)(a < (T)0.75 ? small : large) | sign);
    return x == x ? y : x;
  }
  // dy/dx by y
  template <typename T> static LENET_INLINE typename Simd<T>::Vec slope(typename Simd<T>::Vec y) {
    return 1 - y * y;
  }
};

// e / (1 + e) for x < 0, 1 / (1 + e) else, with e = exp(-|x|), which does not overflow.  What
// rounding takes from e and from 1 + e is put back into the quotient.
struct Sigmoid {
  template <typename T> static LENET_INLINE typename Simd<T>::Vec value(typename Simd<T>::Vec x) {
    typedef typename Simd<T>::Vec V;
    typedef typename Simd<T>::IntVec I;
    const V limit = V() - Constants<T>::exp_limit(), zero = V(), one = zero + 1;
    V a = x < 0 ? x : -x, p;
    a = a > limit ? a : limit;
    I n;
    exp_parts<T>(a, &p, &n);
    // in two steps, since 2^n may be too small to be a normal number
    const I half = n >> 1;
    const V scale1 = power_of_2<T>(half), scale2 = power_of_2<T>(n - half);
    const V high = one + p, low = p - (high - one);
    const V e = high * scale1 * scale2, e_lost = low * scale1 * scale2;
    const V sum = one + e, sum_lost = (e - (sum - one)) + e_lost;
    const V y = (x < 0 ? e : one) / sum;
    // 1 / sum = 1.457 - sum / 2 within 4 % for 1 <= sum <= 2
    const V lost = ((x < 0 ? e_lost : zero) - y * sum_lost) * ((T)1.457 - (T)0.5 * sum);
    const V exact = y + lost;
    return x == x ? exact : x;
  }
  template <typename T> static LENET_INLINE typename Simd<T>::Vec slope(typename Simd<T>::Vec y) {
    return y * (1 - y);
  }
};

// Rows of `length` elements; element i of a row belongs to unit i / inner of `units`.
struct Rows {
  long rows, units, inner, length;
};

// the first n lanes, the others 0; and the way back
template <typename T> LENET_INLINE typename Simd<T>::Vec load_some(const T *p, long n) {
  T lanes[Simd<T>::N] = {0};
  memcpy(lanes, p, n * sizeof(T));
  return load<typename Simd<T>::Vec>(lanes);
}
template <typename T> LENET_INLINE void store_some(T *p, typename Simd<T>::Vec v, long n) {
  memcpy(p, &v, n * sizeof(T));
}

// y = f(scale * (x + bias[unit])); wide: the bias as a whole row, or null; y may be x
template <typename T, typename F>
void activate_row(const T *x, const T *wide, T scale, T *y, long n) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  long i = 0;
  for (; i + N <= n; i += N) {
    V v = load<V>(x + i);
    if (wide) v += load<V>(wide + i);
    store(y + i, F::template value<T>(v * scale));
  }
  if (i < n) {
    V v = load_some(x + i, n - i);
    if (wide) v += load_some(wide + i, n - i);
    store_some(y + i, F::template value<T>(v * scale), n - i);
  }
}

template <typename T, typename F>
bool activate(const Rows &s, const T *x, const T *bias, T scale, T *y, int threads) {
  T *wide = 0;
  Scratch scratch;
  if (bias) scratch.add(&wide, s.length);
  if (!scratch.allocate()) return false;
  for (long u = 0; bias && u < s.units; u++)
    for (long i = 0; i < s.inner; i++) wide[u * s.inner + i] = bias[u];
  if (s.rows * s.length < 30000) threads = 1;
  // without a bias, rows mean nothing: pieces of one size
  const long piece = bias ? s.length : smaller(s.length, 4096);
  const long pieces = piece ? divide_up(s.length, piece) : 0;
  LENET_PRAGMA(omp parallel for schedule(static) num_threads(threads))
  for (long j = 0; j < s.rows * pieces; j++) {
    const long begin = j / pieces * s.length + j % pieces * piece;
    const long n = smaller(piece, s.length - j % pieces * piece);
    activate_row<T, F>(x + begin, wide, scale, y + begin, n);
  }
  return true;
}

// gx = gy * slope(y); sums += gx, if not null; gx may be gy
template <typename T, typename F>
void gradient_row(const T *gy, const T *y, T *gx, T *sums, long n) {
  typedef typename Simd<T>::Vec V;
  const int N = Simd<T>::N;
  long i = 0;
  for (; i + N <= n; i += N) {
    const V g = load<V>(gy + i) * F::template slope<T>(load<V>(y + i));
    store(gx + i, g);
    if (sums) store(sums + i, load<V>(sums + i) + g);
  }
  if (i < n) {
    const V g = load_some(gy + i, n - i) * F::template slope<T>(load_some(y + i, n - i));
    store_some(gx + i, g, n - i);
    if (sums) store_some(sums + i, load_some(sums + i, n - i) + g, n - i);
  }
}

// gbias[unit] = sum of gx over rows and inner: by blocks of rows that follow from the shape alone,
// then in double precision
template <typename T, typename F>
bool activate_grad(const Rows &s, const T *gy, const T *y, T *gx, T *gbias, int threads) {
  const long block = larger(1, divide_up(s.rows, 32)), blocks = divide_up(s.rows, block);
  const long part = divide_up(s.length, 16) * 16;  // whole cache lines
  T *sums = 0;
  Scratch scratch;
  if (gbias) scratch.add(&sums, blocks * part);
  if (!scratch.allocate()) return false;
  if (s.rows * s.length < 30000) threads = 1;
  LENET_PRAGMA(omp parallel for schedule(static) num_threads(threads))
  for (long b = 0; b < blocks; b++) {
    T *const own = sums ? sums + b * part : 0;
    if (own) memset(own, 0, s.length * sizeof(T));
    for (long r = b * block; r < smaller(s.rows, (b + 1) * block); r++)
      gradient_row<T, F>(gy + r * s.length, y + r * s.length, gx + r * s.length, own, s.length);
  }
  for (long u = 0; gbias && u < s.units; u++) {
    double totals[8] = {0};  // one chain of additions would wait for each of them
    for (long b = 0; b < blocks; b++) {
      const T *const sum = sums + b * part + u * s.inner;
      long i = 0;
      for (; i + 8 <= s.inner; i += 8)
        for (int k = 0; k < 8; k++) totals[k] += sum[i + k];
      for (; i < s.inner; i++) totals[0] += sum[i];
    }
    for (int k = 1; k < 8; k++) totals[0] += totals[k];
    gbias[u] = (T)totals[0];
  }
  return true;
}

#if defined(Py_PYTHON_H)
inline Rows rows_of(PyArrayObject *x) {
  const int ndim = PyArray_NDIM(x);
  Rows s = {1, 1, 1, 1};
  if (ndim > 0) s.rows = PyArray_DIMS(x)[0];
  if (ndim > 1) s.units = PyArray_DIMS(x)[1];
  for (int i = 2; i < ndim; i++) s.inner *= PyArray_DIMS(x)[i];
  s.length = s.units * s.inner;
  return s;
}

// Makes *out x itself, if it is wanted in place and can be, or an array of x's shape.
inline bool output_like(PyArrayObject **out, PyArrayObject *x, bool inplace) {
  if (!inplace || !PyArray_IS_C_CONTIGUOUS(x) || !PyArray_ISALIGNED(x))
    return allocate(out, PyArray_NDIM(x), PyArray_DIMS(x), PyArray_TYPE(x));
  Py_INCREF(x);
  Py_XDECREF(*out);
  *out = x;
  return true;
}

// Both return false with a Python error set.  bias is NULL where there is none.
template <typename T, typename F>
bool activation(PyArrayObject *x, PyArrayObject *bias, T scale, PyArrayObject **y, bool inplace) {
  Rows s = rows_of(x);
  if (bias && PyArray_DIMS(bias)[0] != s.units) {
    PyErr_Format(PyExc_ValueError, "Activation: a bias of %ld for %ld units",
                 (long)PyArray_DIMS(bias)[0], s.units);
    return false;
  }
  if (!bias) s.length *= s.rows, s.rows = 1;
  if (!output_like(y, x, inplace)) return false;
  const InCOrder<T> xs(x), biases(bias);
  if (xs.failed || biases.failed) return false;
  bool done;
  Py_BEGIN_ALLOW_THREADS
  done = activate<T, F>(s, xs.data, biases.data, scale, data_of<T>(y), threads());
  Py_END_ALLOW_THREADS
  if (!done) PyErr_NoMemory();
  return done;
}

template <typename T, typename F>
bool activation_grad(PyArrayObject *gy, PyArrayObject *y, PyArrayObject **gx,
                     PyArrayObject **gbias, bool inplace) {
  const Rows s = rows_of(y);
  if (!PyArray_SAMESHAPE(gy, y)) {
    PyErr_SetString(PyExc_ValueError, "ActivationGrad: gradient and output differ in shape");
    return false;
  }
  if (!output_like(gx, gy, inplace)) return false;
  const npy_intp units = s.units;
  if (gbias && !allocate(gbias, 1, &units, PyArray_TYPE(y))) return false;
  const InCOrder<T> gys(gy), ys(y);
  if (gys.failed || ys.failed) return false;
  bool done;
  Py_BEGIN_ALLOW_THREADS
  done = activate_grad<T, F>(s, gys.data, ys.data, data_of<T>(gx), data_of<T>(gbias), threads());
  Py_END_ALLOW_THREADS
  if (!done) PyErr_NoMemory();
  return done;
}
#endif

}  // namespace lenet
