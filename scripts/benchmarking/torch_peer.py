"""The same networks as someone who writes PyTorch writes them.

Its Python need not have Theano, so nothing of lenet is imported. Data and first parameters come
from a file that ``peers.py`` writes, so that the costs are those of the other peers.
"""
import numpy
import torch
import torch.nn.functional as F

# Products of float32 in float32, as Theano's: TF32 keeps 11 of its 24 bits.
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


class LeNet5(torch.nn.Module):
    def __init__(self, nkerns):
        super().__init__()
        self.conv0 = torch.nn.Conv2d(1, nkerns[0], 5)
        self.conv1 = torch.nn.Conv2d(nkerns[0], nkerns[1], 5)
        self.hidden = torch.nn.Linear(nkerns[1] * 4 * 4, 500)
        self.softmax = torch.nn.Linear(500, 10)

    def forward(self, x):
        x = torch.tanh(F.max_pool2d(self.conv0(x), 2))
        x = torch.tanh(F.max_pool2d(self.conv1(x), 2))
        return self.softmax(torch.tanh(self.hidden(x.flatten(1))))


    rate = 0.1

    def cost(self, output, y):
        return F.cross_entropy(output, y)


class Network3(LeNet5):
    """One convolution, sigmoid; parameters as in ``lenet.network3.conv_network``."""

    def __init__(self, _):
        torch.nn.Module.__init__(self)
        self.conv = torch.nn.Conv2d(1, 20, 5)
        self.hidden = torch.nn.Linear(20 * 12 * 12, 100)
        self.softmax = torch.nn.Linear(100, 10)

    def forward(self, x):
        x = torch.sigmoid(F.max_pool2d(self.conv(x), 2))
        return self.softmax(torch.sigmoid(self.hidden(x.flatten(1))))


class MLP(LeNet5):
    rate = 0.01

    def __init__(self, _):
        torch.nn.Module.__init__(self)
        self.hidden = torch.nn.Linear(784, 500)
        self.softmax = torch.nn.Linear(500, 10)

    def forward(self, x):
        return self.softmax(torch.tanh(self.hidden(x.flatten(1))))

    def cost(self, output, y):
        squares = sum((layer.weight ** 2).sum() for layer in (self.hidden, self.softmax))
        return F.cross_entropy(output, y) + 0.0001 * squares


def squash(x):
    return 1.7159 * torch.tanh(2 / 3 * x)


class Subsampling(torch.nn.Module):
    def __init__(self, maps):
        super().__init__()
        self.coefficient = torch.nn.Parameter(torch.empty(maps, 1, 1))
        self.bias = torch.nn.Parameter(torch.empty(maps, 1, 1))

    def forward(self, x):
        return squash(4 * F.avg_pool2d(x, 2) * self.coefficient + self.bias)


class LeNet5_1998(LeNet5):
    """The mask of C3 and the centres of the output come with the data."""

    rate = 0.002

    def __init__(self, _):
        torch.nn.Module.__init__(self)
        self.c1, self.s2 = torch.nn.Conv2d(1, 6, 5), Subsampling(6)
        self.c3, self.s4 = torch.nn.Conv2d(6, 16, 5), Subsampling(16)
        self.c5, self.f6 = torch.nn.Conv2d(16, 120, 5), torch.nn.Linear(120, 84)
        self.register_buffer("mask", torch.empty(16, 6, 1, 1))
        self.register_buffer("centres", torch.empty(10, 84))

    def forward(self, x):
        x = F.pad(1.275 * x - 0.1, (2, 2, 2, 2), value=-0.1)
        x = self.s2(squash(self.c1(x)))
        x = self.s4(squash(F.conv2d(x, self.c3.weight * self.mask, self.c3.bias)))
        x = squash(self.f6(squash(self.c5(x)).flatten(1)))
        distances = (x ** 2).sum(1, keepdim=True) - 2 * x @ self.centres.T \
            + (self.centres ** 2).sum(1)
        return -distances

    def cost(self, output, y):
        close = torch.log(numpy.exp(-1) + torch.exp(output).sum(1))
        return (close - output.gather(1, y[:, None])[:, 0]).mean()


NETWORKS = {"lenet5": LeNet5, "network3": Network3, "mlp": MLP, "lenet5_1998": LeNet5_1998}


class Peer:
    def __init__(self, minibatch, nkerns, data, layout, compiled, threads, device,
                 network="lenet5", graph=False):
        torch.set_num_threads(threads)
        layout = getattr(torch, layout)
        arrays = {name: torch.from_numpy(array) for name, array in numpy.load(data).items()}
        model = NETWORKS[network](nkerns)
        with torch.no_grad():
            for i, parameter in enumerate(model.parameters()):
                parameter.copy_(arrays[f"parameter{i}"].reshape(parameter.shape))
            for name, buffer in model.named_buffers():
                buffer.copy_(arrays[name])
        model.to(device, memory_format=layout)
        self.minibatch = minibatch
        self.x, self.valid_x = (arrays[name].to(device, memory_format=layout)
                                for name in ("x", "valid_x"))
        self.y, self.valid_y = (arrays[name].to(device) for name in ("y", "valid_y"))
        self.optimizer = torch.optim.SGD(model.parameters(), lr=model.rate)
        self.cost = model.cost
        self.facts = {"parameters": sum(p.numel() for p in model.parameters()),
                      "versions": {"torch": torch.__version__}}
        if compiled:
            torch._dynamo.reset()
        self.model = torch.compile(model, dynamic=False) if compiled else model
        if graph:
            self.step = capture_graph(self.step, self.x[:minibatch], self.y[:minibatch], model)
            self.errors = capture_graph(self.errors, self.valid_x[:minibatch],
                                        self.valid_y[:minibatch], model)

    def train(self, i):
        start = i % (len(self.x) // self.minibatch) * self.minibatch
        part = slice(start, start + self.minibatch)
        return self.step(self.x[part], self.y[part]).item()

    def evaluate(self, i):
        return self.errors(self.valid_x[:self.minibatch], self.valid_y[:self.minibatch]).item()

    def step(self, x, y):
        self.optimizer.zero_grad(set_to_none=True)
        cost = self.cost(self.model(x), y)
        cost.backward()
        self.optimizer.step()
        return cost.detach()

    def errors(self, x, y):
        with torch.no_grad():
            return (self.model(x).argmax(1) != y).sum()


def capture_graph(function, x, y, model):
    """A function of a minibatch as a CUDA graph, whose kernels are launched together."""
    x, y = x.clone(), y.clone()
    before = [p.detach().clone() for p in model.parameters()]
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):  # so that libraries have started and chosen their kernels
            function(x, y)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = function(x, y)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), before):
            parameter.copy_(value)

    def replay(new_x, new_y):
        x.copy_(new_x)
        y.copy_(new_y)
        graph.replay()
        return result

    return replay
