#!/usr/bin/env python
"""Say what is there for training on an NVIDIA GPU, what is missing, and what to type next."""

from lenet import command
from lenet.gpu import doctor
from lenet.theano_start.device import gpu_tools


def main():
    parser = command.Parser(__doc__, "python scripts/check_gpu.py")
    parser.add_argument("--device", default="gpu0", help="gpu0, gpu1, ...")
    device = parser.parse_args().device.replace("gpu", "cuda")
    return doctor.report(doctor.examine(device, *gpu_tools()))


if __name__ == "__main__":
    command.run(main)
