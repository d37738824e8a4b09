// What the kernels of this folder share: vectors, scratch memory, NumPy arrays as C pointers.
//
// Vectors are those of GCC and Clang (vector_size), not one processor's intrinsics:
//
//                    LENET_VECTOR_BYTES   N (float)   N (double)
//     AVX-512                64               16           8        | l0 | l1 | l2 | ... | lN-1 |
//     AVX, AVX2              32                8           4
//     SSE2, NEON             16                4           2        Vec: N numbers, IntVec: N masks
//
// a < b compares lane by lane and gives an IntVec of -1 (true) and 0; c ? a : b chooses lane by
// lane; v * s multiplies every lane by the scalar s.  load and store accept any alignment.
//
// LENET_PRAGMA(omp parallel for ...) is empty where Theano compiles without OpenMP.  Results do not
// depend on it: what a block computes, and the order in which blocks are summed, follow from the
// shapes alone.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmath>
#include <limits>

#if defined(LENET_OPENMP)
#include <omp.h>
#endif

#if !defined(LENET_VECTOR_BYTES)
#if defined(__AVX512F__)
#define LENET_VECTOR_BYTES 64
#elif defined(__AVX__)
#define LENET_VECTOR_BYTES 32
#else
#define LENET_VECTOR_BYTES 16
#endif
#endif

// registers of a vector's size
#if defined(__AVX512F__) || defined(__aarch64__)
#define LENET_REGISTERS 32
#else
#define LENET_REGISTERS 16
#endif

#if defined(LENET_OPENMP)
#define LENET_PRAGMA(text) _Pragma(#text)
#else
#define LENET_PRAGMA(text)
#endif
#define LENET_UNROLL _Pragma("GCC unroll 16")  // arrays of vectors stay in registers
#define LENET_INLINE inline __attribute__((always_inline))

namespace lenet {

template <int BYTES> struct Integer { typedef int32_t Type; };
template <> struct Integer<8> { typedef int64_t Type; };

template <typename T> struct Simd {
  typedef typename Integer<sizeof(T)>::Type Int;
  typedef T Vec __attribute__((vector_size(LENET_VECTOR_BYTES)));
  typedef Int IntVec __attribute__((vector_size(LENET_VECTOR_BYTES)));
  enum { N = LENET_VECTOR_BYTES / (int)sizeof(T) };
};

template <typename V, typename T> LENET_INLINE V load(const T *p) {
  V v;
  memcpy(&v, p, sizeof v);
  return v;
}
template <typename V, typename T> LENET_INLINE void store(T *p, V v) { memcpy(p, &v, sizeof v); }

inline long divide_up(long a, long b) { return (a + b - 1) / b; }
inline long smaller(long a, long b) { return a < b ? a : b; }
inline long larger(long a, long b) { return a > b ? a : b; }

// False as well where numbers are so large that a transform might overflow.
template <typename T> bool all_finite(const T *x, long n) {
  const T most = std::numeric_limits<T>::max() / (1 << 20);
  typename Simd<T>::Int other = 0;  // as wide as T, so that the loop uses vectors
  for (long i = 0; i < n; i++) other |= !(std::abs(x[i]) <= most);
  return !other;
}

// One allocation for several arrays, each of which begins on a cache line:
//
//     Scratch scratch;
//     scratch.add(&a, n);                     | up to 63 bytes | a ... | up to 63 bytes | b ... |
//     scratch.add(&b, m);
//     if (!scratch.allocate()) return false;
class Scratch {
  struct Array {
    void *pointer;
    size_t at;
  } arrays[8];
  int count;
  size_t bytes;
  char *memory;
  Scratch(const Scratch &);
  void operator=(const Scratch &);

 public:
  Scratch() : count(0), bytes(0), memory(0) {}
  ~Scratch() { free(memory); }
  template <typename T> void add(T **pointer, long size) {
    arrays[count].pointer = pointer;
    arrays[count++].at = bytes;
    bytes += (size * sizeof(T) + 63) & ~(size_t)63;
  }
  bool allocate() {
    memory = (char *)malloc(bytes + 64);
    for (int i = 0; memory && i < count; i++) {
      char *const begin = (char *)(((uintptr_t)memory + 63) & ~(uintptr_t)63) + arrays[i].at;
      memcpy(arrays[i].pointer, &begin, sizeof begin);
    }
    return memory;
  }
};

inline int threads() {
#if defined(LENET_OPENMP)
  return omp_get_max_threads();
#else
  return 1;
#endif
}

#if defined(Py_PYTHON_H)
// The data of an array in C order, copied if necessary; null for a null array.  If there is no
// memory for the copy, failed is true and a Python error set.
template <typename T> class InCOrder {
  PyArrayObject *array;
  InCOrder(const InCOrder &);
  void operator=(const InCOrder &);

 public:
  bool failed;
  const T *data;
  explicit InCOrder(PyArrayObject *any) : array(NULL), failed(false), data(NULL) {
    if (!any) return;
    array = (PyArrayObject *)PyArray_FROM_OF(
        (PyObject *)any, NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED | NPY_ARRAY_NOTSWAPPED);
    failed = !array;
    if (array) data = (const T *)PyArray_DATA(array);
  }
  ~InCOrder() { Py_XDECREF(array); }
};

// The memory of an output, null for one that is not wanted.
template <typename T> T *data_of(PyArrayObject **out) {
  return out ? (T *)PyArray_DATA(*out) : NULL;
}

// Makes *out an array of this shape in C order; keeps that of the last call if it fits.
inline bool allocate(PyArrayObject **out, int ndim, const npy_intp *dims, int type) {
  if (*out && PyArray_NDIM(*out) == ndim && PyArray_IS_C_CONTIGUOUS(*out) &&
      PyArray_ISALIGNED(*out) && PyArray_CompareLists(PyArray_DIMS(*out), dims, ndim))
    return true;
  Py_XDECREF(*out);
  *out = (PyArrayObject *)PyArray_EMPTY(ndim, (npy_intp *)dims, type, 0);
  return *out != NULL;
}
#endif

}  // namespace lenet
