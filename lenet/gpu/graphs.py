"""CUDA graphs: what a device is told to do, recorded once and launched as one.

Through the driver, on the stream to which libgpuarray gives all its work. It needs pygpu.
"""

import contextlib
import ctypes
import functools

# From cuda.h: during a capture, nothing may wait in any thread; the type of a node that copies; and
# where CUDA_MEMCPY3D, of 200 bytes, has its addresses on the device.
CAPTURE_GLOBAL, COPY, COPY_SIZE, SOURCE, TARGET = 0, 1, 200, 48, 136


class GraphError(Exception):
    """The driver does not record, or does not launch, a graph."""


class Graph:
    """What the device is told by ``work()``, which it does not do yet.

    Raises a GraphError if the driver is older than CUDA 11.4, or does not record this; an error of
    ``work`` is raised as it is.

    Parameters
    ----------
    context : pygpu.gpuarray.GpuContext
    work : function
        Must neither wait for the device nor allocate outside libgpuarray's cache.
    """

    def __init__(self, context, work):
        self.context, self.graph, self.launchable = context, ctypes.c_void_p(), ctypes.c_void_p()
        with enter(context) as stream:
            call("cuStreamBeginCapture_v2", stream, CAPTURE_GLOBAL)
            try:
                work()
            finally:
                ended = find_function("cuStreamEndCapture")(stream, ctypes.byref(self.graph))
            if ended:
                raise GraphError(f"cuStreamEndCapture: error {ended}")
            call("cuGraphInstantiateWithFlags", ctypes.byref(self.launchable), self.graph,
                 ctypes.c_ulonglong(0))
        self.copies = dict(self.find_copies())

    def find_copies(self):
        """(target, (node, parameters)) of each copy on the device."""
        count, kind = ctypes.c_size_t(), ctypes.c_int()
        call("cuGraphGetNodes", self.graph, None, ctypes.byref(count))
        nodes = (ctypes.c_void_p * count.value)()
        call("cuGraphGetNodes", self.graph, nodes, ctypes.byref(count))
        for node in map(ctypes.c_void_p, nodes):
            call("cuGraphNodeGetType", node, ctypes.byref(kind))
            if kind.value == COPY:
                copy = ctypes.create_string_buffer(COPY_SIZE)
                call("cuGraphMemcpyNodeGetParams", node, copy)
                yield ctypes.c_size_t.from_buffer(copy, TARGET).value, (node, copy)

    def launch(self, sources):
        """Do it; what is copied to the address ``target`` comes from ``sources[target]``."""
        with enter(self.context) as stream:
            for target, source in sources.items():
                node, copy = self.copies[target]
                address = ctypes.c_size_t.from_buffer(copy, SOURCE)
                if address.value != source:
                    address.value, current = source, ctypes.c_void_p()
                    call("cuCtxGetCurrent", ctypes.byref(current))
                    call("cuGraphExecMemcpyNodeSetParams", self.launchable, node, copy, current)
            call("cuGraphLaunch", self.launchable, stream)

    def __del__(self):
        with contextlib.suppress(Exception):  # at the end of the process
            if self.launchable:
                call("cuGraphExecDestroy", self.launchable)
            if self.graph:
                call("cuGraphDestroy", self.graph)


@functools.lru_cache(maxsize=None)
def find_function(name):
    """A function of the driver."""
    try:
        return getattr(ctypes.CDLL("libcuda.so"), name)
    except AttributeError:
        raise GraphError(f"the driver has no {name}") from None


def call(name, *arguments):
    """Call a function of the driver."""
    status = find_function(name)(*arguments)
    if status:
        raise GraphError(f"{name}: error {status}")


@functools.lru_cache(maxsize=None)
def find_extension(name, result=None):
    """A function of libgpuarray that takes a context."""
    library = ctypes.CDLL("libgpuarray.so.3")
    library.gpuarray_get_extension.restype = ctypes.c_void_p
    return ctypes.CFUNCTYPE(result, ctypes.c_void_p)(library.gpuarray_get_extension(name))


@contextlib.contextmanager
def enter(context):
    """Make the context the thread's inside a ``with`` block; its stream."""
    find_extension(b"cuda_enter")(context.ptr)
    try:
        yield ctypes.c_void_p(find_extension(b"cuda_get_stream", ctypes.c_void_p)(context.ptr))
    finally:
        find_extension(b"cuda_exit")(context.ptr)
