"""Training with ``device=gpu``: on a GPU, and on the emulator of one (emulator.cc)."""

import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess

import numpy
import pytest
from conftest import REPOSITORY, run_python, write_dataset
from made import HERE, build_emulator

from lenet.gpu import libraries, start
from lenet.installed import format_version
from lenet.theano_start.device import find_gpu_problem

NO_GPU = find_gpu_problem("cuda")
NO_PYGPU = importlib.util.find_spec("pygpu") is None
# Only the one that scripts/build_pygpu.sh builds knows compute capabilities from 10.0 on.
OWN_PYGPU = not NO_PYGPU and start.is_own(importlib.import_module("pygpu"))
PTXAS = shutil.which("ptxas")
NVRTC = [library for folder in libraries.list_folders() for library in libraries.find_nvrtc(folder)]

# What Theano compiles for the emulator is kept for the next time, away from what is for the CPU;
# the kernels, which the emulator compiles, are not.
HOME = os.path.expanduser("~/.cache/lenet-tests/emulator")
os.makedirs(HOME, exist_ok=True)

# Sums of a few hundred float32 products, in another order than on the CPU.
TOLERANCE = 1e-4


@pytest.fixture(scope="module", params=[
    pytest.param("gpu", marks=[pytest.mark.gpu, pytest.mark.skipif(
        NO_GPU is not None, reason=f"no GPU: {NO_GPU}")]),
    pytest.param("emulator", marks=pytest.mark.skipif(
        NO_PYGPU, reason="the package pygpu is not installed")),
])
def machine(request, tmp_path_factory):
    """The environment of a process that finds a GPU, or the emulator in its place."""
    if request.param == "gpu":
        return {}
    return {"LD_LIBRARY_PATH": build_emulator(tmp_path_factory.mktemp("emulator")), "HOME": HOME}


def run(machine, *arguments, flags="", **changes):
    flags = "device=gpu,force_device=True,floatX=float32" + flags
    if "LD_LIBRARY_PATH" in machine:
        flags += f",gpuarray.cache_path={machine['LD_LIBRARY_PATH']}/kernels"
    return run_python(*arguments, THEANO_FLAGS=flags, **dict(machine, **changes))


def train(machine, *arguments, **changes):
    """What small_lenet.py prints; each array is allocated by itself, so that the emulator sees any
    access outside it."""
    return read_output(run(machine, os.path.join(HERE, "small_lenet.py"), *arguments,
                           flags=",gpuarray.preallocate=-1", **changes))


def read_output(process):
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def cpu_output():
    return read_output(run_python(os.path.join(HERE, "small_lenet.py")))


@pytest.fixture(scope="module")
def device_output(machine):
    return train(machine)


def test_training_agrees_with_the_cpu(device_output, cpu_output):
    assert device_output["device"] == "cuda"
    numpy.testing.assert_allclose(device_output["costs"], cpu_output["costs"], rtol=TOLERANCE)
    for found, expected in zip(device_output["params"], cpu_output["params"]):
        numpy.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)
    assert device_output["errors"] == cpu_output["errors"]


def test_recorded_functions_compute_the_same(machine, device_output):
    found = train(machine, LENET_CAPTURE="0")
    for name in ("costs", "errors", "params"):
        assert found[name] == device_output[name]


def test_a_step_and_an_evaluation_are_one_launch(machine, tmp_path):
    """From the third call on: of six steps, and of six minibatches of each set."""
    if "LD_LIBRARY_PATH" not in machine:
        pytest.skip("only the emulator counts launches")
    train(machine, EMULATOR_LOG=str(tmp_path / "log"))
    lines = (tmp_path / "log").read_text().splitlines()
    first, *between = [place for place, line in enumerate(lines) if line == "launch a_graph"]
    assert len(between) == 11
    # The minibatch's cost, before the next step begins.
    assert lines[first:first + 3] == ["launch a_graph", "to_host 4", "launch a_graph"]


def test_what_changes_between_the_calls_of_a_recorded_function(machine):
    process = run(machine, os.path.join(HERE, "recorded.py"), flags=",gpuarray.preallocate=-1")
    calls = read_output(process)
    for name, rows in calls.items():
        assert [row[0] for row in rows] == [row[1] for row in rows], name
    how = {name: [row[2] for row in rows if row[2]] for name, rows in calls.items()}
    first = ["call_first", "go_through", "record"]
    for name in ("none", "other_parameters", "a_freed_function"):
        assert how[name] == first + 9 * ["launch"]
    assert how["another_array"] == how["a_larger_set"] == (
        first + 3 * ["launch"] + ["record"] + 5 * ["launch"])
    # A graph for the new rate, once it is sure that the old one does not return.
    assert how["another_rate"] == first + 6 * ["launch"] + ["record"] + 2 * ["launch"]
    assert how["a_rate_for_each_call"] == first + 2 * ["record"] + 7 * ["theano"]
    assert how["another_thread"] == ["call_first"] + 11 * ["go_through"]
    assert how["a_count"] == 12 * ["theano"]


def test_a_layer_and_its_gradients_over_random_shapes(machine):
    script = os.path.join(HERE, "random_shapes.py")
    n = 4 if "LD_LIBRARY_PATH" in machine else 30  # the emulator's compiler is slow
    on_device, on_cpu = (process.stdout.splitlines()
                         for process in (run(machine, script, n), run_python(script, n)))
    assert len(on_device) == len(on_cpu) == n
    for found, expected in zip(map(json.loads, on_device), map(json.loads, on_cpu)):
        shapes = found[:2]
        assert shapes == expected[:2]
        for a, b in zip(found[2:], expected[2:]):
            # Relative to the largest number: where terms cancel, little of any float32 is left.
            numpy.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE * numpy.abs(b).max(),
                                          err_msg=str(shapes))


ON_A_GPU = [pytest.mark.gpu, pytest.mark.skipif(NO_GPU is not None, reason=f"no GPU: {NO_GPU}")]


@pytest.mark.parametrize("n_epochs, validation, noise", [
    # What README says of the CPU.
    pytest.param(1, 9.23, 0.3, marks=ON_A_GPU), pytest.param(2, 6.18, 0.3, marks=ON_A_GPU),
    # The tutorial's 0.91 %, which all its devices reach.
    pytest.param(200, 0.91, 0.05, marks=ON_A_GPU),
])
def test_the_tutorials_errors(n_epochs, validation, noise):
    process = run({}, os.path.join(REPOSITORY, "scripts", "convolutional_mlp.py"), "--n-epochs",
                  n_epochs)
    assert process.returncode == 0, process.stderr
    best = re.search(r"Best validation score of (\d+\.\d+) %", process.stdout).group(1)
    assert abs(float(best) - validation) < noise


@pytest.fixture(scope="module", params=[
    pytest.param((nvrtc, which),
                 id=f"{which.__name__} of {format_version(nvrtc.version)}",
                 marks=pytest.mark.skipif(NO_PYGPU, reason="the package pygpu is not installed"))
    for nvrtc in NVRTC for which in (min, max)
] or [pytest.param(None, marks=pytest.mark.skip("no NVRTC of CUDA is installed"))])
def compiled_kernels(request, tmp_path_factory):
    """(version of CUDA, capability, names of the kernels, files of PTX) of a training whose kernels
    were compiled by a real NVRTC; libgpuarray stops at the first that cannot be. They are launched
    on the emulator, where they do nothing."""
    nvrtc, which = request.param
    capability = which(c for c in libraries.list_capabilities(nvrtc) if c < (10, 0) or OWN_PYGPU)
    folder = tmp_path_factory.mktemp("compiled")
    return (nvrtc.version, capability, *compile_kernels(nvrtc, capability, folder))


def compile_kernels(nvrtc, capability, folder):
    """(names of the kernels, files of PTX) of a training, compiled for a compute capability."""
    log, ptx = folder / "log", folder / "ptx"
    ptx.mkdir()
    process = run_python(
        os.path.join(HERE, "small_lenet.py"),
        LD_LIBRARY_PATH=build_emulator(folder, nvrtc), EMULATOR_LOG=str(log),
        EMULATOR_DRIVER="{}0{}0".format(*nvrtc.version), EMULATOR_PTX=str(ptx),
        EMULATOR_CAPABILITY="{}{}".format(*capability), HOME=str(folder.parent),
        THEANO_FLAGS=f"device=gpu,force_device=True,floatX=float32,gpuarray.cache_path={folder}")
    assert read_output(process)["device"] == "cuda"
    launched = {line.split()[1] for line in log.read_text().splitlines()
                if line.startswith("launch")}
    return launched, sorted(ptx.iterdir())


def test_nvrtc_compiles_every_kernel_of_a_training(compiled_kernels):
    _, capability, launched, files = compiled_kernels
    check_kernels(capability, launched, files)


def check_kernels(capability, launched, files):
    assert {"image_columns", "column_images", "max_pool2d_kernel", "row_argmax"} <= launched
    for file in files:
        assert ".target sm_{}{}".format(*capability) in file.read_text()


@pytest.mark.campaign
@pytest.mark.skipif(not OWN_PYGPU, reason="the package pygpu is not our own build")
@pytest.mark.parametrize("nvrtc", NVRTC, ids=lambda nvrtc: format_version(nvrtc.version))
def test_nvrtc_compiles_every_kernel_for_every_blackwell(nvrtc, tmp_path):
    capabilities = sorted(c for c in libraries.list_capabilities(nvrtc) if c >= (10, 0))
    assert capabilities[0] == (10, 0) and capabilities[-1] == (12, 1)
    for number, capability in enumerate(capabilities):
        folder = tmp_path / str(number)
        folder.mkdir()
        launched, files = compile_kernels(nvrtc, capability, folder)
        check_kernels(capability, launched, files)
        # CUDA 13 calls 10.1 (Thor) 11.0.
        if PTXAS and nvrtc.version <= ptxas_version() and capability != (10, 1):
            make_machine_code(files, capability, folder)


@pytest.mark.skipif(not PTXAS, reason="no ptxas of CUDA is installed")
def test_ptxas_takes_every_kernel_of_a_training(compiled_kernels, tmp_path):
    """As the driver does with what NVRTC gives: machine code of the device, or of later ones."""
    version, capability, _, files = compiled_kernels
    if version > ptxas_version():
        pytest.skip(f"NVRTC of CUDA {format_version(version)} is newer than ptxas")
    devices = [device for device in ((7, 5), (9, 0), (12, 1)) if device >= capability][:2]
    assert files and devices
    for device in devices:
        make_machine_code(files, device, tmp_path)


def make_machine_code(files, capability, folder):
    """Have ptxas make code of files of PTX, for a device of this compute capability."""
    for file in files:
        subprocess.run([PTXAS, "-arch=sm_{}{}".format(*capability), "-o", str(folder / "code"),
                        str(file)], check=True)


def ptxas_version():
    text = subprocess.run([PTXAS, "--version"], stdout=subprocess.PIPE, check=True).stdout
    return tuple(int(n) for n in re.search(rb"release (\d+)\.(\d+)", text).groups())


def test_the_order_of_threads_does_not_matter(machine, device_output):
    found = train(machine, EMULATOR_ORDER="reverse")
    assert found["costs"] == device_output["costs"] and found["params"] == device_output["params"]


def test_copies_are_waited_for(machine, device_output):
    """Where the driver does not; only our build of libgpuarray does it itself."""
    if OWN_PYGPU:
        assert train(machine, EMULATOR_HOST_PAGES="1")["costs"] == device_output["costs"]
    else:
        process = run(machine, "-m", "lenet.gpu.first", EMULATOR_HOST_PAGES="1")
        assert process.returncode == 2
        assert "may not wait for copies" in process.stderr


def test_datasets_and_parameters_lie_on_the_device(device_output):
    assert set(device_output["types"]) == {"GpuArrayType"}


def test_no_minibatch_is_sent_from_the_host(device_output):
    # One number: the size of the minibatch, which the gradient is divided by. The number of the
    # minibatch is an argument of the op that takes a slice.
    assert device_output["to_device"] == [["TensorType(float32, scalar)"], [], []]


def test_a_minibatch_is_one_product_a_layer_and_direction(device_output):
    train, validate, _ = device_output["ops"]
    names = ["GpuImageColumns", "GpuColumnImages", "Argmax"]
    assert [train.count(name) for name in names] == [2, 1, 0]
    assert [validate.count(name) for name in names] == [2, 0, 0]
    assert not [op for ops in device_output["ops"] for op in ops if op.startswith("GpuCorrMM")]


def test_only_the_cost_is_summed_by_theanos_kernel(device_output):
    assert device_output["ops"][0].count("GpuCAReduceCuda") == 1  # and the biases by products


def test_chunks_are_sent_to_the_device(machine, cpu_output):
    found = train(machine, 0.03)
    assert set(found["types"]) == {"GpuArrayType"}
    numpy.testing.assert_allclose(found["costs"], cpu_output["costs"], rtol=TOLERANCE)


def test_a_shuffled_set_stays_on_the_device(machine):
    found = train(machine, "shuffled")
    expected = read_output(run_python(os.path.join(HERE, "small_lenet.py"), "shuffled"))
    assert set(found["types"]) == {"GpuArrayType"}
    numpy.testing.assert_allclose(found["costs"], expected["costs"], rtol=TOLERANCE)


def test_the_doctor_is_content(machine):
    process = run(machine, os.path.join(REPOSITORY, "scripts", "check_gpu.py"))
    assert process.returncode == 0, process.stdout + process.stderr
    *_, first_function, last = process.stdout.splitlines()
    assert "a first function on cuda0 agrees with the CPU" in first_function
    assert last == "ready"


def test_the_benchmark_starts_the_device_again(machine):
    """In a process of a process that has it, as each of its figures does."""
    code = ("import sys; sys.path.insert(0, sys.argv[1]); import lenet; "
            "from benchmarking import start, worker; print(start.machine_name()); "
            "peer = worker.Process('lenet', 'lenet_peer'); "
            "print(*peer.ask('take_steps(Peer(10, (2, 3)), 1)')['costs'])")
    process = run(machine, "-c", code, os.path.join(REPOSITORY, "scripts"))
    assert process.returncode == 0, process.stderr
    name, cost = process.stdout.split("\n", 1)
    assert re.fullmatch(r".+, compute capability \d+\.\d, driver for CUDA \d+\.\d+, "
                        r"NVRTC of CUDA \d+\.\d+", name)
    # The last layer begins with zeros: each of ten digits has probability 1 / 10.
    numpy.testing.assert_allclose(float(cost), numpy.log(10), rtol=TOLERANCE)


SUMS_OF_WINDOWS = """
import lenet, json, sys, theano, theano.tensor as T
from theano.tensor.signal import pool
x, gradient = T.tensor4(), T.tensor4()
sums = pool.pool_2d(x, (2, 3), ignore_border=True, mode="sum")
f = theano.function([x, gradient], T.grad((sums * gradient).sum(), x))
assert "GpuAveragePoolGrad" in {type(node.op).__name__ for node in f.maker.fgraph.toposort()}
x, gradient = (theano._asarray(value, "float32") for value in json.loads(sys.argv[1]))
print(json.dumps(f(x, gradient).tolist()))
"""


def test_the_gradient_of_pooling_by_sums(machine, rng):
    x, gradient = rng.rand(2, 3, 4, 6), rng.rand(2, 3, 2, 2).round(4)
    values = json.dumps([x.tolist(), gradient.tolist()])
    found = read_output(run(machine, "-c", SUMS_OF_WINDOWS, values))
    numpy.testing.assert_allclose(found, numpy.kron(gradient, numpy.ones((2, 3))), rtol=TOLERANCE)


LARGEST_OF_ROWS = """
import lenet, json, sys, numpy, theano, theano.tensor as T
x = T.matrix()
f = theano.function([x], T.argmax(x, axis=1))
assert "GpuRowArgmax" in {type(node.op).__name__ for node in f.maker.fgraph.toposort()}
print(json.dumps([f(numpy.array(x, "float32").reshape(-1, n)).tolist()
                  for n, x in json.loads(sys.argv[1])]))
"""


def test_the_largest_of_each_row(machine, rng):
    nan = float("nan")
    matrices = [[[1, 3, 3], [nan, 9, nan], [9, nan, nan], [-1, -2, -1]],
                rng.randint(0, 5, (300, 7)), rng.rand(5, 1), rng.rand(0, 4)]
    matrices = [numpy.array(x, "float32") for x in matrices]
    values = json.dumps([[x.shape[1], x.tolist()] for x in matrices])
    found = read_output(run(machine, "-c", LARGEST_OF_ROWS, values))
    assert found == [x.argmax(axis=1).tolist() for x in matrices]


TOO_MANY = """
import lenet, numpy, theano, theano.tensor as T
from theano.tensor.nnet import conv2d
x, w = T.tensor4(), T.tensor4()
f = theano.function([x, w], conv2d(x, w, filter_shape=(1, 1, 50, 50)))
f(numpy.zeros((400, 1, 99, 99), "float32"), numpy.zeros((1, 1, 50, 50), "float32"))
"""


def test_more_columns_than_blas_can_count(machine):
    process = run(machine, "-c", TOO_MANY)
    # (50 x 50) numbers of a filter at each of 400 x (50 x 50) places
    assert "columns of a convolution are 2500000000 numbers, more than 2 ** 31" in process.stderr


def test_a_full_memory_is_one_line(machine, tmp_path):
    if "LD_LIBRARY_PATH" not in machine:
        pytest.skip("only the emulator can be told how much memory it has")
    pairs = [(numpy.zeros((2000, 784), "float32"), numpy.arange(2000) % 10)] * 3
    process = run(machine, os.path.join(REPOSITORY, "scripts", "logistic_sgd.py"), "--dataset",
                  write_dataset(tmp_path / "zeros.pkl.gz", pairs), EMULATOR_MEMORY=str(6 << 20))
    assert process.returncode == 1
    # 6000 images of 784 numbers and a label, 4 bytes each
    assert process.stderr.splitlines()[-1].startswith(
        "logistic_sgd.py: the GPU's memory is full: needed are 18.0 MiB for the data set")
