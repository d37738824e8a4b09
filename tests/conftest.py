"""What several test modules need: small datasets, and commands run as a user runs them."""

import contextlib
import functools
import gc
import glob
import gzip
import hashlib
import http.server
import importlib
import json
import os
import resource
import runpy
import shutil
import struct
import subprocess
import sys
import threading
import types
import uuid

if "PYTEST_XDIST_WORKER" in os.environ:
    # Theano locks its folder of compiled modules, so processes that run tests side by side would
    # wait for each other: each has its own.
    os.environ["HOME"] = os.path.expanduser(
        "~/.cache/lenet-tests/" + os.environ["PYTEST_XDIST_WORKER"])
    # A thread of OpenBLAS that waits for another keeps its processor, also while the other cannot
    # run because the processors have other tests' work to do.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Theano's rewriting makes many objects, few of them garbage in a circle.
    gc.set_threshold(50000, 20, 50)

import numpy
import pytest
from PIL import Image

from lenet.data import load_arrays, plain_pickle
from lenet.figures import plots

# isort: split
import theano
from theano.gof import cmodule

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def environment(**changes):
    """This process's environment without the user's settings of Theano, and with ``changes``.

    A number of threads among these is OpenBLAS's, too.
    """
    unset = ["THEANO_FLAGS", "THEANORC", "OMP_NUM_THREADS"]
    if "OMP_NUM_THREADS" in changes:
        unset.append("OPENBLAS_NUM_THREADS")
    kept = {key: value for key, value in os.environ.items() if key not in unset}
    kept.update(changes)
    return {key: value for key, value in kept.items() if value is not None}


def is_running(pid):
    """Whether a process is there, and does more than wait for its parent to take notice of its
    end."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def run_python(*arguments, cwd=None, python=sys.executable, **changes):
    """Run Python in a process of its own; ``changes`` are made to the environment."""
    return subprocess.run(
        [str(python), *map(str, arguments)],
        env=environment(**changes), cwd=cwd, text=True, capture_output=True, timeout=600,
    )


def run_script(name, *arguments, cwd=None, **changes):
    """Run one of the commands in scripts/."""
    path = os.path.join(REPOSITORY, "scripts", name)
    return run_python(path, *arguments, cwd=cwd, **changes)


def assert_refused(process, status, *words):
    """The command ended with this status and one line on stderr that has all these words."""
    lines = process.stderr.splitlines()
    assert len(lines) == 1, process.stderr
    for word in words:
        assert word in lines[0]
    assert process.returncode == status


def make_home(folder):
    """A folder as HOME: Theano finds what it compiles before all graphs, but no graph's modules."""
    importlib.import_module("theano.gof.cutils")  # compiles the first of them, lenet the other
    compiled = os.path.join(str(folder), ".theano", os.path.basename(theano.config.compiledir))
    os.makedirs(compiled)
    for name in ("cutils_ext", "lazylinker_ext"):
        shutil.copytree(os.path.join(theano.config.compiledir, name), os.path.join(compiled, name))
    for header in glob.glob(os.path.join(theano.config.compiledir, "lenet-*.h*")):
        os.symlink(header, os.path.join(compiled, os.path.basename(header)))
    return str(folder)


def write_dataset(path, sets):
    """Write pairs of arrays as a dataset."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        plain_pickle.dump(tuple(tuple(pair) for pair in sets), file)
    return str(path)


def write_arrays(path, sets, class_names, preparation="resize"):
    """Write three pairs of arrays, uint8 images of shape (n, channels, height, width) and labels,
    as a folder of arrays."""
    os.makedirs(path)
    for part, (x, y) in zip(("train", "valid", "test"), sets):
        numpy.save(os.path.join(path, part + "_x.npy"), x)
        numpy.save(os.path.join(path, part + "_y.npy"), y)
    with open(os.path.join(path, "dataset.json"), "w") as file:
        json.dump({"image_shape": sets[0][0].shape[1:], "class_names": class_names,
                   "preparation": preparation}, file)
    return str(path)


@pytest.fixture
def array_set(tmp_path, rng):
    """A folder of arrays with 53, 17 and 11 images of 3 x 2 x 4 in 3 classes, and its arrays."""
    sets = [(rng.randint(0, 256, (n, 3, 2, 4)).astype("uint8"), numpy.arange(n) % 3)
            for n in (53, 17, 11)]
    return write_arrays(tmp_path / "arrays", sets, ["a", "b", "c"]), sets


def idx_of(array):
    """The contents of an IDX file, as MNIST's, that holds this array of bytes."""
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(">%dI" % array.ndim, *array.shape)
    return header + array.astype("uint8").tobytes()


def mutate(content, rng):
    """Bytes changed, removed, doubled, or cut off."""
    content = bytearray(content)
    kind = rng.randint(6)
    if kind == 0:
        return bytes(content[:rng.randint(len(content))])
    if kind == 1:
        start, length = rng.randint(len(content)), rng.randint(1, 9)
        del content[start:start + length]
        return bytes(content)
    if kind == 2:
        start, length = rng.randint(len(content)), rng.randint(1, 9)
        content[start:start] = content[start:start + length]
        return bytes(content)
    for _ in range(rng.randint(1, 4)):
        # The beginning, where the header of an array is, as often as all the rest.
        position = rng.randint(min(128, len(content)) if rng.randint(2) else len(content))
        content[position] = (rng.randint(256) if kind < 5
                             else content[position] ^ 1 << rng.randint(8))
    return bytes(content)


@pytest.fixture
def limited_memory():
    """No more memory than that: a damaged pickle may ask for any amount."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux: its /proc, and a limit of memory that it keeps")
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + 2 ** 28, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@contextlib.contextmanager
def serve_folder(folder):
    """The address at which the files of a folder are served inside the ``with`` block."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield "http://127.0.0.1:%d/" % server.server_port
        finally:
            server.shutdown()


@pytest.fixture(scope="session", autouse=True)
def shared_modules(tmp_path_factory):
    """What g++ has made in one of the processes that run tests side by side, the others need not
    make again: most of their modules are the same, but for the HOME in the names of files."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    folder = tmp_path_factory.getbasetemp().parent / "modules"  # of this run, and all its processes
    folder.mkdir(exist_ok=True)
    popen = cmodule.output_subprocess_Popen
    # The usual linker takes a quarter of the time of a small module.
    fast_linker = ["-fuse-ld=gold"] if shutil.which("ld.gold") and "clang" not in \
        theano.config.cxx else []

    def take_or_compile(command):
        if "-shared" not in command or "-o" not in command:
            return popen(command)
        output, source = command[command.index("-o") + 1:][:2]
        with open(source) as file:
            key = [file.read(), *(part.replace(os.environ["HOME"], "~") for part in command
                                  if part not in (output, source))]
        kept = folder / hashlib.sha256("\0".join(key).encode()).hexdigest()
        if kept.exists():
            shutil.copy(str(kept), output)
            return b"", b"", 0
        result = popen(command + fast_linker)
        if result[2] == 0:
            mine = kept.with_suffix("." + uuid.uuid4().hex)
            shutil.copy(output, str(mine))
            os.replace(str(mine), str(kept))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cmodule, "output_subprocess_Popen", take_or_compile)
        yield


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory):
    """The Python of an environment in which nothing is installed, not even pip."""
    folder = tmp_path_factory.mktemp("bare") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def mnist_arrays():
    """The three pairs of arrays of MNIST."""
    return load_arrays("mnist.pkl.gz")


@pytest.fixture
def small_sets(mnist_arrays):
    """Pairs of lists [x, y], writable, of 250, 130 and 120 digits."""
    return [
        [x[:n].copy(), y[:n].copy()] for (x, y), n in zip(mnist_arrays, (250, 130, 120))
    ]


@pytest.fixture
def small_dataset(tmp_path, small_sets):
    """The path of a dataset of a few digits."""
    return write_dataset(tmp_path / "small.pkl.gz", small_sets)


@pytest.fixture
def digit_files(mnist_arrays, tmp_path):
    """300 digits as bytes, and the PNG files that hold them."""
    images = (mnist_arrays[2][0][:300] * 256).astype("uint8").reshape(-1, 28, 28)
    paths = [str(tmp_path / f"{i:03}.png") for i in range(len(images))]
    for image, path in zip(images, paths):
        Image.fromarray(image).save(path)
    return images, paths


@pytest.fixture
def rng():
    """A seeded generator for the test's own numbers."""
    return numpy.random.RandomState(2026)


@pytest.fixture
def script(monkeypatch, capsys):
    """A function that runs a command in this process, as ``python scripts/NAME`` would, so that
    Theano starts only once; it returns the status and what was printed."""
    monkeypatch.setattr(plots, "has_display", lambda: False)

    def run(name, *arguments):
        path = os.path.join(REPOSITORY, "scripts", name)
        monkeypatch.setattr(sys, "argv", [path, *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            runpy.run_path(path, run_name="__main__")
        out, err = capsys.readouterr()
        return types.SimpleNamespace(returncode=end.value.code, stdout=out, stderr=err)

    return run


@pytest.fixture
def notebook(monkeypatch):
    """IPython's shell as a notebook's kernel has it; ``notebook.display_pub.outputs`` is what the
    cells have shown."""
    pytest.importorskip("IPython", reason="IPython is not installed: pip install '.[notebook]'")
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    shell.kernel, shell.display_pub = object(), CapturingDisplayPublisher()
    yield shell
    shell.restore_sys_module_state()
    InteractiveShell.clear_instance()
