"""Write a dataset as images: folders train, valid and test, in each a folder for each class."""

from lenet import commands
from lenet.pictures import image_export


def main():
    parser = commands.Parser(
        description=__doc__, example="python scripts/pkl_to_images.py mnist.pkl.gz mnist_images"
    )
    parser.add_argument("dataset", help="path of a dataset, or a name looked up here and in data/")
    parser.add_argument("output", help="the folder to make")
    parser.add_argument("--format", choices=image_export.FORMATS, default="png",
                        help="of the images; both keep every pixel")
    arguments = parser.parse_args()
    n_images = image_export.export(**vars(arguments))
    print("%d images for training, %d for validation, %d for testing" % tuple(n_images))
    print("written: %s" % arguments.output)


if __name__ == "__main__":
    commands.run(main)
