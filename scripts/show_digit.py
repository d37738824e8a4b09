"""Draw one digit of a dataset and print its label."""

from lenet import commands
from lenet.data import SET_NAMES, image_shape_of, load_data
from lenet.errors import UsageError
from lenet.pictures import plots

SETS = dict(zip(("train", "validation", "test"), range(3)))


def main():
    parser = commands.Parser(
        description=__doc__, example="python scripts/show_digit.py --index 8 --output digit.png"
    )
    parser.add_argument("--index", type=int, default=8, metavar="N",
                        help="number of the image, from 0")
    parser.add_argument("--set", choices=SETS, default="train", help="the set that it is in")
    parser.add_dataset()
    parser.add_argument("--output", metavar="FILE", help="write the picture to this file")
    arguments = parser.parse_args()

    datasets = load_data(arguments.dataset)
    set_x, set_y = datasets[SETS[arguments.set]]
    images, labels = set_x.get_value(borrow=True), set_y.eval()
    name = SET_NAMES[SETS[arguments.set]]
    if not 0 <= arguments.index < len(images):
        raise UsageError("index %d; expected 0 to %d, the images of the %s"
                         % (arguments.index, len(images) - 1, name))

    shape = image_shape_of(datasets)
    print("images of the %s: %s   (images, pixels)" % (name, images.shape))
    picture = plots.as_image(images[arguments.index], shape)
    print("one image as a row of pixels: (%d,) -> %s" % (images.shape[1], picture.shape))
    label = datasets.class_names[labels[arguments.index]]
    print("label of image %d: %s" % (arguments.index, label))
    title = "image %d, label %s" % (arguments.index, label)
    plots.finish(plots.draw_panels([picture], [title], cell=3.5), arguments.output)


if __name__ == "__main__":
    commands.run(main)
