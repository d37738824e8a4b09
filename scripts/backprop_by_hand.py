"""Check back-propagation, written out in NumPy, against Theano's T.grad.

The first network is fully connected, with sigmoid units and the quadratic cost: the four equations
of M. Nielsen, "Neural Networks and Deep Learning", chapter 2. The second has what LeNet has: a
convolution, max-pooling, tanh, and a softmax with the negative log-likelihood. Each network sees
one example.
"""

from lenet import commands  # first: Theano starts with its settings

# isort: split
import numpy
import theano
import theano.tensor as T
from theano.tensor.nnet import conv2d
from theano.tensor.signal import pool


def main():
    commands.Parser(description=__doc__, example="python scripts/backprop_by_hand.py").parse_args()
    rng = numpy.random.RandomState(23455)
    print_four_equations(rng)
    print("\n")
    print_convolution_gradients(rng)


def sigmoid(z):
    return 1 / (1 + numpy.exp(-z))


def print_four_equations(rng):
    """Print the gradients of a network with 3 inputs, 4 hidden units and 2 outputs."""
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
    W2, B2, W3, B3 = params = [theano.shared(value) for value in (w2, b2, w3, b3)]
    hidden = T.nnet.sigmoid(T.dot(W2, x) + B2)
    output = T.nnet.sigmoid(T.dot(W3, hidden) + B3)
    cost = ((output - y) ** 2).sum() / 2
    compare(cost, params, dw2=dw2, db2=db2, dw3=dw3, db3=db3)


def print_convolution_gradients(rng):
    """Print the gradients of one filter of 3 x 3 on 6 x 6 pixels, pooling by 2 x 2, 3 classes."""
    x, y = rng.uniform(size=(6, 6)), 2  # an image, its class
    W, b = rng.uniform(-0.5, 0.5, size=(3, 3)), rng.uniform(-0.5, 0.5)
    # Row k of the softmax's weights belongs to number k of the pooled map.
    V, c = rng.normal(size=(4, 3)), rng.normal(size=3)

    print("forward:  z = W * x,  m = max of 2 x 2,  a = tanh(m + b),  p = softmax(a V + c),  "
          "C = -log p[y]\n")
    # A convolution turns its filter by 180 degrees; 6 - 3 + 1 = 4.
    turned = W[::-1, ::-1]
    z = numpy.array([[(turned * x[r:r + 3, s:s + 3]).sum() for s in range(4)] for r in range(4)])
    # (4, 4) -> (2, 2, 2, 2): row of the window, row in it, column of the window, column in it.
    m = z.reshape(2, 2, 2, 2).max(axis=(1, 3))
    a = numpy.tanh(m + b)  # (2, 2)
    scores = numpy.exp(a.ravel().dot(V) + c)  # (4,) times (4, 3) -> (3,)
    p = scores / scores.sum()
    show(x=x, W=W, z=z, m=m, a=a, p=p, C=-numpy.log(p[y]))

    print("softmax:   delta = p - 1 at the right class, p elsewhere;   dV[k, i] = a[k] delta[i]")
    delta = p - (numpy.arange(3) == y)
    dV, dc = numpy.outer(a, delta), delta
    show(delta=delta, dV=dV, dc=dc)

    print("tanh:   the error of the pooled map = (V delta) * (1 - a^2);   the bias: its sum")
    dm = V.dot(delta).reshape(2, 2) * (1 - a ** 2)
    db = dm.sum()  # one bias, four places
    show(dm=dm, db=db)

    print("max-pooling:   the largest number of each window gets the window's error, the rest 0")
    # Each number of m and dm is repeated over its window.
    window = numpy.ones((2, 2))
    dz = numpy.where(z == numpy.kron(m, window), numpy.kron(dm, window), 0)
    show(dz=dz)

    print("convolution:   each place of the map sees 3 x 3 pixels. It adds its error times these\n"
          "pixels to the gradient of the filter, and its error times the filter to theirs")
    d_turned, dx = numpy.zeros((3, 3)), numpy.zeros((6, 6))
    for r, s in numpy.ndindex(4, 4):
        d_turned += dz[r, s] * x[r:r + 3, s:s + 3]
        dx[r:r + 3, s:s + 3] += dz[r, s] * turned
    dW = d_turned[::-1, ::-1]
    show(dW=dW, dx=dx)

    params = [theano.shared(numpy.array(value)) for value in (x, W, b, V, c)]
    image, filter, bias, weights, biases = params
    conv_out = conv2d(image.reshape((1, 1, 6, 6)), filter.reshape((1, 1, 3, 3)))
    pooled_out = pool.pool_2d(conv_out, (2, 2), ignore_border=True)
    hidden = T.tanh(pooled_out + bias).flatten(2)  # (1, 1, 2, 2) -> (1, 4)
    cost = -T.log(T.nnet.softmax(T.dot(hidden, weights) + biases)[0, y])
    compare(cost, params, dx=dx, dW=dW, db=db, dV=dV, dc=dc)


def show(**values):
    """Print arrays with their shapes."""
    with numpy.printoptions(precision=4, suppress=True):
        for name, value in values.items():
            lines = str(numpy.asarray(value).round(4)).replace("\n", "\n" + " " * 23)
            print(f"    {name:7} {str(numpy.shape(value)):9}  {lines}")
    print()


def compare(cost, params, **by_hand):
    """Print how far gradients are from those that Theano derives."""
    gradients = theano.function([], T.grad(cost, params))()
    print("largest difference from T.grad:")
    for gradient, (name, value) in zip(gradients, by_hand.items()):
        print(f"    {name}  {abs(gradient - value).max():.1e}")


if __name__ == "__main__":
    commands.run(main)
