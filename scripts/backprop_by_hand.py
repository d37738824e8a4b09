"""Check the four equations of back-propagation, written out in NumPy, against Theano's T.grad.

The network has 3 inputs, 4 hidden units and 2 outputs, sigmoid activations and the quadratic cost,
and sees one example (M. Nielsen, "Neural Networks and Deep Learning", chapter 2).
"""

import lenet  # noqa: F401  (first: it starts Theano with settings that work)

# isort: split
import numpy
import theano
import theano.tensor as T

from lenet import commands


def sigmoid(z):
    return 1 / (1 + numpy.exp(-z))


def main():
    commands.Parser(description=__doc__, example="python scripts/backprop_by_hand.py").parse_args()
    rng = numpy.random.RandomState(23455)
    x, y = rng.normal(size=3), numpy.array([0.0, 1.0])
    # Row j of a layer's weights belongs to unit j: shapes (4, 3) and (2, 4).
    w2, b2 = rng.normal(size=(4, 3)), rng.normal(size=4)
    w3, b3 = rng.normal(size=(2, 4)), rng.normal(size=2)

    print("forward:  z = w a + b,  a = sigmoid(z),  C = |a3 - y|^2 / 2\n")
    z2 = w2.dot(x) + b2  # (4, 3) times (3,) -> (4,)
    a2 = sigmoid(z2)
    z3 = w3.dot(a2) + b3  # (2, 4) times (4,) -> (2,)
    a3 = sigmoid(z3)
    # The derivative of the sigmoid is sigmoid(z) (1 - sigmoid(z)).
    slope2, slope3 = a2 * (1 - a2), a3 * (1 - a3)
    show(x=x, a2=a2, a3=a3, C=((a3 - y) ** 2).sum() / 2)

    print("(1)  the error of the last layer:   delta3 = (a3 - y) * sigmoid'(z3)")
    delta3 = (a3 - y) * slope3  # (2,)
    show(delta3=delta3)

    print("(2)  the error of the layer before:   delta2 = (w3^T delta3) * sigmoid'(z2)")
    delta2 = w3.T.dot(delta3) * slope2  # (4, 2) times (2,) -> (4,)
    show(delta2=delta2)

    print("(3)  the biases:   dC/db = delta")
    db2, db3 = delta2, delta3
    show(db2=db2, db3=db3)

    print("(4)  the weights:   dC/dw[j, k] = a[k] of the layer before * delta[j]")
    dw2 = numpy.outer(delta2, x)  # (4,) and (3,) -> (4, 3)
    dw3 = numpy.outer(delta3, a2)  # (2,) and (4,) -> (2, 4)
    show(dw2=dw2, dw3=dw3)

    # Theano derives all of them from the cost alone.
    params = [theano.shared(value, name) for name, value in
              (("w2", w2), ("b2", b2), ("w3", w3), ("b3", b3))]
    W2, B2, W3, B3 = params
    hidden = T.nnet.sigmoid(T.dot(W2, x) + B2)
    output = T.nnet.sigmoid(T.dot(W3, hidden) + B3)
    cost = ((output - y) ** 2).sum() / 2
    gradients = theano.function([], T.grad(cost, params))()

    print("largest difference from T.grad:")
    for param, by_theano, by_hand in zip(params, gradients, (dw2, db2, dw3, db3)):
        print(f"    d{param.name}  {abs(by_theano - by_hand).max():.1e}")


def show(**values):
    """Print arrays with their shapes."""
    with numpy.printoptions(precision=4, suppress=True):
        for name, value in values.items():
            lines = str(numpy.asarray(value)).replace("\n", "\n" + " " * 23)
            print(f"    {name:7} {str(numpy.shape(value)):9}  {lines}")
    print()


if __name__ == "__main__":
    commands.run(main)
