"""Filter a digit with edge and Gaussian kernels, and with random and learned ones beside them."""

import lenet  # noqa: F401  (first: Theano starts with its settings)

# isort: split
import numpy
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d

from lenet import commands, networks
from lenet.convolutional_mlp import LeNet5
from lenet.data import load_arrays
from lenet.errors import UsageError
from lenet.figures import plots
from lenet.pooling import gaussian

SOBEL = numpy.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
LAPLACE = numpy.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]])


def main():
    parser = commands.Parser(
        __doc__, example="python scripts/lesson_kernels.py --model RUN --output kernels.png")
    parser.add_argument("--model", metavar="MODEL",
                        help="a model file, or the folder of a run, for learned kernels")
    parser.add_argument("--output", metavar="FILE", help="write the picture to this file")
    arguments = parser.parse_args()
    models = {"random": LeNet5(numpy.random.RandomState(23455), T.matrix("x"))}
    if arguments.model is not None:
        models["learned"] = networks.load_model(arguments.model).model
    kernels = {"vertical edges": SOBEL, "horizontal edges": SOBEL.T, "all edges": LAPLACE,
               "Gaussian": gaussian(5)}
    for name, model in models.items():
        filters = [param.get_value() for _, param in networks.filters(model)]
        if not filters or filters[0].shape[1] != 1:
            raise UsageError(f"{arguments.model}: no filters for grey images; expected a LeNet")
        kernels.update((f"{name} {i}", kernel) for i, kernel in enumerate(filters[0][:3, 0]))

    digit = load_arrays()[2][0][0].reshape(28, 28)
    left = numpy.tile(numpy.arange(28) < 14, (28, 1))  # ink on the left
    images = numpy.array([digit, numpy.ones((28, 28)), left, left.T])[:, None]
    print("largest response to an image\nkernel             flat  vertical edge  horizontal edge")
    x, w = T.tensor4("x"), T.tensor4("w")
    apply = theano.function([x, w], conv2d(x, w), allow_input_downcast=True)
    results = []
    for name, kernel in kernels.items():
        maps = apply(images, kernel[None, None])[:, 0]
        print("{:17}{:6.2f}{:15.2f}{:17.2f}".format(name, *abs(maps[1:]).max(axis=(1, 2))))
        results.append(maps[0])
    # Each result below its kernel; below the digit, nothing.
    pictures = [digit, *kernels.values(), numpy.ones((1, 1, 3)), *results]
    captions = ["digit", *kernels] + [""] * (1 + len(results))
    figure = plots.draw_images(pictures, captions, columns=len(captions) // 2, cell=1.2)
    plots.finish(figure, arguments.output)


if __name__ == "__main__":
    commands.run(main)
