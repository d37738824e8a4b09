"""Train LeNet-5 of 1998 and each simplification of it, one after another, and compare errors."""

import os

# As in lenet5_1998.py.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# isort: split
from lenet import commands
from lenet.figures import plots
from lenet.lenet5_1998 import compare_steps, evaluate_lenet5_1998
from lenet.parallel import ranks


def main():
    parser = commands.Parser(
        __doc__, example="python scripts/compare_1998.py --n-epochs 5 --output steps.png",
        trains=[evaluate_lenet5_1998])
    parser.add_sgd(learning_rate="factor of the gradient in the first epoch; by default 0.002 for "
                                 "the head rbf and 0.05 for softmax")
    parser.add_sizes("--filter-size", "filters of C1 and C3")
    parser.add_source()
    parser.add_argument("--output", metavar="FILE", help="draw the errors, in PNG, PDF or SVG")
    options = vars(parser.parse_args())
    output = options.pop("output")
    plots.check_output(output)
    errors = compare_steps(**commands.make_arguments(commands.take_timeout(options)))
    if ranks.get_world().rank:
        return
    print(f"\n{'network':20}  test error")
    for name, error in errors:
        print(f"{name:20}  {100 * error:.2f} %")
    names, values = zip(*errors)
    axes = plots.new_figure(7, 0.6 * len(names) + 1).subplots()
    plots.draw_bars(axes, names, [100 * value for value in values], digits=2)
    axes.set_xlabel(f"test error (percent), {options['n_epochs']} epochs")
    plots.finish(axes.figure, output)


if __name__ == "__main__":
    commands.run_training(main)
