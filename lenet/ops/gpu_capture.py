"""A compiled function on the GPU, launched as one CUDA graph.

Theano launches the kernels of a function one by one, each with work of the host before it. Here
they are recorded and launched together. The nodes of Theano's graph are of four kinds:

    before   on the host: sizes, and where a minibatch begins in its set (a view of the set)
    sent     numbers that go to the device
    device   kernels and products of matrices, which are recorded
    after    what comes back to the host, and what the host makes of it

The first call is Theano's. The second goes through the nodes in that order and keeps all arrays
where they are; the third records. From then on a call looks up where the minibatch lies, by the
numbers that the function is given, and launches the graph, which begins with copying the minibatch
to a place of its own. What does not fit (another size, a set or a parameter that has moved) goes
through the nodes again. Theano's remain: functions with other operations, with other inputs than
numbers, with results on the device, or with updates that are not in place.

``LENET_CAPTURE=0`` in the environment leaves all of this out. It needs pygpu.
"""

import copy
import os
import threading

import numpy
import pygpu
from pygpu.gpuarray import GpuArrayException
from theano import config, tensor
from theano.compile.ops import Rebroadcast, Shape_i
from theano.gof import Constant
from theano.gof.vm import CVM, VM_Linker
from theano.gpuarray import basic_ops, blas, nnet, pool
from theano.gpuarray.elemwise import GpuCAReduceCuda, GpuDimShuffle, GpuElemwise
from theano.gpuarray.subtensor import GpuSubtensor
from theano.gpuarray.type import GpuArrayType, get_context

from lenet.gpu.graphs import Graph, GraphError
from lenet.ops.gpu_argmax import GpuRowArgmax
from lenet.ops.gpu_columns import GpuColumns

# What does nothing but compute its outputs. The kernels need no memory beside these, which a graph
# would not find again.
ON_HOST = (tensor.Elemwise, tensor.DimShuffle, tensor.Reshape, tensor.Join, tensor.Subtensor,
           tensor.ScalarFromTensor, tensor.TensorFromScalar, tensor.opt.MakeVector, Shape_i,
           Rebroadcast)
ON_DEVICE = (GpuElemwise, GpuDimShuffle, GpuCAReduceCuda, GpuColumns, GpuRowArgmax, Rebroadcast,
             basic_ops.GpuAlloc, basic_ops.GpuAllocEmpty, basic_ops.GpuContiguous,
             basic_ops.GpuReshape, blas.GpuDot22, blas.GpuGemm, blas.GpuGemv, blas.GpuGer,
             pool.GpuPool, pool.GpuMaxPoolGrad, pool.GpuAveragePoolGrad, nnet.GpuSoftmax,
             nnet.GpuSoftmaxWithBias, nnet.GpuCrossentropySoftmaxArgmax1HotWithBias,
             nnet.GpuCrossentropySoftmax1HotWithBiasDx)
BEFORE, SENT, DEVICE, AFTER = KINDS = ("before", "sent", "device", "after")
MOST_MISSES = 3  # calls in turn that the graph does not fit, until another is recorded
MOST_TRIES = 3  # to record in turn that no launch follows, until it is left to Theano


def register():
    """From now on, record what is compiled for the GPU."""
    if os.environ.get("LENET_CAPTURE") == "0" or not config.gpuarray.single_stream:
        return
    make_vm = VM_Linker.make_vm

    def make_recording_vm(linker, nodes, thunks, input_storage, output_storage, storage_map,
                          post_thunk_clear, computed, compute_map, updated_vars):
        vm = make_vm(linker, nodes, thunks, input_storage, output_storage, storage_map,
                     post_thunk_clear, computed, compute_map, updated_vars)
        if type(vm) is not CVM or config.profile or any(thunk.lazy for thunk in thunks):
            return vm
        kinds = sort_nodes(linker.fgraph, nodes, updated_vars)
        return kinds and RecordedVM(vm, linker.fgraph, thunks, kinds, storage_map,
                                    updated_vars) or vm

    VM_Linker.make_vm = make_recording_vm


def is_on_device(variable):
    return isinstance(variable.type, GpuArrayType)


def sort_nodes(fgraph, nodes, updates):
    """{node: its kind}, or None if the function cannot be recorded.

    Parameters
    ----------
    fgraph : theano.gof.FunctionGraph
    nodes : list
        In the order in which Theano computes them.
    updates : dict
        {input: its new value}
    """
    kinds = {}
    for node in nodes:
        kinds[node] = find_kind(node, {kinds[v.owner] for v in node.inputs if v.owner}, updates)
    if None in kinds.values() or any(not is_on_device(v) and getattr(v.type, "ndim", 1)
                                     for v in fgraph.inputs):
        return None
    made_by = {v: kinds.get(v.owner) for v in fgraph.outputs}
    if any(kind != (DEVICE if v in updates.values() else AFTER) for v, kind in made_by.items()):
        return None
    # What comes back must not have to come before something is computed in its place.
    earlier = fgraph.orderings()
    late = any(kinds[other] == AFTER for node in nodes if kinds[node] == DEVICE
               for other in earlier.get(node, ()))
    return None if late else kinds


def find_kind(node, sources, updates):
    """The kind of a node, from those of the nodes before it; None if it has none."""
    on_device = any(map(is_on_device, node.outputs))
    if isinstance(node.op, basic_ops.HostFromGpu) or AFTER in sources:
        return None if on_device or not isinstance(
            node.op, ON_HOST + (basic_ops.HostFromGpu,)) else AFTER
    if sources <= {BEFORE}:
        if isinstance(node.op, GpuSubtensor) and node.inputs[0] not in updates:
            return BEFORE
        if isinstance(node.op, basic_ops.GpuFromHost):
            return SENT
        if isinstance(node.op, ON_HOST) and not on_device:
            return BEFORE
    return DEVICE if on_device and isinstance(node.op, ON_DEVICE) else None


class RecordedVM:
    """What takes the place of Theano's virtual machine of one function."""

    def __init__(self, vm, fgraph, thunks, kinds, storage_map, updates):
        self.vm, self.storage_map, self.updates = vm, storage_map, updates
        self.context = get_context(None)
        self.parts = {kind: [(place, thunk) for place, (thunk, node) in enumerate(
            zip(thunks, kinds)) if kinds[node] == kind] for kind in KINDS}
        read = list(dict.fromkeys(
            v for node in kinds if kinds[node] != BEFORE for v in node.inputs))
        # The minibatch, and what is sent to the device, which may compute in its place.
        self.views = [v for v in read if is_on_device(v) and v.owner
                      and kinds[v.owner] in (BEFORE, SENT)]
        # Sizes, rates and the like, the same each time that the graph is launched.
        self.told = [v for node in kinds if kinds[node] in (SENT, DEVICE) for v in node.inputs
                     if not is_on_device(v) and not isinstance(v, Constant)]
        self.last = [v for node in kinds if kinds[node] == AFTER for v in node.outputs]
        needed = {v for node in kinds if kinds[node] == AFTER for v in node.inputs} - set(self.last)
        self.fetched = [v for v in needed if is_on_device(v)]
        self.noted = [v for v in needed if not is_on_device(v) and v.owner]  # of the host
        self.results = [v for node in kinds for v in node.outputs]
        self.numbers = [storage_map[v] for v in fgraph.inputs if not is_on_device(v)]
        self.inputs = [v for v in fgraph.inputs if is_on_device(v)]
        self.next, self.graph, self.kept, self.failed = self.call_first, None, {}, None
        self.tries = 0

    def __getattr__(self, name):
        return getattr(self.vm, name)

    @property
    def position_of_error(self):
        """Where among the nodes the last error was."""
        return self.vm.position_of_error if self.failed is None else self.failed

    def __call__(self, **others):
        self.failed = None
        return self.call_theano(**others) if others else self.next()  # others: not all outputs

    def get(self, variables):
        return [self.storage_map[v][0] for v in variables]

    def put(self, variables, values):
        for v, value in zip(variables, values):
            self.storage_map[v][0] = value

    def clear(self, variables):
        self.put(variables, [None] * len(variables))

    def run(self, kind):
        if kind == AFTER:
            self.clear(self.last)  # the caller may have kept what came back before
        for place, thunk in self.parts[kind]:
            try:
                thunk()
            except Exception:
                self.failed = place
                raise

    def call_theano(self, **others):
        """As Theano does it, away from what is kept."""
        self.failed = None
        self.clear(self.results)
        return self.vm(**others)

    def leave_it_to_theano(self):
        self.next, self.graph, self.kept = self.vm, None, {}

    def call_first(self):
        """As Theano does it. Then all arrays are kept, for which there has to be room."""
        fits = self.context.free_gmem > self.context.total_gmem // 2
        self.next = self.go_through if fits else self.vm
        return self.vm()

    def go_through(self):
        """Node by node, without recording; every array stays where it is."""
        if threading.active_count() > 1:  # what they do would be recorded, too
            return self.call_theano()
        self.tries += 1
        if self.tries > MOST_TRIES:  # a rate that changes at each call, say
            self.leave_it_to_theano()
            return self.call_theano()
        self.clear(self.results)
        self.run(BEFORE)
        self.run(SENT)
        views = self.get(self.views)
        if not all(view.flags.c_contiguous for view in views):
            self.leave_it_to_theano()
            return self.call_theano()
        self.staged = [pygpu.empty(view.shape, view.dtype, context=self.context) for view in views]
        self.expected = list(map(copy.copy, self.get(self.told)))
        self.stage(views)
        self.run(DEVICE)
        new = self.get(self.updates.values())
        in_place = all(map(is_same_place, new, self.get(self.updates)))
        self.put(self.updates, new)
        self.keep(views)
        self.run(AFTER)
        self.next, self.graph = self.record, None
        if not in_place:
            self.leave_it_to_theano()

    def stage(self, views):
        """Copy the minibatch to its place, from which the device takes it."""
        for place, view in zip(self.staged, views):
            place.reshape((view.size,))[:] = view.reshape((view.size,))
        self.put(self.views, self.staged)

    def keep(self, views):
        self.kept.update(zip(self.results + self.inputs, self.get(self.results + self.inputs)))
        self.kept.update(zip(self.views, views))

    def record(self):
        """Record what the device does, then launch it."""
        if threading.active_count() > 1:
            return self.call_theano()
        self.put(self.results, map(self.kept.get, self.results))
        self.run(BEFORE)
        if self.has_moved() or not self.is_told_the_same():
            return self.go_through()
        views = self.get(self.views)
        try:
            self.graph = Graph(self.context, lambda: (self.stage(views), self.run(DEVICE)))
            fits = all(place.gpudata in self.graph.copies for place in self.staged)
        except (GraphError, GpuArrayException, RuntimeError):
            fits = False
        if not fits:  # nothing has been done yet
            self.leave_it_to_theano()
            return self.call_theano()
        self.keep(views)
        self.next, self.misses, self.known = self.launch, 0, {}
        self.launch()

    def launch(self):
        """What is recorded, for the minibatch that the numbers name."""
        numbers = tuple(number[0].item() for number in self.numbers)
        if numbers not in self.known:
            self.put(self.results, map(self.kept.get, self.results))
            self.run(BEFORE)
            # Where the graph copies a part of the minibatch to: where it lies.
            sources = {place.gpudata: view.gpudata
                       for place, view in zip(self.staged, self.get(self.views))}
            self.known[numbers] = self.is_told_the_same() and (
                sources, list(map(copy.copy, self.get(self.noted))))
        if not self.known[numbers] and self.misses < MOST_MISSES:
            self.misses += 1
            return self.call_theano()
        if not self.known[numbers] or self.has_moved():
            return self.go_through()
        sources, noted = self.known[numbers]
        try:
            self.graph.launch(sources)
        except GraphError:
            self.leave_it_to_theano()
            return self.call_theano()
        self.misses = self.tries = 0
        self.put(self.noted, map(copy.copy, noted))
        self.put(self.fetched, map(self.kept.get, self.fetched))
        self.run(AFTER)

    def is_told_the_same(self):
        return all(map(numpy.array_equal, self.get(self.told), self.expected))

    def has_moved(self):
        """Whether a set or a parameter lies elsewhere than before."""
        for v, array in zip(self.inputs, self.get(self.inputs)):
            if not is_same_place(array, self.kept[v]):
                return True
            self.kept[v] = array
        return False


def is_same_place(array, other):
    return array is other or (array is not None and array.gpudata == other.gpudata
                              and (array.shape, array.strides) == (other.shape, other.strides))
