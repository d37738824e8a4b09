"""Draw one digit of a dataset and print its label."""

from lenet import commands
from lenet.data import SET_NAMES, image_shape_of, load_data
from lenet.errors import UsageError
from lenet.figures import plots

SETS = ("train", "validation", "test")


def main():
    parser = commands.Parser(
        __doc__, example="python scripts/show_digit.py --index 8 --output digit.png")
    parser.add_argument("--index", type=int, default=8, metavar="N",
                        help="number of the image, from 0")
    parser.add_argument("--set", choices=SETS, default="train", help="the set that it is in")
    parser.add_dataset()
    parser.add_argument("--output", metavar="FILE", help="write the picture to this file")
    arguments = parser.parse_args()

    datasets = load_data(arguments.dataset)
    number = SETS.index(arguments.set)
    set_x, set_y = datasets[number]
    images, labels = set_x.get_value(borrow=True), set_y.eval()
    name = SET_NAMES[number]
    if not 0 <= arguments.index < len(images):
        raise UsageError(f"index {arguments.index}; expected 0 to {len(images) - 1}, the images "
                         f"of the {name}")

    print(f"images of the {name}: {images.shape}   (images, pixels)")
    picture = plots.reshape_image(images[arguments.index], image_shape_of(datasets))
    print(f"one image as a row of pixels: {images[0].shape} -> {picture.shape}")
    label = datasets.class_names[labels[arguments.index]]
    print(f"label of image {arguments.index}: {label}")
    title = f"image {arguments.index}, label {label}"
    plots.finish(plots.draw_images([picture], [title], cell=3.5, fontsize=10), arguments.output)


if __name__ == "__main__":
    commands.run(main)
