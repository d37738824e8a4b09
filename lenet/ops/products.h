// BLAS routines for lenet.ops.products, under the names that Theano calls.

#if defined(openblas_set_num_threads)  // lenet.theano_start has found an OpenBLAS
extern "C" {
int openblas_get_num_threads(void);
void openblas_set_num_threads(int);
}

namespace lenet {

// OpenBLAS has one thread while this exists, if there is less than `enough` work.
class OneThreadIfSmall {
  const int threads;

 public:
  OneThreadIfSmall(double work, double enough)
      : threads(work < enough ? openblas_get_num_threads() : 1) {
    if (threads > 1) openblas_set_num_threads(1);
  }
  ~OneThreadIfSmall() {
    if (threads > 1) openblas_set_num_threads(threads);
  }
};

// A quarter of a millisecond with one thread of an AMD EPYC: 2 ** 24 multiplications of matrices, or
// 2 ** 20 elements of a matrix that is read once.
#define LENET_BLAS(T, GEMM, GEMV, GER)                                                            \
  inline void gemm(char *ta, char *tb, const int *m, const int *n, const int *k, const T *alpha,  \
                   const T *a, const int *lda, const T *b, const int *ldb, const T *beta, T *c,   \
                   const int *ldc) {                                                              \
    const OneThreadIfSmall threads((double)*m * *n * *k, 1 << 24);                                \
    GEMM(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);                                   \
  }                                                                                               \
  inline void gemv(char *ta, const int *m, const int *n, const T *alpha, const T *a,              \
                   const int *lda, const T *x, const int *incx, const T *beta, T *y,              \
                   const int *incy) {                                                             \
    const OneThreadIfSmall threads((double)*m * *n, 1 << 20);                                     \
    GEMV(ta, m, n, alpha, a, lda, x, incx, beta, y, incy);                                        \
  }                                                                                               \
  inline void ger(const int *m, const int *n, const T *alpha, const T *x, const int *incx,        \
                  const T *y, const int *incy, T *a, const int *lda) {                            \
    const OneThreadIfSmall threads((double)*m * *n, 1 << 20);                                     \
    GER(m, n, alpha, x, incx, y, incy, a, lda);                                                   \
  }
LENET_BLAS(float, sgemm_, sgemv_, sger_)
LENET_BLAS(double, dgemm_, dgemv_, dger_)

}  // namespace lenet

#undef sgemm_
#undef sgemv_
#undef sger_
#undef dgemm_
#undef dgemv_
#undef dger_
#define sgemm_ lenet::gemm
#define sgemv_ lenet::gemv
#define sger_ lenet::ger
#define dgemm_ lenet::gemm
#define dgemv_ lenet::gemv
#define dger_ lenet::ger
#endif
