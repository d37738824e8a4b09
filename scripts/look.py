"""Draw what a saved network has learned on an HTML page: filters, feature maps, errors."""

from lenet import commands
from lenet.reports.look import look
from lenet.runs.run import dataset_of


def main():
    parser = commands.Parser(__doc__, example="python scripts/look.py RUN --output look/")
    parser.add_argument("model", metavar="MODEL", help="a model file, or the folder of a run")
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--output", metavar="FOLDER",
                      help="the folder for the pictures and their page, index.html")
    form.add_argument("--interactive", metavar="FILE",
                      help="write one HTML file to draw in instead, which needs no server")
    parser.add_dataset(of_run=True)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--image", metavar="FILE", help="an image file to show layer by layer")
    which.add_argument("--index", type=int, default=0, metavar="N",
                       help="or the number of an image of the test set, from 0")
    arguments = parser.parse_args()
    if arguments.interactive is not None:
        from lenet.page.single_file import write_page

        write_page(arguments.interactive, arguments.model, arguments.dataset)
        print(arguments.interactive)
        return
    dataset = dataset_of(arguments.model, arguments.dataset)
    written = look(arguments.model, arguments.output, dataset, arguments.image, arguments.index,
                   warn_of_missing if arguments.dataset is None else None)
    for path in written:
        print(path)


def warn_of_missing(error):
    commands.warn(f"no confusion matrix and no errors, which need the dataset: {error}")


if __name__ == "__main__":
    commands.run(main)
