"""Apply every kind of pooling to the same 4 x 4 numbers and, as a picture, to a digit."""

import lenet  # noqa: F401  (first: Theano starts with its settings)

# isort: split
import numpy
import theano
import theano.tensor as T

from lenet import commands, pooling
from lenet.data import image_shape_of, load_data
from lenet.figures import plots


def main():
    parser = commands.Parser(__doc__, example="python scripts/pooling_demo.py --output pooling.png")
    parser.add_dataset()
    parser.add_argument("--seed", type=commands.parse_seed, default=0, metavar="N",
                        help="seed of the stochastic pooling")
    parser.add_argument("--output", metavar="FILE", help="write the picture to this file")
    arguments = parser.parse_args()
    datasets = load_data(arguments.dataset)
    image_shape = image_shape_of(datasets, least=3)
    # (channels, height, width) -> (height, width), the grey of a colour
    digit = datasets[0][0].get_value(borrow=True)[0].reshape(image_shape).mean(axis=0)

    x = T.tensor4("x")  # (images, maps, height, width)
    streams = T.shared_randomstreams.RandomStreams(
        numpy.random.RandomState(arguments.seed).randint(2 ** 31))
    # One random number per 2 x 2 window: half the rows and half the columns.
    uniform = T.cast(streams.uniform((x.shape[0], x.shape[1], x.shape[2] // 2, x.shape[3] // 2)),
                     x.dtype)
    # A place i rows and j columns from the middle of a 3 x 3 window costs 0.5 i^2 + 0.5 j^2.
    c = T.constant(numpy.array([0, 0, 0.5, 0.5], dtype=x.dtype))

    kinds = [
        ("max", "max a", pooling.max_pool(x)),
        ("mean", "sum a / 4", pooling.mean_pool(x)),
        ("overlapping max", "max a, windows of 3 x 3, stride 1 x 1",
         pooling.overlapping_max_pool(x, stride=(1, 1))),
        ("L2", "sqrt(sum a^2)", pooling.l2_pool(x)),
        ("stochastic, training", "one a, drawn with probability a / sum a",
         pooling.stochastic_pool(x, uniform)),
        ("stochastic, testing", "sum a^2 / sum a", pooling.stochastic_pool_mean(x)),
        ("contrast normalization", "(a - local mean) / local deviation, 3 x 3",
         pooling.local_contrast_normalization(x, size=3)),
        ("deformation-constrained", "max (a - penalty), windows of 3 x 3, stride 1 x 1",
         pooling.deformation_pool(x, c, pooling.quadratic_penalties(1), stride=(1, 1))),
    ]
    functions = [theano.function([x], output) for _, _, output in kinds]

    numbers = numpy.array([[1, 0, 2, 3], [4, 6, 6, 8], [3, 1, 1, 0], [1, 2, 2, 4]], dtype=x.dtype)
    print(f"input, shape {numbers.shape}:\n{numbers}\n")
    with numpy.printoptions(precision=3, suppress=True):
        for (name, formula, _), f in zip(kinds, functions):
            output = f(numbers[None, None])[0, 0]
            print(f"{name}:  {formula}  -> shape {output.shape}\n{output}\n")

    pictures = [f(digit[None, None])[0, 0] for f in functions]
    figure = plots.draw_images([digit] + pictures, ["input"] + [name for name, _, _ in kinds],
                               columns=3, cell=2.6, fontsize=10)
    plots.finish(figure, arguments.output)


if __name__ == "__main__":
    commands.run(main)
