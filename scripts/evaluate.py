"""Say in numbers how well a saved network classifies: error, classes, confusions, mistakes."""

import io
import sys

from lenet import commands
from lenet.data import open_arrays
from lenet.data.files import write_beside
from lenet.errors import UsageError
from lenet.predict import Predictor
from lenet.reports.evaluation import classify_folder, collect_results, evaluate_test_set
from lenet.reports.evaluation_tables import write_csv, write_text
from lenet.runs.run import dataset_of


def parse_arguments():
    parser = commands.Parser(
        __doc__, example="python scripts/evaluate.py RUN pictures/ --csv table.csv")
    parser.add_argument("model", metavar="MODEL", help="a model file, or the folder of a run")
    parser.add_argument("folder", nargs="?", metavar="FOLDER",
                        help="pictures in a subfolder for each class; by default the test set of "
                             "the dataset is evaluated")
    parser.add_dataset(of_run=True)
    parser.add_argument("--no-center", action="store_false", dest="center",
                        help="use pictures of digits as they are: 28 x 28, light on dark, "
                             "centered as in MNIST")
    parser.add_argument("--mistakes", type=int, default=10, metavar="N",
                        help="list this many mistakes, the most confident ones")
    parser.add_argument("--csv", metavar="FILE",
                        help="write the classes and the confusion matrix to this file as well")
    arguments = parser.parse_args()
    if arguments.folder is not None and arguments.dataset is not None:
        raise UsageError(f"{arguments.folder} and --dataset {arguments.dataset}; name one of them")
    if arguments.mistakes < 0:
        raise UsageError(f"mistakes {arguments.mistakes}; expected 0 or more")
    return arguments


def main():
    arguments = parse_arguments()
    predictor, failed = Predictor(arguments.model), []
    if arguments.folder is None:
        datasets = open_arrays(dataset_of(arguments.model, arguments.dataset))
        evaluation = evaluate_test_set(predictor, datasets)
    else:
        results = classify_folder(predictor, arguments.folder, arguments.center)
        evaluation = collect_results(commands.report_failures(results, failed), arguments.folder)
    if arguments.csv is not None:
        table = io.StringIO()
        write_csv(table, evaluation, predictor.class_names)
        with write_beside(arguments.csv) as file:
            file.write(table.getvalue().encode("utf-8"))
    write_text(sys.stdout, evaluation, predictor.class_names, arguments.mistakes)
    return commands.FAILED if failed else 0


if __name__ == "__main__":
    commands.run(main)
