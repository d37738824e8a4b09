"""Teach a network the digit 9, which it has never seen, from a few examples."""

from lenet import commands  # first: it says in one line what is missing

# isort: split
import contextlib
import functools
import gzip
import io
import os

import numpy

from lenet.convolutional_mlp import evaluate_lenet5
from lenet.data import load_arrays, plain_pickle
from lenet.data.files import make_folder, write_beside
from lenet.networks.transfer import Transfer
from lenet.predict import Predictor
from lenet.runs.run import Run


def write(path, sets):
    with write_beside(path) as file, gzip.open(file, "wb", compresslevel=1) as packed:
        plain_pickle.dump(tuple(sets), packed)


def main():
    parser = commands.Parser(__doc__, example="python scripts/lesson_new_class.py lesson")
    parser.add_argument("folder", metavar="FOLDER", help="for the datasets and the runs")
    parser.add_argument("--n-epochs", type=int, nargs=2, default=(20, 100), metavar=("N", "M"),
                        help="passes over all the digits 0 to 8, and over the few examples")
    arguments = parser.parse_args()
    path = functools.partial(os.path.join, arguments.folder)
    make_folder(arguments.folder)
    train, validation, test = load_arrays()
    write(path("others.pkl.gz"), [(x[y < 9], y[y < 9]) for x, y in (train, validation, test)])
    write(path("nines.pkl.gz"), [(x[y == 9], y[y == 9]) for x, y in (train, validation, test)])

    def train_and_test(name, dataset, epochs, observers=(), **options):
        run = Run.create(path(name), {"dataset": path(dataset)})
        with contextlib.redirect_stdout(io.StringIO()):
            evaluate_lenet5(dataset=path(dataset), n_epochs=epochs, observers=[*observers, run],
                            **options)
        return Predictor(path(name)).probabilities(test[0]).argmax(axis=1) != test[1]

    train_and_test("others", "others.pkl.gz", arguments.n_epochs[0])
    print("examples  trained          test error  error on the 9s", flush=True)
    for n in (10, 100):
        few = numpy.concatenate([numpy.flatnonzero(train[1] == digit)[:n] for digit in range(10)])
        few = numpy.random.RandomState(0).permutation(few)
        write(path(f"few{n}.pkl.gz"), [(train[0][few], train[1][few]),
                                       (validation[0][:1000], validation[1][:1000]), test])
        for name, observers in (("from scratch", []),
                                ("last layer", [Transfer(path("others"))]),
                                ("all layers", [Transfer(path("others"), fine_tune=True)])):
            wrong = train_and_test(f"{name} {n}", f"few{n}.pkl.gz", arguments.n_epochs[1],
                                   observers, batch_size=20)
            print(f"{n:4} each {name:16} {100 * wrong.mean():10.2f} %"
                  f"  {100 * wrong[test[1] == 9].mean():13.2f} %", flush=True)


if __name__ == "__main__":
    commands.run(main)
