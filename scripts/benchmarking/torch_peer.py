"""The worker that trains the same network in PyTorch: the peers "torch-...".

    PYTHON torch_peer.py LAYOUT COMPILE THREADS DEVICE

LAYOUT is nchw or channels_last, COMPILE 0 or 1, DEVICE cpu, cuda, cuda:1, ... PYTHON is one that
has torch; it need not have Theano, so nothing of lenet is imported but ``worker.py``, which lies
beside this file. Data and first parameters come from a file that ``peers.py`` writes, so that the
costs are those of the other peers.
"""
import sys

import numpy
import torch
import torch.nn.functional as F
from worker import serve

LAYOUTS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}


class LeNet5(torch.nn.Module):
    """The network of ``lenet.convolutional_mlp``, as someone who writes PyTorch writes it."""

    def __init__(self, parameters):
        super().__init__()
        W3, b3, W2, b2, W1, b1, W0, b0 = parameters
        self.conv0 = torch.nn.Conv2d(W0.shape[1], W0.shape[0], W0.shape[2:])
        self.conv1 = torch.nn.Conv2d(W1.shape[1], W1.shape[0], W1.shape[2:])
        self.hidden = torch.nn.Linear(*W2.shape)
        self.softmax = torch.nn.Linear(*W3.shape)
        with torch.no_grad():
            for layer, W, b in ((self.conv0, W0, b0), (self.conv1, W1, b1)):
                # Theano turns filters round by 180 degrees, PyTorch does not.
                layer.weight.copy_(torch.from_numpy(W[:, :, ::-1, ::-1].copy()))
                layer.bias.copy_(torch.from_numpy(b))
            for layer, W, b in ((self.hidden, W2, b2), (self.softmax, W3, b3)):
                layer.weight.copy_(torch.from_numpy(W.T.copy()))
                layer.bias.copy_(torch.from_numpy(b))

    def forward(self, x):
        x = torch.tanh(F.max_pool2d(self.conv0(x), 2))
        x = torch.tanh(F.max_pool2d(self.conv1(x), 2))
        return self.softmax(torch.tanh(self.hidden(x.flatten(1))))


def prepare(minibatch, data, first_steps, **_):
    """Build the network and make its first steps."""
    layout, compiled, device = LAYOUTS[sys.argv[1]], sys.argv[2] == "1", sys.argv[4]
    arrays = numpy.load(data)
    x, y = (torch.from_numpy(arrays[name]) for name in ("x", "y"))
    valid_x, valid_y = (torch.from_numpy(arrays[name]) for name in ("valid_x", "valid_y"))
    x, valid_x = (images.to(device, memory_format=layout) for images in (x, valid_x))
    y, valid_y = y.to(device), valid_y.to(device)
    n_batches = len(x) // minibatch

    model = LeNet5([arrays["parameter%d" % i] for i in range(8)])
    model.to(device, memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if compiled:
        torch._dynamo.reset()
    apply = torch.compile(model, dynamic=False) if compiled else model

    def train(i):
        part = slice(i % n_batches * minibatch, (i % n_batches + 1) * minibatch)
        optimizer.zero_grad(set_to_none=True)
        cost = F.cross_entropy(apply(x[part]), y[part])
        cost.backward()
        optimizer.step()
        return cost.item()

    def evaluate(i):
        with torch.no_grad():
            return (apply(valid_x[:minibatch]).argmax(1) != valid_y[:minibatch]).sum().item()

    costs = [train(i) for i in range(first_steps)]
    evaluate(0)
    parameters = sum(p.numel() for p in model.parameters())
    return {"parameters": parameters, "costs": costs, "torch": torch.__version__}, {
        "train": lambda i: train(i + first_steps), "evaluate": evaluate}


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[3]))
    # Products of float32 in float32, as Theano's: TF32 keeps 11 of its 24 bits.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    serve(prepare)
