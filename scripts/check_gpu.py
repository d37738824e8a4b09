#!/usr/bin/env python
"""Say what is there for training on an NVIDIA GPU, what is missing, and what to type next."""

import os
import shutil

from lenet import command
from lenet.gpu import doctor
from lenet.theano_setup import compile_cache


def main():
    parser = command.Parser(__doc__, "python scripts/check_gpu.py")
    parser.add_argument("--device", default="gpu0", help="gpu0, gpu1, ...")
    device = parser.parse_args().device.replace("gpu", "cuda")
    compiler = shutil.which("g++") or shutil.which("clang++")
    cache = os.path.join(compile_cache(), "cuda_names")
    return doctor.report(doctor.examine(device, cache, compiler))


if __name__ == "__main__":
    command.run(main)
