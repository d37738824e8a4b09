"""The same LeNet-5 as someone who writes PyTorch writes it.

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


class Peer:
    def __init__(self, minibatch, nkerns, data, layout, compiled, threads, device):
        torch.set_num_threads(threads)
        layout = getattr(torch, layout)
        arrays = {name: torch.from_numpy(array) for name, array in numpy.load(data).items()}
        model = LeNet5(nkerns)
        with torch.no_grad():
            for i, parameter in enumerate(model.parameters()):
                parameter.copy_(arrays[f"parameter{i}"])
        model.to(device, memory_format=layout)
        self.minibatch = minibatch
        self.x, self.valid_x = (arrays[name].to(device, memory_format=layout)
                                for name in ("x", "valid_x"))
        self.y, self.valid_y = (arrays[name].to(device) for name in ("y", "valid_y"))
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        self.facts = {"parameters": sum(p.numel() for p in model.parameters()),
                      "versions": {"torch": torch.__version__}}
        if compiled:
            torch._dynamo.reset()
        self.model = torch.compile(model, dynamic=False) if compiled else model

    def train(self, i):
        start = i % (len(self.x) // self.minibatch) * self.minibatch
        part = slice(start, start + self.minibatch)
        self.optimizer.zero_grad(set_to_none=True)
        cost = F.cross_entropy(self.model(self.x[part]), self.y[part])
        cost.backward()
        self.optimizer.step()
        return cost.item()

    def evaluate(self, i):
        with torch.no_grad():
            y_pred = self.model(self.valid_x[:self.minibatch]).argmax(1)
            return (y_pred != self.valid_y[:self.minibatch]).sum().item()
