"""Compare runs: their curves, their errors, and the images that only one of two gets wrong."""

from lenet import commands
from lenet.reports.compare import compare


def main():
    parser = commands.Parser(
        __doc__, example="python scripts/compare.py RUN1 RUN2 --output comparison")
    parser.add_argument("runs", metavar="RUN", nargs="+", help="the folders of at least two runs")
    parser.add_argument("--output", required=True, metavar="FOLDER",
                        help="the folder for the pictures")
    parser.add_dataset(of_run=True)
    arguments = parser.parse_args()

    lines, differences = compare(arguments.runs, arguments.output, arguments.dataset)
    width = max(len(line.name) for line in lines)
    print(f"{'run':{width}}  epochs  best validation error  test error  parameters")
    for line in lines:
        print(f"{line.name:{width}}  {line.epochs:6}  {100 * line.best_validation_error:19.2f} %"
              f"  {100 * line.test_error:8.2f} %  {line.n_parameters:10,}")
    print()
    for wrong, right, indices, file in differences:
        print(f"{wrong} wrong, {right} right: {len(indices)} images"
              + (f"; {file}" if file else ""))


if __name__ == "__main__":
    commands.run(main)
