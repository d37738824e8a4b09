"""Make a dataset from a folder of images with one subfolder for each class."""

import shlex

from lenet import commands
from lenet.data.class_folder import join_names
from lenet.data.pictures import COLOUR, GREY
from lenet.images import image_folder
from lenet.installed import command_line
from lenet.training.advice import FEW, explain_few


def say_median(report):
    """What the images measure, if that is not the size that was chosen for them."""
    if report.median_size in (None, report.image_shape[1:]):
        return ""
    return " (the median is {} x {}; --size names another size)".format(*report.median_size)


def main():
    parser = commands.Parser(
        __doc__,
        example="python scripts/images_to_pkl.py photographs photographs.pkl.gz --size 32 32")
    parser.add_argument("source", help="the folder; its subfolders become the classes")
    parser.add_argument("output", help="a file .pkl.gz, or for large sets a folder")
    parser.add_argument("--validation", metavar="FOLDER",
                        help="images of the validation set; by default some of SOURCE")
    parser.add_argument("--test", metavar="FOLDER",
                        help="images of the test set; by default others of SOURCE")
    parser.add_fractions()
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"),
                        help="height and width of the images; by default those of most of them, "
                             "with at most 32 pixels for the longer side")
    colours = parser.add_mutually_exclusive_group()
    colours.add_argument("--grey", dest="channels", action="store_const", const=GREY,
                         help="grey images; by default as most of them are")
    colours.add_argument("--colour", dest="channels", action="store_const", const=COLOUR,
                         help="images of three colours; by default as most of them are")
    parser.add_argument("--digit", action="store_true",
                        help="bring each image into MNIST's format: one character, cut out, "
                             "centred, light on dark, 28 x 28 pixels")
    parser.add_argument("--limit", type=int, metavar="N",
                        help="take at most N images of each class")
    parser.add_argument("--order", choices=("shuffled", "name"), default="shuffled",
                        help="of the examples: by the seed, or by file name")
    parser.add_argument("--seed", type=commands.parse_seed, default=23455, metavar="N",
                        help="seed of the split and of the order")
    parser.add_argument("--strict", action="store_true",
                        help="stop at a file that is not an image, instead of skipping it")
    arguments = parser.parse_args()
    report = image_folder.build(**vars(arguments))

    channels, height, width = report.image_shape
    n_training, n_validation, n_test = report.n_images
    print(f"{len(report.class_names)} classes: {join_names(report.class_names)}")
    print(f"images of {height} x {width} pixels, {'grey' if channels == GREY else 'colour'}"
          + say_median(report))
    print(f"{n_training} for training, {n_validation} for validation, {n_test} for testing")
    if n_test < FEW:
        print(explain_few(n_test))
    print(f"written: {arguments.output}")
    if report.skipped:
        print("skipped:")
        for path, reason in report.skipped:
            print(f"  {path if path.isprintable() else ascii(path)}: {reason}")
    train = command_line("python scripts/convolutional_mlp.py")
    print(f"train on it: {train} --dataset {shlex.quote(arguments.output)} --own-images "
          "--output RUN")


if __name__ == "__main__":
    commands.run(main)
