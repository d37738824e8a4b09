"""Write a dataset as images: folders train, valid and test, each with a folder per class."""

from lenet import commands
from lenet.images import image_export


def main():
    parser = commands.Parser(
        __doc__, example="python scripts/pkl_to_images.py mnist.pkl.gz mnist_images")
    parser.add_argument("dataset", help="path of a dataset, or a name looked up here and in data/")
    parser.add_argument("output", help="the folder to make")
    parser.add_argument("--format", choices=image_export.FORMATS, default="png",
                        help="of the images; both keep every pixel")
    arguments = parser.parse_args()
    n_training, n_validation, n_test = image_export.export(**vars(arguments))
    print(f"{n_training} images for training, {n_validation} for validation, {n_test} for testing")
    print(f"written: {arguments.output}")


if __name__ == "__main__":
    commands.run(main)
