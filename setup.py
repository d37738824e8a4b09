import os

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

# What Python executes when it starts (lenet-theano.pth): `import theano` is to start Theano in
# programs that do not import lenet as well. Until then nothing is imported.
AT_START = """
import os, sys

if os.environ.get("LENET_THEANO") != "0":
    from _frozen_importlib_external import PathFinder, SourceFileLoader

    class TheanoLoader(SourceFileLoader):
        def exec_module(self, module):
            try:
                from lenet.finder import TheanoLoader
            except ImportError:
                return super().exec_module(module)
            TheanoLoader.exec_module(self, module)

    class TheanoFinder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            spec = PathFinder.find_spec(name) if name == "theano" else None
            if spec is not None and type(spec.loader) is SourceFileLoader:
                spec.loader = TheanoLoader(name, spec.origin)
            return spec

    sys.meta_path.insert(0, TheanoFinder)
"""


class Build(build_py):
    """Adds the .pth file, and leaves out the scripts for those who have a clone."""

    def find_package_modules(self, package, package_dir):
        return [module for module in super().find_package_modules(package, package_dir)
                if module[1] not in ("benchmark", "make_notebook")]

    def run(self):
        super().run()
        # An editable wheel takes what lies in install_lib, an ordinary one what lies in build_lib.
        editable = getattr(self, "editable_mode", False)
        folder = self.get_finalized_command("install").install_lib if editable else self.build_lib
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "lenet-theano.pth"), "w") as file:
            file.write(f"import sys; exec({AT_START!r}, {{}})\n")


# What scripts/build_pygpu.sh builds pygpu with, and what pygpu imports.
PYGPU = ["cmake>=3.18", "Cython>=3", "mako>=1.1", "setuptools", "six", "wheel"]

setup(
    name="lenet-theano",
    version="0.1.0",
    description="LeNet in Theano, as the deeplearning.net tutorial teaches it",
    long_description=open("README.md", encoding="utf-8").read(),
    long_description_content_type="text/markdown",
    license="BSD-3-Clause",
    python_requires=">=3.8",
    cmdclass={"build_py": Build},
    # Installed, lenet_theano/ holds what lies beside lenet/ in the clone.
    packages=find_packages(include=["lenet", "lenet.*"])
    + ["lenet_theano.data", "lenet_theano.scripts"],
    package_dir={"lenet_theano.data": "data", "lenet_theano.scripts": "scripts"},
    package_data={
        "lenet.ops": ["*.h", "*.cuh"],
        "lenet.page": ["client/*"],
        "lenet.theano_start.today": ["*.h"],
        "lenet_theano.data": ["README.md", "mnist.pkl.gz"],
        "lenet_theano.scripts": ["*.sh"],
    },
    entry_points={"console_scripts": ["lenet = lenet_theano.scripts.__main__:main"]},
    install_requires=[
        # From Python 3.12 on, its setup.py needs help: scripts/install_theano.py
        "Theano==1.0.5; python_version < '3.12'",
        "numpy>=1.21",
        "scipy>=1.7",
        # Earlier versions export their internals, which NumPy's OpenBLAS then calls, and crashes.
        "scipy-openblas32>=0.3.34.106",
        # Earlier versions rotate a TIFF as its tag says, but keep the tag.
        "pillow>=10.1",
        "matplotlib>=3.5",
        "fissix>=24.4.24",
        "pooch>=1.6",
        "safetensors>=0.4",
        "tqdm>=4.66",
    ],
    extras_require={
        "page": ["tornado>=6.3"],
        "notebook": ["jupyterlab>=3"],  # make notebook
        "test": ["pytest>=7", "pytest-xdist>=3", "tornado>=6.3"],
        "export": ["onnx>=1.17", "onnxruntime>=1.19"],  # scripts/export.py to ONNX
        "bench": ["torch==2.13.0"],  # scripts/benchmark.py --peers; needs Python 3.10 or later
        "mpi": ["mpi4py>=4", "mpich>=4"],  # data-parallel training; or a cluster's own MPI
        "sweep": ["distributed>=2023.5"],  # scripts/sweep.py; its dashboard needs bokeh, too
        "pygpu": PYGPU,
        # CUDA 12 compiles for almost every GPU from compute capability 5.0 on.
        "gpu": PYGPU + [
            "nvidia-cuda-nvrtc-cu12>=12.1",
            "nvidia-cuda-runtime-cu12>=12.1",
            "nvidia-cublas-cu12>=12.1",
        ],
    },
)
