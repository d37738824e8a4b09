"""Theano's own tests, which lie in its package, run after ``import lenet``.

    python tests/theano_tests.py theano.tensor.tests.test_opt theano.gof.tests.test_op
    LENET_OPS=0 python tests/theano_tests.py theano.tensor.nnet.tests.test_sigm

Those of theano.gpuarray.tests run on the emulator: with THEANO_FLAGS=device=cuda, LENET_OPS=0 and
LD_LIBRARY_PATH the folder into which tests/gpu/made.py has built it.

Each test that does not pass is a line with the reason that is known for it, or "unexpected". What
these tests themselves want of NumPy's and nose's past is given to them here.
"""

import collections
import importlib
import io
import os
import sys
import types
import unittest

import lenet  # noqa: F401  (first: Theano starts with its settings)

# isort: split
import nose
import nose.tools
import numpy
import theano  # noqa: F401  (starts it)

from lenet.theano_start.today.view import REPLACED, copy_module, numpy_version

OUR_OP = "looks for Theano's op by its name and finds the package's"
LIST = "the same on NumPy 1.23.5: the test itself indexes with a list"
ALWAYS = {
    "test_inter_process_cache": "counts how often C is written; compiling ahead writes it again",
    "test_DownsampleFactorMaxPaddingStride": LIST,
    "test_DownsampleFactorMaxStride": LIST,
    "test_boolean": LIST,
    "test_list_slice": LIST,
}
UNSIGNED = "the test itself makes an unsigned number of -1"
INEXACT = "the test itself uses numpy.inexact as a type"
INTEGERS = "NumPy 2 itself gives integers for integers, with which the test compares"
WITH_NUMPY_2 = {
    "test_select_distinct": "the test itself calls numpy.in1d, which has gone",
    "test_gcc_crash": "the test itself adds Python's 128 to an int8",
    "test_perform": f"{UNSIGNED} (elemwise), or calls scipy.linalg.kron, which has gone (slinalg)",
    "test_c": UNSIGNED,
    "test_mintap_onestep": "the test itself formats an array as a number",
    "test_basic_matrix": "the test compares with the inverse of NumPy 2's unique, of another shape",
    "test_arithmetic_cast": INEXACT,
    "test_dtype_equality": INEXACT,
    "test_good": f"{INTEGERS} (Ceil, Floor, Trunc); TriGamma: the same on NumPy 1.23.5",
}
WITH_OPS = {  # by module: names such as test_all are common
    "theano.tensor.tests.test_opt": {
        "test_elemwise_fusion": "tanh is taken out of a loop with a broadcast array, which is slow",
    },
    "theano.tensor.nnet.tests.test_sigm": dict.fromkeys([
        "test_exp_over_1_plus_exp", "test_local_hard_sigmoid", "test_local_sigm_times_exp",
        "test_local_ultra_fast_sigmoid"], OUR_OP),
    "theano.tensor.nnet.tests.test_conv": {"test_infer_shape": OUR_OP},
    "theano.tensor.nnet.tests.test_abstract_conv": dict.fromkeys([
        "test_all", "test_gradinput_arbitrary_output_shapes",
        "test_gradinput_impossible_output_shapes"], OUR_OP),
}
LIBRARY = "needs a library of NVIDIA's that Theano is not given: cuDNN, cuSOLVER"
KERNEL = "the emulator does not compile this kernel: assembler, or whole numbers of 8 and 16 bits"
SAME = "the same on NumPy 1.23.5; not looked into"
GERS = ["A_plus_outer", "A_plus_scaled_outer", "c128_1_9", "c64_7_1", "f32_0_0", "f32_0_1",
        "f32_1_0", "f32_1_1", "f32_1_2", "f32_4_4", "f32_7_1", "f64_4_5", "inplace", "outer",
        "scaled_A_plus_scaled_outer"]
ON_THE_EMULATOR = {  # by module of theano.gpuarray.tests; the same on NumPy 1.23.5
    "test_blas": {"test_all": "the emulator has no products of float16",
                  "test_float16": "the emulator has no products of float16",
                  **dict.fromkeys(["test_" + name for name in GERS], SAME)},
    "test_dnn": dict.fromkeys([
        "test_dnn_conv3d_mixed_dtype", "test_dnn_conv_invalid_precision",
        "test_dnn_conv_mixed_dtype", "test_opt_f16_prec32"], LIBRARY),
    "test_elemwise": dict.fromkeys(["test_elemwise_erfcinv", "test_elemwise_erfinv"],
                                   "the emulator's inverse of erf is less exact"),
    "test_extra_ops": dict.fromkeys([
        "test_GpuCumOp2D_0_mul", "test_GpuCumOp2D_1_add", "test_GpuCumOp3D_0_mul",
        "test_GpuCumOp3D_1_add"], LIST),
    "test_linalg": dict.fromkeys([
        "test_cholesky_grad", "test_cholesky_grad_indef",
        "test_lower_triangular_and_cholesky_grad"], LIBRARY),
    "test_opt": {"test_local_gpua_advanced_incsubtensor": SAME, **dict.fromkeys([
        "test_local_lift_abstractconv_gpu_shape", "test_optimizers_2d", "test_optimizers_3d",
        "test_optimizers_non_default"], LIBRARY)},
    "test_rng_mrg": {"test_f16_nonzero": SAME},
    "test_sort": {"": KERNEL},  # all of it
    "test_subtensor": {"test_adv_sub1_broadcast": SAME, "test_advinc_subtensor1_dtype": KERNEL},
}
STACK = "the test itself gives numpy.vstack a generator"
WITH_NUMPY_2.update(dict.fromkeys([
    "test_dot_infershape", "test_gemv_infershape", "test_outer_infershape", "test_sparseblockdot",
    "test_sparseblockgemv", "test_sparseblockgemvF", "test_sparseblockgemv_grad",
    "test_sparseblockgemv_grad_shape", "test_sparseblockouter"], STACK))


def known_reasons(module):
    """{test of the module: why it does not pass here}"""
    reasons = dict(ALWAYS)
    if numpy_version() >= (2, 0):
        reasons.update(WITH_NUMPY_2)
    if os.environ.get("LENET_OPS") != "0":
        reasons.update(WITH_OPS.get(module, {}))
    package, _, name = module.rpartition(".")
    if package == "theano.gpuarray.tests":
        reasons.update(ON_THE_EMULATOR.get(name, {}))
    return reasons


def give_what_has_gone():
    """Let the tests find functions of NumPy 1 and of old unittests."""
    if not hasattr(numpy, "find_common_type"):
        REPLACED["numpy"].find_common_type = find_common_type
    if not hasattr(nose.tools, "assert_equals"):
        nose.tools.assert_equals = nose.tools.assert_equal
    if not hasattr(numpy.testing, "dec"):
        dec = types.SimpleNamespace(skipif=skip_if, knownfailureif=skip_if, slow=lambda test: test)
        REPLACED["numpy.testing"] = copy_module(numpy.testing, dec=dec)
        REPLACED["numpy"].testing = REPLACED["numpy.testing"]


def find_common_type(array_types, scalar_types):
    """NumPy 1's function: a number decides only if it is of a higher kind than the arrays."""
    return numpy.result_type(*array_types, *(numpy.dtype(t).type(0) for t in scalar_types))


def skip_if(condition, reason=None):
    """NumPy 1's decorator ``dec.skipif``."""
    if callable(condition):
        condition = condition()
    return unittest.skip(str(reason)) if condition else lambda test: test


def run(module):
    """Run the tests of a module.

    Returns
    -------
    (int, dict, collections.Counter)
        How many passed, {name of a test that did not: the last line of its traceback}, and how many
        skipped themselves for each reason.
    """
    importlib.import_module(module)
    results = []

    class Collect(nose.plugins.Plugin):
        name, enabled, score = "collect", True, 1

        def configure(self, options, conf):
            pass

        def prepareTestResult(self, result):
            results.append(result)

    stream = io.StringIO()
    config = nose.config.Config(stream=stream, plugins=nose.plugins.manager.PluginManager(
        plugins=[Collect()]), verbosity=0)
    runner = nose.core.TextTestRunner(stream=stream, verbosity=0, config=config)
    nose.core.TestProgram(argv=["nosetests", module], testRunner=runner, config=config, exit=False)
    result, = results
    failed = {str(test).split(" ")[0].rpartition(".")[2]: text.strip().splitlines()[-1]
              for test, text in result.failures + result.errors}
    skipped = collections.Counter(reason for _, reason in result.skipped)
    return result.testsRun - len(failed) - len(result.skipped), failed, skipped


def main():
    give_what_has_gone()
    unexpected = 0
    for module in sys.argv[1:]:
        passed, failed, skipped = run(module)
        print(f"{module}: {passed} passed, {len(failed)} failed, {sum(skipped.values())} skipped")
        for reason, n_tests in skipped.items():
            print(f"  {n_tests} skipped: {reason}")
        reasons = known_reasons(module)
        for name, line in sorted(failed.items()):
            # Without a generator's arguments; "" stands for all of a module.
            reason = reasons.get(name.partition("(")[0], reasons.get(""))
            unexpected += reason is None
            print(f"  {name}: {reason or 'unexpected: ' + line}")
    return min(unexpected, 1)


if __name__ == "__main__":
    sys.exit(main())
