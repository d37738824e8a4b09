"""lenet.runs.run: what a killed training left is enough to end as if nothing had happened."""

import itertools
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy
import pytest
from conftest import environment, write_dataset

from lenet import networks
from lenet.data import load_data
from lenet.errors import DataError, Interrupted, UsageError
from lenet.network3 import FullyConnectedLayer, Network, SoftmaxLayer
from lenet.networks import parameters
from lenet.runs import run as runs
from lenet.runs.log import read_log
from lenet.runs.run import Run
from lenet.training.functions import find_random_states
from lenet.training.loop import Functions, Result


def small_network():
    """With dropout, so that there is a random generator whose state counts."""
    return Network([FullyConnectedLayer(784, 12, p_dropout=0.3), SoftmaxLayer(12, 10)], 10, seed=3)


def train_network(dataset, run=None, epochs=3, network=None):
    network = network or small_network()
    datasets = load_data(dataset)
    train, validation, test = datasets
    result = network.SGD(train, epochs, 10, 0.5, validation, test,
                         observers=[] if run is None else [run], datasets=datasets)
    return network, result


def get_values(network):
    return {name: param.get_value() for name, param in networks.named_params(network).items()}


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name in expected:
        assert found[name].tobytes() == expected[name].tobytes(), name


def drop_seconds(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def three_epochs(mnist_arrays, tmp_path_factory):
    """(folder, network, result) of a run of three epochs on the small dataset."""
    home = tmp_path_factory.mktemp("three")
    dataset = write_dataset(home / "small.pkl.gz", [
        (x[:n], y[:n]) for (x, y), n in zip(mnist_arrays, (250, 130, 120))])
    folder = str(home / "kept")
    return (folder,) + train_network(dataset, Run.create(folder, {"a": 1}))


@pytest.fixture
def kept_run(three_epochs, tmp_path):
    """The same, in a folder that a test may change."""
    return (shutil.copytree(three_epochs[0], str(tmp_path / "kept")), *three_epochs[1:])


def test_keeping_changes_nothing(kept_run, small_dataset):
    _, network, result = kept_run
    alone, alone_result = train_network(small_dataset)
    assert_same(get_values(network), get_values(alone))
    assert (result.best_iteration, result.test_error) == (
        alone_result.best_iteration, alone_result.test_error)


def test_what_a_run_holds(kept_run):
    folder, network, result = kept_run
    assert sorted(os.listdir(folder)) == [
        ".lock", "curves.png", "last.safetensors", "log.csv", "model.safetensors"]
    arrays, metadata = parameters.read(os.path.join(folder, "last.safetensors"))
    random = arrays.pop("random0")
    assert_same(arrays, get_values(network))
    state, = find_random_states(network.layers[-1].cost(network))
    assert_same({"random0": random}, {"random0": state.get_value()})
    assert json.loads(metadata["state"])["settings"] == {"a": 1}
    assert runs.read_state(folder).stopped == "n_epochs"
    with open(os.path.join(folder, "curves.png"), "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"


def test_the_dataset_of_a_run(kept_run, small_dataset, tmp_path):
    assert runs.dataset_of(kept_run[0]).dataset == "mnist.pkl.gz"  # begun without a command
    folder = str(tmp_path / "run")
    train_network(small_dataset, Run.create(folder, {"dataset": small_dataset}), epochs=1)
    for path in (folder, os.path.join(folder, "model.safetensors")):
        assert runs.dataset_of(path).dataset == small_dataset
        assert runs.dataset_of(path, "typed") == "typed"
    for path in (str(tmp_path), str(tmp_path / "none")):
        assert runs.dataset_of(path) == "mnist.pkl.gz"
    assert runs.dataset_of(folder).open().fingerprint is None
    with pytest.raises(DataError, match="other examples than its dataset has now"):
        runs.dataset_of(kept_run[0]).open()  # all of MNIST


def test_what_a_run_held_back_is_held_back_again(small_dataset, tmp_path):
    """Whatever the dataset is called now, no image that the run was trained on is a test image."""
    folder = str(tmp_path / "run")
    train_network(small_dataset, Run.create(
        folder, {"dataset": small_dataset, "validation_fraction": 0.1, "test_fraction": 0.5}),
        epochs=1)
    for dataset in (None, "moved"):
        source = runs.dataset_of(folder, dataset)
        source = source if dataset else source.dataset
        assert (source.dataset, source.fractions) == (dataset or small_dataset, (0.1, 0.5))


def test_the_log_has_a_row_for_each_validation(kept_run):
    folder, _, result = kept_run
    with open(os.path.join(folder, "log.csv")) as file:
        assert file.readline() == "iteration,epoch,cost,validation,test,seconds\n"
    rows = read_log(os.path.join(folder, "log.csv"))
    assert [(row["iteration"], row["epoch"]) for row in rows] == [(25, 1), (50, 2), (75, 3)]
    best = [row for row in rows if row["iteration"] == result.best_iteration + 1]
    assert [(row["validation"], row["test"]) for row in best] == [
        (result.best_validation_error, result.test_error)]
    for row in rows:
        improved = row["validation"] <= min(r["validation"] for r in rows[:rows.index(row) + 1])
        assert (row["test"] is not None) == improved
    assert 0 < rows[0]["seconds"] < rows[2]["seconds"]


def test_the_cost_is_the_mean_since_the_row_before(small_dataset, tmp_path):
    run = Run.create(str(tmp_path / "run"), {})
    costs = []
    run.minibatch_ends = lambda result: (costs.append(result.cost),
                                         Run.minibatch_ends(run, result))
    train_network(small_dataset, run, epochs=2)
    assert [row["cost"] for row in run.rows] == pytest.approx(
        [numpy.mean(costs[:25]), numpy.mean(costs[25:])], rel=1e-12)


def test_a_training_that_diverges_leaves_its_best_parameters(small_dataset, tmp_path):
    folder = str(tmp_path / "run")
    network, result = small_network(), Result()
    run = Run.create(folder, {})
    run.model_built(network, load_data(small_dataset))
    run.training_begins(Functions(None, None, None, 25, network.params), 1, result)
    run.last_save_seconds = math.inf  # so much that the next saving is put off
    result.cost, result.iteration = 2.0, 24
    run.minibatch_ends(result)
    run.validated(1, 25, 0.5)
    run.improved(1, 25, 0.4)
    run.iteration_ends(result)
    best = get_values(network)
    for param in network.params:
        param.set_value(param.get_value() * numpy.nan)
    result.stopped = "diverged"
    run.training_ends(result)
    assert_same(get_values(networks.load_model(folder).model), best)
    row, = read_log(os.path.join(folder, "log.csv"))
    assert (row["validation"], row["test"]) == (0.5, 0.4)


def test_the_best_parameters_are_those_of_the_best_epoch(small_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "LARGEST_SHARE", math.inf)
    folder = str(tmp_path / "run")
    _, result = train_network(small_dataset, Run.create(folder, {}), epochs=8)
    best_epoch = (result.best_iteration + 1) // 25
    network, _ = train_network(small_dataset, epochs=best_epoch)
    saved = networks.load_model(folder)
    assert_same(get_values(saved.model), get_values(network))
    validation = load_data(small_dataset)[1]
    assert 1 - saved.model.accuracy(validation) == pytest.approx(
        result.best_validation_error, abs=1e-12)
    assert saved.class_names == list("0123456789")
    assert saved.image_shape == (1, 28, 28)


def stop(run, stop_after):
    """Have a run ask for the end after so many minibatches in all."""
    done = []
    run.minibatch_begins = done.append
    run.wants_to_stop = lambda: done[-1] + 1 == stop_after


def test_an_interrupted_run_ends_as_if_it_had_not_been(small_dataset, tmp_path):
    run = Run.create(str(tmp_path / "whole"), {})
    whole, whole_result = train_network(small_dataset, run, epochs=4)
    folder = str(tmp_path / "run")
    # In the first epoch, at the end of one, in the third; each time in a new network.
    for stop_after in (7, 25, 61):
        run = Run.create(folder, {}) if stop_after == 7 else Run.resume(folder)
        stop(run, stop_after)
        with pytest.raises(Interrupted, match="--resume %s" % folder):
            train_network(small_dataset, run, epochs=4)
    network, result = train_network(small_dataset, Run.resume(folder), epochs=4)
    assert_same(get_values(network), get_values(whole))
    assert vars(result) == vars(whole_result)
    logs = [read_log(str(tmp_path / name / "log.csv")) for name in ("run", "whole")]
    assert drop_seconds(logs[0]) == drop_seconds(logs[1])
    models_ = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("run", "whole")]
    assert models_[0] == models_[1]


def test_a_finished_run_is_only_reported(kept_run, small_dataset):
    folder, network, result = kept_run
    again, again_result = train_network(small_dataset, Run.resume(folder))
    assert_same(get_values(again), get_values(network))
    assert vars(again_result) == dict(vars(result), cost=again_result.cost)


def test_a_finished_run_goes_on_to_more_epochs(kept_run, small_dataset):
    again, _ = train_network(small_dataset, Run.resume(kept_run[0]), epochs=5)
    whole, _ = train_network(small_dataset, epochs=5)
    assert_same(get_values(again), get_values(whole))


def test_patience_that_ran_out_stays_so(tmp_path, small_dataset):
    from lenet.logistic_sgd import sgd_optimization_mnist as train

    options = dict(dataset=small_dataset, batch_size=50, n_epochs=3)
    folder = str(tmp_path / "run")
    train(observers=[Run.create(folder, {})], **options)
    path = os.path.join(folder, "last.safetensors")
    arrays, metadata = parameters.read(path)
    state = json.loads(metadata["state"])
    state["result"]["patience"] = state["result"]["iteration"]
    parameters.write(path, arrays, dict(metadata, state=json.dumps(state)))
    _, result = train(observers=[Run.resume(folder)], **dict(options, n_epochs=9))
    assert (result.stopped, result.iteration) == ("patience", 14)


# --- killed ----------------------------------------------------------------------------------

KILLED = """
import math, os, sys
from lenet.runs import run as runs
from test_run import train_network


class Told(runs.Run):
    def save(self, result):
        super().save(result)
        print("saved", flush=True)


runs.LARGEST_SHARE = math.inf  # save after every minibatch: most kills hit a file being written
folder, dataset = sys.argv[1:]
begun = os.path.exists(folder + "/last.safetensors")
train_network(dataset, Told.resume(folder) if begun else Told.create(folder, {}), epochs=40)
"""


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.campaign)])
def test_killed_at_any_instant(times, small_sets, tmp_path, rng):
    dataset = write_dataset(tmp_path / "set.pkl.gz", small_sets)
    network, result = train_network(dataset, Run.create(str(tmp_path / "whole"), {}), epochs=40)
    folder = tmp_path / "run"
    tests = os.path.dirname(os.path.abspath(__file__))
    paths = os.pathsep.join([tests, os.path.dirname(tests)])
    reached = []
    for _ in range(times):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder), dataset], stdout=subprocess.PIPE, text=True,
            env=environment(PYTHONPATH=paths), stderr=subprocess.DEVNULL)
        # Each time after 1 to 30 more of the 1000 minibatches of the whole training.
        saved = itertools.islice((line for line in process.stdout if line == "saved\n"),
                                 rng.randint(1, 31))
        assert list(saved), "the training ended before it was killed"
        time.sleep(rng.uniform(0, 0.01))  # in the middle of what comes next
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
        _, metadata = parameters.read(str(folder / "last.safetensors"))
        reached.append(json.loads(metadata["state"])["result"]["iteration"])
    assert reached == sorted(set(reached))  # each went on where the one before was killed
    again, again_result = train_network(dataset, Run.resume(str(folder)), epochs=40)
    assert_same(get_values(again), get_values(network))
    assert vars(again_result) == vars(result)
    logs = [read_log(str(tmp_path / name / "log.csv")) for name in ("run", "whole")]
    assert drop_seconds(logs[0]) == drop_seconds(logs[1])
    assert sorted(os.listdir(str(folder))) == sorted(os.listdir(str(tmp_path / "whole")))


# --- refused ---------------------------------------------------------------------------------


def test_a_cell_that_failed_before_its_training_runs_again(tmp_path, notebook):
    failed = Run.create(str(tmp_path / "run"), {})
    again = Run.create(str(tmp_path / "run"), {})
    assert failed.lock.closed and not again.lock.closed
    again.close()


def test_two_processes_on_one_run(kept_run):
    folder = kept_run[0]
    first = Run.resume(folder)
    with pytest.raises(DataError, match="%s: in use by process %d" % (folder, os.getpid())):
        Run.resume(folder)
    first.lock.close()
    Run.resume(folder).lock.close()


def test_folders_that_hold_something(kept_run, tmp_path):
    with pytest.raises(UsageError, match="holds a run already; go on with --resume"):
        Run.create(kept_run[0], {})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match="holds thesis.tex; expected a new or an empty folder"):
        Run.create(str(tmp_path / "full"), {})
    assert os.listdir(str(tmp_path / "full")) == ["thesis.tex"]


def test_folders_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in ("file", "file/run"):
        with pytest.raises(DataError, match="cannot be made"):
            Run.create(str(tmp_path / folder), {})


def test_a_disk_that_is_full_leaves_the_old_files(kept_run, small_dataset):
    folder = kept_run[0]
    before = {name: open(os.path.join(folder, name), "rb").read() for name in os.listdir(folder)}
    run = Run.resume(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file may grow beyond this: the log fits, the parameters do not.
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(DataError, match="safetensors: cannot be written .File too large"):
            train_network(small_dataset, run, epochs=6)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    after = {name: open(os.path.join(folder, name), "rb").read() for name in os.listdir(folder)}
    assert set(after) == set(before)
    for name in ("model.safetensors", "last.safetensors", "curves.png"):
        assert after[name] == before[name]
    run.lock.close()
    train_network(small_dataset, Run.resume(folder), epochs=6)


def test_folders_without_a_run(tmp_path):
    for folder in ("none", ""):
        with pytest.raises(DataError, match="holds no run"):
            Run.resume(str(tmp_path / folder))


def test_a_run_of_another_network(kept_run, small_dataset):
    other = Network([FullyConnectedLayer(784, 13), SoftmaxLayer(13, 10)], 10)
    with pytest.raises(DataError, match='a run of the network .*"n_out": 12.*; expected'):
        train_network(small_dataset, Run.resume(kept_run[0]), network=other)


def test_another_dataset_of_the_same_size(kept_run, small_sets, tmp_path):
    for change in ("labels", "images", "order"):
        sets = [[x.copy(), y.copy()] for x, y in small_sets]
        if change == "labels":
            sets[2][1][:2] = (sets[2][1][:2] + 1) % 10
        elif change == "images":
            sets[1][0][7, 300] += 0.5
        else:
            sets[0] = [part[::-1] for part in sets[0]]
        run = Run.resume(kept_run[0])
        with pytest.raises(DataError, match="begun with other examples.*--dataset"):
            train_network(write_dataset(tmp_path / "other.pkl.gz", sets), run)
        run.lock.close()
    train_network(write_dataset(tmp_path / "same.pkl.gz", small_sets), Run.resume(kept_run[0]))


@pytest.mark.parametrize("content", [None, b"", b"\x08"])
def test_the_best_parameters_are_lost(kept_run, content):
    path = os.path.join(kept_run[0], "model.safetensors")
    os.unlink(path)
    if content is not None:
        with open(path, "wb") as file:
            file.write(content)
    with pytest.raises(DataError, match="the best parameters of the run are lost.*bring"):
        Run.resume(kept_run[0])


@pytest.mark.parametrize("damage", [
    lambda state: state.pop("result"), lambda state: state["result"].pop("patience"),
    lambda state: state["result"].update(patience="none"), lambda state: state.update(n_rows="x"),
    lambda state: state.update(settings=3), lambda state: state.update(n_costs=-25),
    lambda state: state["result"].update(iteration=1.5),
    lambda state: state["result"].update(iteration=None),
    lambda state: state["result"].update(best_validation_error=math.nan),
    lambda state: state["result"].update(best_validation_error=None),
])
def test_a_damaged_state(kept_run, damage):
    path = os.path.join(kept_run[0], "last.safetensors")
    arrays, metadata = parameters.read(path)
    state = json.loads(metadata["state"])
    damage(state)
    parameters.write(path, arrays, dict(metadata, state=json.dumps(state)))
    with pytest.raises(DataError, match="no state of a run"):
        Run.resume(kept_run[0])


def test_a_log_that_lost_rows(kept_run):
    path = os.path.join(kept_run[0], "log.csv")
    with open(path) as file:
        lines = file.readlines()
    for text, match in (("".join(lines[:-1]), "2 rows in log.csv, but 3"),
                        ("".join(lines[1:]), "no log of a run"),
                        ("".join(lines).replace("75", "x"), "no log of a run"),
                        ("".join(lines)[:-12], "no log of a run .a row has no"),
                        ("".join(lines[:-1]) + ",,,,,\n", "a row has no iteration")):
        with open(path, "w") as file:
            file.write(text)
        with pytest.raises(DataError, match=match):
            Run.resume(kept_run[0])
