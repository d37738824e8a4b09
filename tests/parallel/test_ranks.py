"""lenet.parallel.ranks: trainings under mpiexec, each rank a process of its own."""

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import REPOSITORY, assert_refused, environment, is_running, write_dataset

from lenet.networks import parameters
from lenet.parallel import ranks

MPIEXEC = shutil.which("mpiexec", path=os.path.dirname(sys.executable)) or shutil.which("mpiexec")
WITH_MPI4PY = importlib.util.find_spec("mpi4py") is not None and MPIEXEC is not None

needs_mpi = pytest.mark.skipif(not WITH_MPI4PY, reason="needs mpi4py and an mpiexec: "
                                                       "pip install lenet-theano[mpi]")

LENET = ["convolutional_mlp.py", "--nkerns", 3, 4, "--n-hidden", 10, "--batch-size", 40,
         "--n-epochs", 2, "--momentum", 0.5, "--learning-rate-decay", 0.9, "--L2-reg", 0.001]
NETWORK3 = ["network3.py", "--dropout", 0.5, "--mini-batch-size", 20, "--epochs", 3]


def script_path(name):
    return os.path.join(REPOSITORY, "scripts", name)


def make_command(n, name, *arguments, before=()):
    """The command line of a training on ``n`` ranks; one needs no mpiexec."""
    python = [sys.executable, *before, script_path(name)]
    if n > 1:
        python = [MPIEXEC, "-n", n, sys.executable, "-m", "mpi4py", *before, script_path(name)]
    return [str(word) for word in [*python, *arguments]]


def run(n, *arguments, before=(), **changes):
    return run_to_end(make_command(n, *arguments, before=before), **changes)


def run_to_end(words, cwd=None, **changes):
    changes.setdefault("OMP_NUM_THREADS", "1")
    return subprocess.run(list(map(str, words)), env=environment(**changes), cwd=cwd, text=True,
                          capture_output=True, timeout=300)


def read_contents(folder):
    """The arrays of a run, as bytes, and its log without the seconds."""
    arrays = {}
    for name in ("model", "last"):
        found, _ = parameters.read(os.path.join(folder, f"{name}.safetensors"))
        arrays.update({(name, key): value.tobytes() for key, value in found.items()})
    with open(os.path.join(folder, "log.csv")) as log:
        return arrays, [line.rpartition(",")[0] for line in log]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, mnist_arrays):
    """A function that trains in one process, once for each training; it returns the options, the
    folder of the run, and the lines that were printed."""
    home = tmp_path_factory.mktemp("alone")
    dataset = write_dataset(home / "small.pkl.gz", [
        (x[:n], y[:n]) for (x, y), n in zip(mnist_arrays, (250, 130, 120))])
    done = {}

    def train(*training):
        if training not in done:
            options = [*training, "--dataset", dataset, "--shards", 4]
            folder = home / str(len(done))
            process = run(1, *options, "--output", folder)
            assert process.returncode == 0, process.stderr
            done[training] = options, folder, process.stdout.splitlines()
        return done[training]

    return train


@needs_mpi
@pytest.mark.parametrize("training", [LENET, NETWORK3], ids=["LeNet-5", "network3"])
def test_parameters_are_equal_bit_by_bit_on_1_2_and_4_ranks(tmp_path, alone, training):
    options, folder, expected = alone(*training)
    for n in (2, 4):
        process = run(n, *options, "--output", tmp_path / str(n))
        assert process.returncode == 0, process.stderr
        # Only rank 0 prints, and what one process prints.
        assert process.stdout.splitlines() == expected
        assert read_contents(tmp_path / str(n)) == read_contents(folder)
    epochs = {LENET[0]: 2, NETWORK3[0]: 3}[training[0]]
    assert len(read_contents(folder)[1]) == 1 + epochs and len(expected) > epochs


@needs_mpi
def test_layers_that_do_not_learn_are_resumed_on_all_ranks(tmp_path, alone, small_dataset):
    other, whole, part = alone(*LENET)[1], tmp_path / "whole", tmp_path / "part"
    training = [LENET[0], "--from", other, "--batch-size", 40, "--dataset", small_dataset,
                "--shards", 4]
    run(1, *training, "--n-epochs", 2, "--output", whole)
    run(1, *training, "--n-epochs", 1, "--output", part)
    process = run(2, LENET[0], "--resume", part, "--n-epochs", 2)
    assert process.returncode == 0, process.stderr
    assert read_contents(part) == read_contents(whole)


TOGETHER = """
import lenet, numpy, sys
from lenet.parallel import ranks
from lenet.parallel.shards import split_minibatches

ranks.join()
world = ranks.get_world()
rng = numpy.random.RandomState(1)
for number in (3, 6, 12, 15):
    terms = (rng.randn(number, 100) * 10.0 ** rng.randint(-4, 4, (number, 100))).astype("float32")
    terms[:, -1] = 0  # the place of the wish to stop
    shards = split_minibatches(number, number, world)
    total = world.sum(lambda i: terms[i].copy(), shards)
    assert total.tobytes() == ranks.tree_sum(lambda i: terms[i].copy(), 0, number).tobytes()
assert not world.agree_to_stop(world.rank == 2)
world.sum(lambda i: terms[i].copy(), shards)
assert world.agree_to_stop(False)
assert world.sum_counts(10 ** world.rank) == 111
assert world.share(["of rank", world.rank] * 9 ** world.rank) == ["of rank", 0]
print(*range(world.rank, 10))
"""


@needs_mpi
def test_three_ranks_add_up_share_and_agree():
    process = run_to_end([MPIEXEC, "-n", 3, sys.executable, "-m", "mpi4py", "-c", TOGETHER])
    assert process.returncode == 0, process.stderr
    assert process.stdout == "0 1 2 3 4 5 6 7 8 9\n"


# Counts the steps of this rank, and after the last of them lets it hang, or die at an instant soon
# afterwards. Others wait less for it than in a real training.
KILLED = """
import os, runpy, signal, sys
import lenet
from lenet.parallel import ranks, shards

ranks.GRACE_SECONDS = 1.0
rank, steps = int(os.environ["KILL_RANK"]), [int(os.environ["KILL_STEPS"])]
compile_split_step = shards.compile_split_step

def compile_counted(*arguments):
    train_minibatch = compile_split_step(*arguments)
    def counted(index):
        steps[0] -= 1
        if steps[0] == 0 and ranks.get_world().rank == rank:
            if os.environ["KILL_SECONDS"] == "hang":
                os.kill(os.getpid(), signal.SIGSTOP)
            signal.setitimer(signal.ITIMER_REAL, float(os.environ["KILL_SECONDS"]))
        return train_minibatch(index)
    return counted

shards.compile_split_step = compile_counted
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@needs_mpi
@pytest.mark.parametrize("killed, last, epochs", [
    ([2], 1, 3),
    pytest.param([2, 1, 2, 1, 4] * 2, 2, 8, marks=pytest.mark.campaign),
], ids=["once", "ten times"])
def test_a_rank_is_killed_and_the_run_resumed_on_other_numbers(tmp_path, alone, killed, last,
                                                               epochs):
    """Killed are trainings on these numbers of ranks, one after the other; the last one ends."""
    options, undisturbed, _ = alone(*NETWORK3[:-1], epochs)  # 12 minibatches per epoch
    draw = random.Random(2026)
    options = [*options, "--output", tmp_path / "killed"]
    for n in killed:
        process = run(n, *options, before=["-c", KILLED], KILL_RANK=str(draw.randrange(n)),
                      KILL_STEPS=str(draw.randint(1, 9)),
                      KILL_SECONDS=str(draw.uniform(1e-6, 0.02)))
        assert process.returncode not in (0, 1, 2), process.stderr
        options = [options[0], "--resume", tmp_path / "killed"]
    process = run(last, *options)
    assert process.returncode == 0, process.stderr
    assert read_contents(tmp_path / "killed") == read_contents(undisturbed)


# Runs a script in the folder 0 or 1, with the variables RANK0_* or RANK1_* as its own.
BY_RANK = """
import os, sys
if os.path.isdir(os.environ["PMI_RANK"]):
    os.chdir(os.environ["PMI_RANK"])
for name, value in list(os.environ.items()):
    if name.startswith("RANK" + os.environ["PMI_RANK"] + "_"):
        os.environ[name.partition("_")[2]] = value
os.execv(sys.executable, [sys.executable, "-m", "mpi4py", *sys.argv[1:]])
"""


def run_differing(*arguments, **changes):
    """Run a script on two ranks, as ``BY_RANK`` says."""
    return run_to_end([MPIEXEC, "-n", 2, sys.executable, "-c", BY_RANK, script_path(arguments[0]),
                       *arguments[1:]], **changes)


@needs_mpi
@pytest.mark.parametrize("options, words", [
    (["--shards", 3], ["--shards 3", "2 process"]),
    (["--shards", "two"], ["--shards", "two", "--help"]),
])
def test_wrong_options_are_one_line_of_rank_0(tmp_path, small_dataset, options, words):
    process = run(2, "convolutional_mlp.py", "--dataset", small_dataset, "--output",
                  tmp_path / "run", *options)
    assert_refused(process, 2, "convolutional_mlp.py: ", *words)
    assert not os.path.exists(tmp_path / "run" / "last.safetensors")


@pytest.mark.parametrize("options, words", [
    (["--shards", 4, "--batch-size", 42], ["--shards 4", "42"]),
    (["--shards", 0], ["--shards 0"]), (["--timeout", 0], ["--timeout 0"]),
])
def test_wrong_options_of_one_process(script, small_dataset, options, words):
    assert_refused(script("convolutional_mlp.py", "--dataset", small_dataset, *options), 2, *words)


@needs_mpi
def test_ranks_that_differ_are_refused(tmp_path):
    process = run_differing("convolutional_mlp.py", "--shards", 2, "--output",
                            tmp_path / "run", RANK1_THEANO_FLAGS="floatX=float64")
    assert_refused(process, 2, "rank 1 on ", "float64", "expected")
    assert not os.path.exists(tmp_path / "run")


def test_threads_are_a_fact_of_a_rank(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert ranks.list_facts()["OMP_NUM_THREADS"] == "7"


@needs_mpi
def test_ranks_with_other_options_are_refused(small_dataset):
    one = [sys.executable, "-m", "mpi4py", script_path("mlp.py"), "--shards", "2", "--seed"]
    process = run_to_end([MPIEXEC, "-n", 1, *one, 3, ":", "-n", 1, *one, 4])
    assert_refused(process, 2, "--seed 4", "expected mlp.py --shards 2 --seed 3")


@needs_mpi
def test_ranks_with_other_data_are_refused(tmp_path, small_sets):
    for rank in "01":
        os.mkdir(tmp_path / rank)
        write_dataset(tmp_path / rank / "small.pkl.gz", small_sets)
        small_sets[0][1][0] = 9 - small_sets[0][1][0]
    process = run_differing("mlp.py", "--dataset", "./small.pkl.gz", "--shards", 2, cwd=tmp_path)
    assert_refused(process, 2, "rank 1 on ", "checksum")


@needs_mpi
def test_a_failure_of_one_rank_is_said_by_rank_0(tmp_path, small_sets):
    for rank in "01":
        os.mkdir(tmp_path / rank)
    write_dataset(tmp_path / "0" / "small.pkl.gz", small_sets)
    process = run_differing("mlp.py", "--dataset", "./small.pkl.gz", "--shards", 2, cwd=tmp_path)
    assert_refused(process, 1, "rank 1 on ", "mlp.py: ./small.pkl.gz: not found")


@needs_mpi
def test_the_mpiexec_of_another_mpi_is_refused():
    for rank in (0, 1):
        process = run(1, "mlp.py", "--shards", 2, before=["-m", "mpi4py"],
                      OMPI_COMM_WORLD_SIZE="2", OMPI_COMM_WORLD_RANK=str(rank))
        if rank == 0:
            assert_refused(process, 2, "2 processes", "alone")
        else:
            assert (process.returncode, process.stderr) == (2, "")


def test_without_mpi4py_the_line_names_the_extra(script, monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    assert_refused(script("mlp.py", "--shards", 2), 2, "mpi4py", "lenet-theano[mpi]")


def test_without_mpiexec_nothing_of_mpi_is_imported():
    process = subprocess.run([sys.executable, "-c", "import lenet.commands, sys; "
                              "print('mpi4py' in sys.modules)"], cwd=REPOSITORY,
                             env=environment(), text=True, capture_output=True)
    assert process.stdout == "False\n"


def begin(words, **changes):
    """Begin a long training; returned once it runs, with the processes of its ranks."""
    changes.setdefault("OMP_NUM_THREADS", "1")
    mpiexec = subprocess.Popen(list(map(str, words)), text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=environment(**changes))
    for line in mpiexec.stdout:
        if line.startswith("Training mini-batch"):
            break
    return mpiexec, find_ranks(mpiexec.pid)


def find_ranks(pid):
    """The processes of Python among the descendants of a process, the oldest first."""
    parents = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{entry}/stat") as stat:
            name, _, fields = stat.read().partition("(")[2].rpartition(")")
            parents[int(entry)] = int(fields.split()[1]), name  # fields: state, parent, ...
    found, names = [pid], []
    for process in found:
        found += sorted(child for child, (parent, _) in parents.items() if parent == process)
        names += [process] * parents[process][1].startswith("python")
    return names


def wait_for_the_end(processes):
    """Wait until processes have gone, or are waiting for init to take notice of it."""
    end = time.monotonic() + 60
    while any(map(is_running, processes)):
        assert time.monotonic() < end
        time.sleep(0.05)


@needs_mpi
@pytest.mark.parametrize("stopped", [0, 1])
def test_a_rank_that_hangs_ends_all_after_the_timeout(small_dataset, stopped):
    mpiexec, processes = begin(make_command(2, *NETWORK3[:-1], 10 ** 6, "--dataset", small_dataset,
                                            "--shards", 2, "--timeout", 0.5, before=["-c", KILLED]),
                               KILL_RANK=str(stopped), KILL_STEPS="9", KILL_SECONDS="hang")
    _, err = mpiexec.communicate(timeout=120)
    assert mpiexec.returncode == 1
    assert len(err.splitlines()) == 1 and "no answer from another rank for 0.5 s" in err
    wait_for_the_end(processes)


@needs_mpi
@pytest.mark.parametrize("to_mpiexec", [True, False])
def test_sigterm_ends_all_ranks_after_the_minibatch(tmp_path, small_dataset, to_mpiexec):
    mpiexec, processes = begin(make_command(2, *NETWORK3[:-1], 10 ** 6, "--dataset", small_dataset,
                                            "--shards", 2, "--output", tmp_path / "run"))
    os.kill(mpiexec.pid if to_mpiexec else processes[0], signal.SIGTERM)
    _, err = mpiexec.communicate(timeout=120)
    assert mpiexec.returncode == 128 + signal.SIGTERM
    lines = [line for line in err.splitlines() if "ran for" not in line]
    assert lines == [f"network3.py: interrupted; go on with --resume {tmp_path / 'run'}"]
    wait_for_the_end(processes)


# Starts a command on a host, as ssh would: "launch HOST COMMAND ...".
LAUNCH = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
host=$1
shift
exec ip netns exec lenet$host unshare --uts sh -c "hostname host$host; exec $*"
"""


@pytest.fixture
def two_hosts(tmp_path):
    """Two hosts with a cable between them, as network namespaces: the command line of mpiexec on
    the first one, which starts a rank on each."""
    def ip(*words):
        return subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    hosts = "10.91.0.1", "10.91.0.2"
    try:
        for host in hosts:
            ip("netns", "add", "lenet" + host)
        ip("link", "add", "eth0", "netns", "lenet" + hosts[0], "type", "veth", "peer", "name",
           "eth0", "netns", "lenet" + hosts[1])
        for host in hosts:
            ip("-n", "lenet" + host, "address", "add", host + "/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", "lenet" + host, "link", "set", device, "up")
        while "state UP" not in ip("-n", "lenet" + hosts[1], "link", "show", "eth0").stdout:
            time.sleep(0.05)
        launch = tmp_path / "launch"
        launch.write_text(LAUNCH)
        launch.chmod(0o755)
        yield [launch, hosts[0], MPIEXEC, "-launcher", "ssh", "-launcher-exec", launch,
               "-localhost", hosts[0], "-hosts", ",".join(hosts), "-ppn", 1, "-n", 2]
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces can be made here: {getattr(error, 'stderr', error)}")
    finally:
        for host in hosts:
            with contextlib.suppress(OSError):
                subprocess.run(["ip", "netns", "delete", "lenet" + host], stderr=subprocess.PIPE)


# One thread of a rank cannot reach the other's memory: all goes by TCP.
BY_CABLE = {"UCX_TLS": "tcp,self", "UCX_NET_DEVICES": "eth0"}


@needs_mpi
def test_two_hosts_give_the_parameters_of_one(tmp_path, alone, two_hosts):
    (script, *options), folder, _ = alone(*LENET)
    process = run_to_end([*two_hosts, sys.executable, "-m", "mpi4py", script_path(script), *options,
                          "--output", tmp_path / "two"], **BY_CABLE)
    assert process.returncode == 0, process.stderr
    assert read_contents(tmp_path / "two") == read_contents(folder)


@needs_mpi
def test_a_cut_cable_ends_both_hosts_after_the_timeout(tmp_path, small_dataset, two_hosts):
    words = [*two_hosts, sys.executable, "-m", "mpi4py", script_path("network3.py"), "--epochs",
             10 ** 6, "--dataset", small_dataset, "--shards", 2, "--timeout", 1]
    mpiexec, processes = begin(words, **BY_CABLE)
    subprocess.run(["ip", "-n", "lenet10.91.0.2", "link", "set", "eth0", "down"], check=True)
    _, err = mpiexec.communicate(timeout=120)
    assert mpiexec.returncode == 1
    assert "no answer from another rank for 1 s" in err
    wait_for_the_end(processes)
