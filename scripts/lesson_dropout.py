"""Average a unit over all 16 dropout masks of its inputs: scaled inputs give the same sum."""

from lenet import commands  # first: Theano starts with its settings

# isort: split
import itertools

import numpy
import theano
import theano.tensor as T
from theano.sandbox.rng_mrg import MRG_RandomStreams

from lenet.network3 import drop_inputs, sigmoid


def main():
    commands.Parser(description=__doc__, example="python scripts/lesson_dropout.py").parse_args()
    inputs = numpy.array([1.0, 2.0, 0.5, 3.0])
    w = numpy.array([0.8, -0.5, 1.2, 0.6])
    masks = numpy.array(list(itertools.product((0, 1), repeat=4)))  # (16, 4)
    z = T.vector("z")
    squash = theano.function([z], sigmoid(z), allow_input_downcast=True)
    x = T.matrix("x")

    print("One unit has 4 inputs; dropout keeps each of them with probability 1 - p.\n")
    print(f"inputs x {inputs}, weights w {w}, z = w . x = {w.dot(inputs):.4f}\n")
    print("      mean over the masks     with scaled inputs      difference")
    print("   p      z    sigmoid(z)         z    sigmoid(z)         z    sigmoid(z)")
    for p in (0.0, 0.25, 0.5, 0.75):
        # A mask with k ones is drawn with probability (1 - p)^k p^(4 - k).
        kept = masks.sum(axis=1)
        probabilities = (1 - p) ** kept * p ** (4 - kept)
        sums = (masks * inputs).dot(w)  # (16,), one for each mask

        scaled, _ = drop_inputs(x, x, p, MRG_RandomStreams(1))
        evaluated = theano.function([x], scaled, allow_input_downcast=True)(inputs[None])
        of_scaled = evaluated.dot(w)
        mean = probabilities.dot(sums)
        mean_output, output = probabilities.dot(squash(sums)), squash(of_scaled)[0]
        difference = round(mean - of_scaled[0], 12) + 0.0  # without rounding, and without -0
        print(f"{p:4.2f}{mean:9.4f}{mean_output:12.4f}{of_scaled[0]:12.4f}{output:12.4f}"
              f"{difference:12.4f}{mean_output - output:12.4f}")
    print("\nScaled inputs give the mean of z to rounding, but not that of the sigmoid, which is a "
          f"curve.\nWithout the scale, z would stay {w.dot(inputs):.4f}: 4 times the mean for p = "
          "0.75.")


if __name__ == "__main__":
    commands.run(main)
