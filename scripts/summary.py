"""Print what a network is made of: shapes, parameters, connections, receptive fields, memory."""

import ast

from lenet import commands
from lenet.errors import UsageError
from lenet.networks import KINDS, load_model
from lenet.reports.summary import build_by_name, format_table, summarize_network


def main():
    parser = commands.Parser(
        __doc__, example="python scripts/summary.py LeNet5 nkerns=6,16 n_hidden=120")
    parser.add_argument("model", metavar="MODEL",
                        help=f"a model file, the folder of a run, or one of {', '.join(KINDS)}")
    parser.add_argument("arguments", metavar="NAME=VALUE", nargs="*",
                        help="arguments of one of these, such as nkerns=20,50 of LeNet5, "
                             "n_hidden=30 of MLP, pooling=max of LeNet5_1998, conv_layers=2 of "
                             "Network")
    parser.add_argument("--image-shape", type=int, nargs=3, metavar=("C", "H", "W"),
                        help="channels, height and width of an image, of a network by name; 1 28 "
                             "28 by default")
    parser.add_argument("--classes", type=int, metavar="N",
                        help="number of classes, of a network by name; 10 by default")
    parser.add_argument("--batch-size", type=int, default=500, metavar="N",
                        help="images of a minibatch, for its memory")
    options = parser.parse_intermixed_args()
    if options.batch_size < 1:
        raise UsageError(f"batch size {options.batch_size}; expected at least 1")

    if options.model in KINDS:
        image_shape = tuple(options.image_shape or (1, 28, 28))
        classes = 10 if options.classes is None else options.classes
        if min(image_shape + (classes,)) < 1:
            raise UsageError(f"image shape {image_shape}, {classes} classes; expected at least 1 "
                             "of each")
        model = build_by_name(options.model, image_shape, classes,
                              **dict(map(parse_argument, options.arguments)))
    elif options.arguments or options.image_shape or options.classes is not None:
        raise UsageError(f"{options.model}: a saved network is what it is; leave out its "
                         f"arguments, or name one of {', '.join(KINDS)}")
    else:
        saved = load_model(options.model)
        model, image_shape = saved.model, saved.image_shape
    print(format_table(summarize_network(model, image_shape), options.batch_size))


def parse_argument(text):
    """("nkerns", (20, 50)) for "nkerns=20,50"; what is no number is a word."""
    name, separator, value = text.partition("=")
    if not separator:
        raise UsageError(f"{text}; expected NAME=VALUE, such as nkerns=20,50")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


if __name__ == "__main__":
    commands.run(main)
