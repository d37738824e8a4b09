"""Write a saved network as a file of another framework: ONNX, or PyTorch."""

import importlib.util
import os

from lenet import commands
from lenet.errors import UsageError
from lenet.export import torch_files
from lenet.predict import Predictor


def main():
    parser = commands.Parser(
        description=__doc__, example="python scripts/export.py RUN lenet5.onnx"
    )
    parser.add_argument("model", metavar="MODEL", help="a model file, or the folder of a run")
    parser.add_argument("output", metavar="FILE",
                        help="the new file: NAME.onnx, or NAME.safetensors for PyTorch, beside "
                             "which NAME.py has the nn.Module")
    parser.add_argument("--to", choices=("onnx", "torch"), default="onnx", help="the framework")
    arguments = parser.parse_args()
    output, to_torch = arguments.output, arguments.to == "torch"

    name, ending = os.path.splitext(output)
    expected = ".safetensors" if to_torch else ".onnx"
    if ending != expected or to_torch and not os.path.basename(name).isidentifier():
        raise UsageError(f"{output}: expected a name such as lenet5{expected} for --to "
                         f"{arguments.to}" + ", which Python can import" * to_torch)
    files = [output] + ([torch_files.source_path(output)] if to_torch else [])
    for file in filter(os.path.lexists, files):
        raise UsageError(f"{file}: exists already; name another file, or remove it: rm {file}")
    if not to_torch and None in map(importlib.util.find_spec, ("onnx", "onnxruntime")):
        raise UsageError("ONNX needs onnx and onnxruntime; install them: pip install "
                         "'lenet-theano[export]'")
    predictor = Predictor(arguments.model)
    if to_torch:
        torch_files.write(output, predictor)
    else:
        from lenet.export import onnx_file

        difference = onnx_file.write(output, predictor)
        print("onnxruntime computes the same probabilities of random images, but for "
              f"{difference:.1e}")
    print(f"written: {' '.join(files)}")


if __name__ == "__main__":
    commands.run(main)
