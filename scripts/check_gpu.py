#!/usr/bin/env python
"""Say what is there for training on an NVIDIA GPU, what is missing, and what to type next."""

import os
import re

# This process stays on the CPU, whatever the user's settings, since it has to find out whether
# there is a GPU.  Of two values of a setting the last counts.
os.environ["THEANO_FLAGS"] = os.environ.get("THEANO_FLAGS", "") + ",device=cpu,init_gpu_device="

# isort: split
from lenet import commands
from lenet.gpu import doctor
from lenet.theano_start.device import find_gpu_tools, present_name


def main():
    parser = commands.Parser(__doc__, "python scripts/check_gpu.py")
    parser.add_argument("--device", default="gpu0", help="gpu0, gpu1, ...")
    device = parser.parse_args().device
    if not re.fullmatch("(gpu|cuda)[0-9]*", device):
        parser.error(f"--device {device}: expected gpu0, gpu1, ...")
    return doctor.report(doctor.examine(present_name(device), *find_gpu_tools()))


if __name__ == "__main__":
    commands.run(main)
