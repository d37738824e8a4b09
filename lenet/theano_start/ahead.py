"""Compile the modules of a graph in parallel, one g++ per processor.

Theano goes through a graph node by node: it writes the C++ of one, waits for g++, loads the result
and turns to the next. Here, when the first module of a graph is missing on disk, those of all nodes
are given to g++ at once, and Theano loads each when it comes to it:

    Theano alone       g++ 1, load 1, g++ 2, load 2, g++ 3, load 3, g++ 4, load 4
    two processors     g++ 1, load 1, g++ 3, load 3
                       g++ 2, load 2, g++ 4, load 4

Source and options are Theano's own. What cannot be compiled here is left for Theano to compile, and
to report.
"""

import concurrent.futures
import os
import shutil
import tempfile

from theano.gof.cc import CLinker, get_module_cache
from theano.gof.cmodule import GCC_compiler, dlimport, get_lib_extension, get_module_hash
from theano.gof.fg import FunctionGraph
from theano.gof.vm import VM_Linker

MAX_COMPILERS = 8  # each takes up to 340 MB of memory


def apply(processors):
    """From now on, compile the modules of each graph with one g++ per processor."""
    make_all, compile_str = VM_Linker.make_all, GCC_compiler.compile_str
    graphs = []  # being compiled, one inside the other

    def make_all_ahead(linker, *args, **kwargs):
        graphs.append(GraphModules(linker.fgraph, compile_str, processors))
        try:
            return make_all(linker, *args, **kwargs)
        finally:
            graphs.pop().close()

    def take_or_compile(module_name, src_code, location=None, include_dirs=None, lib_dirs=None,
                        libs=None, preargs=None, **others):
        options = include_dirs, lib_dirs, libs, preargs
        done = graphs[-1].take(module_name, options, location) if graphs else None
        return done or compile_str(module_name, src_code, location, *options, **others)

    VM_Linker.make_all = make_all_ahead
    GCC_compiler.compile_str = staticmethod(take_or_compile)


class GraphModules:
    """The modules of one graph, compiled as soon as the first of them is taken.

    Parameters
    ----------
    fgraph : theano.gof.FunctionGraph
        Ready to be compiled.
    compile_str : function
        ``GCC_compiler.compile_str``.
    processors : int
        How many modules to compile at a time, up to ``MAX_COMPILERS``.
    """

    def __init__(self, fgraph, compile_str, processors):
        self.fgraph = fgraph
        self.compile_str = compile_str
        self.processors = processors
        self.pool = self.folder = None
        self.results = {}

    def take(self, name, options, location):
        """Move a module into the folder ``location`` and load it; None if it was not compiled.

        Once only: Theano compiles a module that it does not keep once for each node.
        """
        if self.processors > 1 and self.pool is None:
            self.start()
        result = self.results.pop((name, str(options)), None)
        if result is None or result.exception() is not None:
            return None
        library = os.path.join(location, os.path.basename(result.result()))
        shutil.move(result.result(), library)
        open(os.path.join(location, "__init__.py"), "w").close()
        return dlimport(library)

    def start(self):
        """Give the modules that are not on disk to g++."""
        self.pool = concurrent.futures.ThreadPoolExecutor(min(self.processors, MAX_COMPILERS))
        try:
            self.folder = tempfile.TemporaryDirectory(prefix="lenet-modules-")
        except OSError:
            return
        for node in self.fgraph.toposort():
            try:
                linker = make_linker(node)
                if is_on_disk(linker):
                    continue
                name, source, options = generate_module(linker)
            except Exception:  # no C code, or faulty code: Theano's to deal with
                continue
            key = name, str(options)
            if key not in self.results:
                self.results[key] = self.pool.submit(self.build, name, source, options)

    def build(self, name, source, options):
        """Compile one module in a folder of its own; return its path."""
        folder = tempfile.mkdtemp(dir=self.folder.name)
        self.compile_str(name, source, folder, *options, py_module=False)
        return os.path.join(folder, f"{name}.{get_lib_extension()}")

    def close(self):
        """Wait for what is being compiled, and drop the rest."""
        if self.folder is not None:
            for result in self.results.values():
                result.cancel()
            self.pool.shutdown()
            self.folder.cleanup()


def make_linker(node):
    """Theano's writer of C++ for one node, as in ``Op.make_c_thunk``."""
    node.op.prepare_node(node, None, None, "c")
    return CLinker().accept(FunctionGraph(node.inputs, node.outputs))


def is_on_disk(linker):
    """Whether Theano will find the module in its folder of compiled graphs."""
    key, cache = linker.cmodule_key(), get_module_cache()
    return (key in cache.entry_from_key
            or get_module_hash(linker.get_src_code(), key) in cache.module_hash_to_key_data)


def generate_module(linker):
    """A module's name, its source, and the options that ``compile_str`` takes."""
    module = linker.get_dynamic_module()
    source = module.code()  # sets code_hash
    return module.code_hash, source, (linker.header_dirs(), linker.lib_dirs(), linker.libraries(),
                                      linker.compile_args())
