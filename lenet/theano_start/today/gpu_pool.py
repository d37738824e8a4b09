"""The gradient of pooling by sums on a GPU.

gpuarray/c_code/pool_ave_grad.c:37 and :93 read it from the first map of the first image, for all
maps of all images: a network with such pooling, like LeNet-5 of 1998, hardly learns. Line 103 does
so for means in three dimensions.
"""

from lenet.theano_start.today.view import Mend


def read_own_map(pool):
    """gpuarray/pool.py:244: the op's kernels, one for two dimensions and one for three."""
    GpuAveragePoolGrad = pool.GpuAveragePoolGrad
    original = GpuAveragePoolGrad.load_c_code

    def mend_code(code):
        two, name, three = code.partition("#kernel ave_pool3d_grad_kernel")
        wrong = "gz[ph*pooled_width + pw]"
        return (two.replace(wrong, "gz_slice[ph*pooled_width + pw]") + name
                + three.replace(wrong, "gz_slice[(pd*pooled_height + ph)*pooled_width + pw]"))

    def load_c_code(self, func_files):
        original(self, func_files)
        self.func_codes = [mend_code(code) for code in self.func_codes]  # names the compiled module
        self.code_sections["kernels"] = mend_code(self.code_sections["kernels"])

    GpuAveragePoolGrad.load_c_code = load_c_code


MENDS = [Mend("theano.gpuarray.pool", read_own_map)]
