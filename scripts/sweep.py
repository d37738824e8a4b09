"""Train a network many times, with each choice of options, on one machine or many."""

import argparse
import signal

from lenet import commands
from lenet.errors import Interrupted, TrainingError
from lenet.installed import command_line
from lenet.sweep import picture, table
from lenet.sweep.study import SCRIPTS, Study, list_actions, load_parser


def options():
    """The parser of this command's options, among them those of the script that is named."""
    parser = commands.Parser(
        __doc__, example="python scripts/sweep.py study --learning-rate 0.01 0.1 --nkerns 20,50 "
                         "6,16 --n-epochs 10 --workers 2")
    parser.add_argument("study", metavar="STUDY",
                        help="the folder: a new one, or that of a sweep to go on with")
    first = argparse.ArgumentParser(add_help=False)
    first.error = parser.error
    for of in (first, parser):
        of.add_argument("--script", choices=SCRIPTS, default="convolutional_mlp",
                        help="what to train")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=parse_count, metavar="N",
                       help="train as many at a time here; by default one per processor")
    where.add_argument("--gpus", type=parse_count, metavar="N",
                       help="train one here on each of as many GPUs")
    where.add_argument("--scheduler", metavar="ADDRESS",
                       help="train on the workers of this Dask scheduler: tcp://host:8786")
    parser.add_argument("--random", type=int, metavar="N",
                        help="try only N points of the grid, drawn without replacement")
    parser.add_argument("--random-seed", type=commands.parse_seed, default=0, metavar="N",
                        help="seed of that draw")
    parser.add_argument("--halving", action="store_true",
                        help="train all for a few epochs, the better half for twice as many, and "
                             "so on")
    script = first.parse_known_args()[0].script
    group = parser.add_argument_group(
        f"options of {command_line(f'python scripts/{script}.py')}, which explains them",
        "Each takes several values; an option of several words takes them as one: 20,50; a switch "
        "takes yes, no, or both")
    for option in list_actions(load_parser(script)):
        group.add_argument(option, dest=option, nargs="+", metavar="VALUE")
    return parser


def parse_count(text):
    """A positive whole number that was typed."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text}; expected a positive number")
    return int(text)


def main():
    arguments = vars(options().parse_args())
    values = {option: list(dict.fromkeys(texts)) for option, texts in arguments.items()
              if option.startswith("--") and texts is not None}
    study = Study(arguments["script"], values, arguments["random"], arguments["random_seed"],
                  arguments["halving"])
    from lenet.sweep.engine import sweep  # needs distributed, which --help does without

    try:
        rows = sweep(study, arguments["study"], arguments["workers"], arguments["gpus"],
                     arguments["scheduler"])
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the same command goes on", signal.SIGINT) from None
    print(f"\n{table.format_table(rows)}")
    picture.write(arguments["study"], {option: values[option] for option in study.varied}, rows)
    if all(row["validation"] is None for row in rows):
        raise TrainingError(f"no trial could be trained; the first one: {rows[0]['reason']}")


if __name__ == "__main__":
    commands.run(main)
