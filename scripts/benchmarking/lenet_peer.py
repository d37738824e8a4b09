"""The worker that trains this package's LeNet-5: the peer "lenet", "theano" with LENET_OPS=0."""
import numpy
import theano
import theano.tensor as T

from benchmarking.start import compiled_lenet5
from benchmarking.worker import serve

SGEMM_SIZE = 2048


def prepare(minibatch, nkerns, first_steps, **_):
    """Compile LeNet-5 and make its first steps."""
    model, functions = compiled_lenet5(minibatch, nkerns)
    multiply = sgemm()
    n_batches = functions.n_train_batches
    costs = [float(functions.train_minibatch(i % n_batches)) for i in range(first_steps)]
    parameters = sum(p.get_value(borrow=True).size for p in model.params)
    return {"parameters": parameters, "costs": costs}, {
        "train": lambda i: functions.train_minibatch((i + first_steps) % n_batches),
        "evaluate": lambda i: functions.validation_error(),
        "sgemm": lambda i: multiply(),
    }


def sgemm():
    """A function that multiplies two square matrices by Theano's BLAS, and waits for the result."""
    rng = numpy.random.RandomState(0)
    a, b = (theano.shared(rng.rand(SGEMM_SIZE, SGEMM_SIZE).astype("float32")) for _ in range(2))
    c = theano.shared(a.get_value())
    multiply = theano.function([], updates=[(c, T.dot(a, b))])
    corner = theano.function([], c[0, 0])  # on the host, so a GPU has to be done

    def multiply_and_wait():
        multiply()
        return corner()

    return multiply_and_wait


if __name__ == "__main__":
    serve(prepare)
