"""Make a dataset from a folder of images with one subfolder for each class."""

from lenet import commands
from lenet.pictures import image_folder
from lenet.pictures.reading import COLOUR, GREY


def main():
    parser = commands.Parser(
        description=__doc__,
        example="python scripts/images_to_pkl.py photographs photographs.pkl.gz --size 32 32",
    )
    parser.add_argument("source", help="the folder; the names of its subfolders become the classes")
    parser.add_argument("output", help="a file .pkl.gz, or for large sets the name of a folder")
    parser.add_argument("--validation", metavar="FOLDER",
                        help="images of the validation set; a tenth of SOURCE unless given")
    parser.add_argument("--test", metavar="FOLDER",
                        help="images of the test set; the validation set unless given")
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"),
                        help="height and width of the images; those of the first unless given")
    colours = parser.add_mutually_exclusive_group()
    colours.add_argument("--grey", dest="channels", action="store_const", const=GREY,
                         help="grey images; as the first image is unless given")
    colours.add_argument("--colour", dest="channels", action="store_const", const=COLOUR,
                         help="images of three colours; as the first image is unless given")
    parser.add_argument("--limit", type=int, metavar="N",
                        help="take at most N images of each class")
    parser.add_argument("--order", choices=("shuffled", "name"), default="shuffled",
                        help="of the examples: by the seed, or by the names of the files")
    parser.add_argument("--seed", type=commands.whole_seed, default=23455, metavar="N",
                        help="seed of the split and of the order")
    parser.add_argument("--strict", action="store_true",
                        help="stop at a file that is no image, instead of skipping it")
    arguments = parser.parse_args()
    report = image_folder.build(**vars(arguments))

    channels, height, width = report.image_shape
    print("%d classes: %s"
          % (len(report.class_names), image_folder.shortened(report.class_names)))
    print("images of %d x %d pixels, %s" % (height, width, "grey" if channels == 1 else "colour"))
    print("%d for training, %d for validation, %d for testing" % tuple(report.n_images))
    if arguments.test is None:
        print("the test set is the validation set; --test gives it images of its own")
    print("written: %s" % arguments.output)
    if report.skipped:
        print("skipped:")
        for path, reason in report.skipped:
            print("  %a: %s" % (path, reason) if not path.isprintable()
                  else "  %s: %s" % (path, reason))


if __name__ == "__main__":
    commands.run(main)
