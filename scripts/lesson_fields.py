"""Find which pixels a unit sees: T.grad is zero everywhere else. The field grows: 3, 5, 7, 9."""

from lenet import commands  # first: Theano starts with its settings

# isort: split
import numpy
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d

from lenet.figures import plots
from lenet.pooling import mean_pool

STACKS = {"filters of 3 x 3": [("convolution", 3)] * 4,
          "LeNet": [("convolution", 5), ("pooling", 2)] * 2}


def main():
    parser = commands.Parser(__doc__, example="python scripts/lesson_fields.py --output fields.png")
    parser.add_argument("--output", metavar="FILE", help="write the picture to this file")
    output = parser.parse_args().output

    image = T.tensor4("image")  # (images, maps, height, width)
    pictures, captions = [], []
    for name, stack in STACKS.items():
        print(f"{name + ', a unit of layer':34}  sees, by T.grad  by arithmetic")
        maps, field, step = image, 1, 1  # a pixel sees itself
        for number, (kind, size) in enumerate(stack):
            if kind == "convolution":
                maps = conv2d(maps, T.ones((1, 1, size, size)))
            else:
                maps = mean_pool(maps, (size, size))
            # The unit in the middle: how much does each pixel move it?
            unit = maps[0, 0, maps.shape[2] // 2, maps.shape[3] // 2]
            gradient = theano.function([image], T.grad(unit, image))(
                numpy.zeros((1, 1, 28, 28), dtype=image.dtype))[0, 0]
            rows, columns = (int(gradient.any(axis=axis).sum()) for axis in (1, 0))

            # Neighbours below are ``step`` pixels apart, so ``size`` of them see this many more.
            field += (size - 1) * step
            step *= size if kind == "pooling" else 1
            layer = f"{number + 1}: {kind} {size} x {size}"
            print(f"{layer:34}  {f'{rows} x {columns}':>15}  {f'{field} x {field}':>13}")
            pictures.append((gradient / gradient.max()) ** 0.4)  # lightens what is dark
            captions.append(f"{layer}\n{rows} x {columns}")
        print()
    print("the brighter a pixel is drawn, the more ways lead from it to the unit")
    plots.finish(plots.draw_images(pictures, captions, columns=4, cell=1.9), output)


if __name__ == "__main__":
    commands.run(main)
