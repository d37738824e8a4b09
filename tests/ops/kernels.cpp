// Checks the kernels without Python, so that sanitizers and other instruction sets can be used:
// random shapes against sums written down as in a textbook, in double precision.
//     g++ -O1 -I FOLDER_OF_THE_PACKAGE [-fopenmp -DLENET_OPENMP] [-fsanitize=...] kernels.cpp
//     ./a.out 40        shapes for each of the kernels

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <vector>

#include "lenet/ops/simd.h"
#include "lenet/ops/activation.h"
#include "lenet/ops/convolution.h"
#include "lenet/ops/convpool_transforms.h"
#include "lenet/ops/convpool_forward.h"
#include "lenet/ops/convpool_dense.h"
#include "lenet/ops/convpool_hits.h"
#include "lenet/ops/convpool.h"

using lenet::Shape;
using std::vector;

static int n_shapes;
static unsigned state = 1;
static int random_int(int low, int high) {
  state = state * 1664525 + 1013904223;
  return low + (int)((state >> 8) % (unsigned)(high - low + 1));
}

// Vectors of exactly their size, so that a sanitizer sees every step beyond.  Multiples of 1/8,
// whose sums are exact: a tie is a tie in every order of summation.
template <typename T> vector<T> random_values(long n) {
  vector<T> v(n);
  for (long i = 0; i < n; i++) v[i] = (T)(random_int(-8, 8) * random_int(0, 1)) / 8;
  return v;
}

template <typename T> struct Results {
  vector<T> z, gw, gx, only_gw, only_gx;
};

template <typename T>
Results<T> kernels(const Shape &s, const vector<T> &x, const vector<T> &w, const vector<T> &gz,
                   bool flip, int threads) {
  Results<T> r;
  vector<uint32_t> record(gz.size() * s.words);
  r.z.resize(gz.size());
  r.gw = r.only_gw = vector<T>(w.size());
  r.gx = r.only_gx = vector<T>(x.size());
  lenet::convpool_forward<T, uint32_t>(s, x.data(), w.data(), flip, r.z.data(), record.data(),
                                       threads);
  for (int only = 0; only < 3; only++)
    lenet::convpool_backward<T, uint32_t>(
        s, x.data(), w.data(), flip, gz.data(), record.data(),
        only == 2 ? 0 : only ? r.only_gw.data() : r.gw.data(),
        only == 1 ? 0 : only ? r.only_gx.data() : r.gx.data(), threads);
  return r;
}

template <typename T>
Results<double> textbook(const Shape &s, const vector<T> &x, const vector<T> &w,
                         const vector<T> &gz, bool flip) {
  Results<double> r;
  r.gw.resize(w.size());
  r.gx.resize(x.size());
  const long taps = s.channels * s.fh * s.fw;
  for (long o = 0; o < (long)gz.size(); o++) {
    const long px = o % s.pw, py = o / s.pw % s.ph, m = o / (s.pw * s.ph) % s.maps;
    const long image = o / (s.pw * s.ph * s.maps);
    vector<double> values;
    vector<long> in_x(taps), in_w(taps);
    for (int pass = 0; pass < 2; pass++)
      for (long e = 0; e < s.wh * s.ww; e++) {
        if (py * s.wh + e / s.ww >= s.rows || px * s.ww + e % s.ww >= s.columns) {
          values.push_back(-INFINITY);  // beyond the border
          continue;
        }
        double sum = 0;
        for (long t = 0; t < taps; t++) {
          const long kx = t % s.fw, ky = t / s.fw % s.fh, c = t / (s.fw * s.fh);
          in_x[t] = ((image * s.channels + c) * s.height + py * s.wh + e / s.ww + ky) * s.width +
                    px * s.ww + e % s.ww + kx;
          in_w[t] = (m * s.channels + c) * s.fh * s.fw +
                    (flip ? s.fh * s.fw - 1 - ky * s.fw - kx : ky * s.fw + kx);
          sum += (double)x[in_x[t]] * w[in_w[t]];
        }
        if (pass == 0) {
          values.push_back(sum);
          if (e == 0 || sum > r.z.back()) {
            if (e) r.z.pop_back();
            r.z.push_back(sum);
          }
        } else if (values[e] == r.z.back()) {
          for (long t = 0; t < taps; t++) {
            r.gw[in_w[t]] += (double)gz[o] * x[in_x[t]];
            r.gx[in_x[t]] += (double)gz[o] * w[in_w[t]];
          }
        }
      }
  }
  return r;
}

template <typename T> double distance(const vector<T> &found, const vector<double> &expected) {
  double worst = 0;
  for (size_t i = 0; i < expected.size(); i++)
    worst = fmax(worst, fabs(found[i] - expected[i]) / (1 + fabs(expected[i])));
  return found.size() == expected.size() ? worst : 1;
}

template <typename T> bool check_convpool(double tolerance) {
  for (int k = 0; k < n_shapes; k++) {
    Shape s;
    s.images = random_int(1, 35), s.channels = random_int(1, 9), s.maps = random_int(1, 15);
    if (k % 3 == 0) s.channels = 1;
    s.fh = random_int(1, 7), s.fw = random_int(1, 7);
    s.wh = random_int(1, k % 4 ? 4 : 11), s.ww = random_int(1, 4);
    const bool kept = k / 2 % 2;  // windows that are not full
    s.rows = random_int(kept ? 1 : s.wh, s.wh + 9), s.columns = random_int(kept ? 1 : s.ww, 12);
    s.ph = (s.rows + kept * (s.wh - 1)) / s.wh, s.pw = (s.columns + kept * (s.ww - 1)) / s.ww;
    s.oh = lenet::larger(s.rows, s.ph * s.wh), s.ow = lenet::larger(s.columns, s.pw * s.ww);
    s.words = lenet::divide_up(s.wh * s.ww, 32) + kept;
    s.height = s.oh + s.fh - 1, s.width = s.ow + s.fw - 1;
    const vector<T> x = random_values<T>(s.images * s.channels * s.height * s.width);
    const vector<T> w = random_values<T>(s.maps * s.channels * s.fh * s.fw);
    vector<T> gz = random_values<T>(s.images * s.maps * s.ph * s.pw);
    const bool flip = k % 2;
    const Results<double> expected = textbook(s, x, w, gz, flip);
    const Results<T> r = kernels(s, x, w, gz, flip, 1), same = kernels(s, x, w, gz, flip, 3);
    const double worst =
        fmax(fmax(distance(r.z, expected.z), distance(r.gw, expected.gw)),
             fmax(fmax(distance(r.gx, expected.gx), distance(r.only_gw, expected.gw)),
                  distance(r.only_gx, expected.gx)));
    if (!(worst <= tolerance) || r.z != same.z || r.gw != same.gw || r.gx != same.gx ||
        r.only_gw != same.only_gw || r.only_gx != same.only_gx) {
      printf("off by %g: images %ld x %ld x %ld x %ld, filters %ld of %ld x %ld, "
             "windows %ld x %ld\n", worst,
             s.images, s.channels, s.height, s.width, s.maps, s.fh, s.fw, s.wh, s.ww);
      return false;
    }
    gz[0] = (T)INFINITY;  // the other ways through the gradients
    kernels(s, x, w, gz, flip, 2);
    vector<T> infinite = x;
    infinite[0] = (T)INFINITY;
    kernels(s, infinite, w, gz, flip, 2);
  }
  return true;
}

template <typename T> bool check_convolution(double tolerance) {
  for (int k = 0; k < n_shapes; k++) {
    lenet::Sizes s;
    s.images = random_int(1, 35), s.channels = random_int(1, 9), s.maps = random_int(1, 20);
    s.fh = random_int(1, 6), s.fw = random_int(1, 6);
    s.oh = random_int(1, 12), s.ow = random_int(1, 30);
    s.height = s.oh + s.fh - 1, s.width = s.ow + s.fw - 1;
    vector<T> x = random_values<T>(s.images * s.channels * s.height * s.width);
    vector<T> w = random_values<T>(s.maps * s.channels * s.fh * s.fw);
    const vector<T> gy = random_values<T>(s.images * s.maps * s.oh * s.ow);
    const bool flip = k % 2;
    vector<double> y(gy.size()), gw(w.size()), gx(x.size());
    for (long at = 0; at < (long)gy.size(); at++)
      for (long c = 0; c < s.channels; c++)
        for (long t = 0; t < s.fh * s.fw; t++) {
          const long column = at % s.ow, row = at / s.ow % s.oh, map = at / s.ow / s.oh;
          const long p = ((map / s.maps * s.channels + c) * s.height + row + t / s.fw) * s.width +
                         column + t % s.fw;
          const long q = (map % s.maps * s.channels + c) * s.fh * s.fw +
                         (flip ? s.fh * s.fw - 1 - t : t);
          y[at] += (double)x[p] * w[q], gw[q] += (double)gy[at] * x[p];
          gx[p] += (double)gy[at] * w[q];
        }
    vector<T> found[3][2];
    for (int i = 0; i < 2; i++) {
      found[0][i].resize(y.size()), found[1][i].resize(gw.size()), found[2][i].resize(gx.size());
      lenet::convolve(s, x.data(), w.data(), flip, found[0][i].data(), 1 + 2 * i);
      lenet::gradient_of_filters(s, x.data(), gy.data(), flip, found[1][i].data(), 1 + 2 * i);
      lenet::gradient_of_images(s, w.data(), gy.data(), flip, found[2][i].data(), 1 + 2 * i);
    }
    const double worst = fmax(distance(found[0][0], y), fmax(distance(found[1][0], gw),
                                                             distance(found[2][0], gx)));
    if (!(worst <= tolerance) || found[0][0] != found[0][1] || found[1][0] != found[1][1] ||
        found[2][0] != found[2][1]) {
      printf("off by %g: images %ld x %ld x %ld x %ld, filters %ld of %ld x %ld, no windows\n",
             worst, s.images, s.channels, s.height, s.width, s.maps, s.fh, s.fw);
      return false;
    }
    x[0] = w[0] = (T)INFINITY;  // the other ways through the gradients
    lenet::gradient_of_filters(s, x.data(), gy.data(), flip, found[1][0].data(), 1);
    lenet::gradient_of_images(s, w.data(), gy.data(), flip, found[2][0].data(), 1);
  }
  return true;
}

template <typename T, typename F> bool check_activation(double (*exact)(double), double tolerance) {
  for (int k = 0; k < n_shapes; k++) {
    lenet::Rows s = {random_int(1, 40), random_int(1, 9), random_int(1, 40), 0};
    s.length = s.units * s.inner;
    const vector<T> x = random_values<T>(s.rows * s.length), bias = random_values<T>(s.units);
    vector<T> y(x.size()), gx(x.size()), gbias(bias.size());
    lenet::activate<T, F>(s, x.data(), bias.data(), T(0.5), y.data(), 2);
    lenet::activate_grad<T, F>(s, y.data(), y.data(), gx.data(), gbias.data(), 2);
    vector<double> expected(x.size());
    for (size_t i = 0; i < x.size(); i++)
      expected[i] = exact(0.5 * ((double)x[i] + bias[(long)i / s.inner % s.units]));
    if (!(distance(y, expected) <= tolerance)) {
      printf("an activation is off by %g\n", distance(y, expected));
      return false;
    }
  }
  return true;
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

int main(int argc, char **argv) {
  n_shapes = argc > 1 ? atoi(argv[1]) : 40;
  if (!check_convpool<float>(1e-5) || !check_convpool<double>(1e-13)) return 1;
  if (!check_convolution<float>(1e-5) || !check_convolution<double>(1e-13)) return 1;
  if (!check_activation<float, lenet::Tanh>(tanh, 3e-7) ||
      !check_activation<double, lenet::Tanh>(tanh, 1e-15) ||
      !check_activation<float, lenet::Sigmoid>(sigmoid, 3e-7) ||
      !check_activation<double, lenet::Sigmoid>(sigmoid, 1e-15))
    return 1;
  printf("right, vectors of %d bytes\n", LENET_VECTOR_BYTES);
  return 0;
}
