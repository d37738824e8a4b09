/* Included before every module that Theano 1.0.5 writes: what that assumes of Python and NumPy. */
#ifndef LENET_GENERATED_H
#define LENET_GENERATED_H

/* PyArray_Descr has a member `elsize` for modules that want NumPy 2 or later */
#define NPY_TARGET_VERSION 0x00000012

/* Theano's tests of the compiler are programs that know no Python */
#if __has_include(<numpy/arrayobject.h>)
#include <Python.h>
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>

/* gof/c_code/lazylinker_c.c: the first NumPys 2 still have these */
#include <numpy/npy_3kcompat.h>
#ifndef NPY_PY3K
#define NPY_PY3K 1
#endif
#ifndef PyInt_AS_LONG
#define PyInt_Check PyLong_Check
#define PyInt_AsLong PyLong_AsLong
#define PyInt_FromLong PyLong_FromLong
#define PyInt_AS_LONG PyLong_AS_LONG
#endif

/* tensor/basic.py:1349, tensor/extra_ops.py:328: an axis that means all of them */
#undef NPY_MAXDIMS
#define NPY_MAXDIMS NPY_RAVEL_AXIS

/* scalar/basic.py:513: complex numbers with members */
#ifdef __cplusplus
template <typename Real, typename Complex> struct LenetComplex {
  Real real, imag;
  operator Complex() const { Complex value = {{real, imag}}; return value; }
};
#define npy_complex64 LenetComplex<npy_float32, npy_cfloat>
#define npy_complex128 LenetComplex<npy_float64, npy_cdouble>
#endif
#endif

#endif
