"""scripts/benchmark.py: that it measures; what it measures is for a person to judge."""

import functools
import json
import os
import platform
import subprocess
import sys
import types

import numpy
import pytest
from conftest import REPOSITORY, assert_refused, run_script

sys.path.insert(0, os.path.join(REPOSITORY, "scripts"))

from benchmarking import minibatches, peers, scaling

from lenet.errors import TrainingError, UsageError
from lenet.theano_start.compiler import compiler_flags

TORCH_PYTHON = os.environ.get("TORCH_PYTHON", sys.executable)


def has_torch():
    return subprocess.run([TORCH_PYTHON, "-c", "import torch"], capture_output=True).returncode == 0


def test_figures_and_json(tmp_path):
    output = tmp_path / "figures.json"
    process = run_script(
        "benchmark.py", "--no-cold", "--nkerns", 2, 3, "--batch-size", 50, "--json", output,
        OMP_NUM_THREADS="1",  # as the peers below, which need the same modules
    )
    assert process.returncode == 0, process.stderr
    figures = json.loads(output.read_text())
    assert figures["batch_size"] == 50 and figures["nkerns"] == [2, 3]
    for name in ("warm_start_s", "train_ms", "evaluate_ms", "peak_mb"):
        assert figures[name] > 0
    assert "cold_start_s" not in figures
    assert f"training, per minibatch              {figures['train_ms']:8.1f} ms" in process.stdout
    assert process.stderr.splitlines() == ["measuring: warm start",
                                           "measuring: training and evaluation"]


@pytest.fixture
def run_peers(script, tmp_path, monkeypatch):
    """A function that measures these peers, with as few steps as there can be."""
    monkeypatch.setattr(peers, "SECONDS_PER_TURN", 0)
    return functools.partial(measure_peers, script, tmp_path)


def measure_peers(script, folder, *names):
    arguments = [part for name in names for part in ("--peer", name)]
    process = script(
        "benchmark.py", "--peers", "--minibatches", 50, "--threads", 1, "--nkerns", 2, 3,
        "--rounds", 1, "--torch-python", TORCH_PYTHON, "--json", folder / "peers.json",
        "--output", folder / "peers.png", *arguments
    )
    assert process.returncode == 0, process.stderr
    assert (folder / "peers.png").read_bytes().startswith(b"\x89PNG")
    return process, json.loads((folder / "peers.json").read_text())


def test_peers_in_turn(run_peers):
    process, found = run_peers("lenet", "theano")
    assert [(row["name"], row["step"]) for row in found["rows"]] == [
        ("lenet", "train"), ("theano", "train"), ("lenet", "evaluate"), ("theano", "evaluate")]
    for row in found["rows"]:
        assert (row["minibatch"], row["nkerns"], row["threads"]) == (50, [2, 3], 1)
        assert row["ms"] > 0 and row["sgemm_share"] > 0
        assert f"{row['ms']:.2f} ms" in process.stdout
    assert f"{found['machine']['sgemm_gflops']['1']:.0f} GFLOP/s" in process.stdout


@pytest.mark.skipif(platform.machine() != "x86_64", reason="AVX2 is x86-64's")
def test_theano_is_held_to_an_instruction_set():
    with peers.start_process("lenet", 1, TORCH_PYTHON, "avx2") as process:
        flags = process.ask("theano.config.gcc.cxxflags").split()
        assert "-march=haswell" in flags and "-march=native" not in flags
        assert set(flags) - {"-march=haswell"} == set(compiler_flags()) - {"-march=native"}
        assert process.ask("os.environ['OPENBLAS_CORETYPE']") == "Haswell"


needs_torch = pytest.mark.skipif(not has_torch(),
                                 reason="no PyTorch in this Python nor in TORCH_PYTHON's")


@needs_torch
def test_pytorch_is_held_to_an_instruction_set():
    with peers.start_process("torch-nchw", 1, TORCH_PYTHON, "avx2") as process:
        assert process.ask("torch.backends.cpu.get_cpu_capability()") in ("AVX2", "DEFAULT")


@needs_torch
def test_pytorch_trains_the_same_network(run_peers):
    """``peers.run`` itself stops unless parameters and costs agree."""
    process, found = run_peers("lenet", "torch-nchw", "torch-channels_last")
    assert len(found["rows"]) == 6 and "torch" in found["machine"]
    assert process.stdout.count("PyTorch's best") == 2


@needs_torch
@pytest.mark.parametrize("network", ["network3", "mlp", "lenet5_1998"])
def test_pytorch_trains_the_other_networks(network):
    """Parameters and costs agree here, too, and there are rows without filters to count."""
    found = peers.run(["lenet", "torch-nchw"], [20], [[20, 50]], None, 1, TORCH_PYTHON,
                      network=network)
    assert found["network"] == network
    assert [(row["name"], row["step"], row["threads"]) for row in found["rows"]] == [
        (name, step, 1) for step in ("train", "evaluate") for name in ("lenet", "torch-nchw")]
    assert peers.format_table(found["rows"])[0] == "train, minibatches of 20, 1 thread"
    assert all("gflop" not in row and len(row["ratio"]) == 3 for row in found["rows"])


def test_a_peer_that_is_not_installed_is_left_out_by_name(capsys):
    names = ["lenet", "theano", "torch-nchw", "torch-compile-nchw"]
    assert peers.find_installed(names[:2], "no-such-python") == ["lenet", "theano"]
    assert capsys.readouterr().err == ""
    assert peers.find_installed(names, "no-such-python") == ["lenet", "theano"]
    assert capsys.readouterr().err.startswith(
        "left out: torch-nchw, torch-compile-nchw; no-such-python has no torch for cpu;")
    with pytest.raises(UsageError, match="nothing is left to measure"):
        peers.find_installed(names[2:], "no-such-python")


def test_the_device_that_pytorch_is_given(monkeypatch):
    for device, name in (("cpu", "cpu"), ("cuda", "cuda"), ("cuda12", "cuda:12")):
        monkeypatch.setattr(peers.theano, "config", types.SimpleNamespace(device=device))
        assert peers.torch_device() == name


@pytest.mark.parametrize("answer, problem", [
    ({"parameters": 6, "costs": [2.3, 2, 1.9, 1.8, 1.7]}, "theano has 6 parameters, lenet has 5"),
    ({"parameters": 5, "costs": [2.3, 2.1, 2, 1.9, 1.8]}, "theano has costs"),
    ({"parameters": 5, "costs": [2.3, 2.4, 2.5, 2.6, 2.7]}, "theano does not learn")])
def test_another_network_is_found_out(answer, problem):
    good = {"parameters": 5, "costs": [2.3, 2, 1.9, 1.8, 1.7]}
    peers.check_answers({"lenet": good, "theano": dict(good)})
    with pytest.raises(TrainingError, match=problem):
        peers.check_answers({"lenet": good, "theano": answer})


def test_a_peer_that_fails_is_named(capfd):
    with pytest.raises(TrainingError, match="theano ended"):
        with peers.start_process("theano", 1, TORCH_PYTHON) as process:
            process.ask("take_steps(Peer(0, [2, 3]), 1)")
    assert "batch size 0" in capfd.readouterr().err


def test_a_peer_that_is_killed_is_named():
    with pytest.raises(TrainingError, match="theano ended"):
        with peers.start_process("theano", 1, TORCH_PYTHON) as process:
            process.kill()
            process.wait()
            process.ask("1 + 1")


def test_floating_point_operations():
    """Multiplications and additions of the tutorial's network, layer by layer by hand."""
    # 20 maps of 24 x 24 from 5 x 5 pixels; 50 of 8 x 8 from 20 times 5 x 5; 800 x 500; 500 x 10
    layers = numpy.array([20 * 576 * 25, 50 * 64 * 500, 800 * 500, 500 * 10]) * 2
    assert peers.count_flop("evaluate", 7, (20, 50)) == 7 * layers.sum()
    assert peers.count_flop("train", 7, (20, 50)) == 7 * (3 * layers.sum() - layers[0])


def test_ratios_are_taken_round_by_round():
    times = {("lenet", "train"): [[1, 2, 3], [4, 4]], ("torch-nchw", "train"): [[4, 4], [5, 16, 6]],
             ("torch-compile-nchw", "train"): [[9], [9]], ("lenet", "sgemm"): [[1], [1]]}
    rows = peers.make_rows(times, 2, (20, 50), 10)
    assert [row["name"] for row in rows] == ["lenet", "torch-nchw", "torch-compile-nchw"]
    assert rows[1]["ms"] == 5
    numpy.testing.assert_allclose(rows[1]["ratio"], [(2 / 4 + 4 / 6) / 2, 2 / 4, 4 / 6])
    share = peers.count_flop("train", 10, (20, 50)) / peers.SGEMM_FLOP
    numpy.testing.assert_allclose(rows[0]["sgemm_share"], (share / 2 + share / 4) / 2)
    lines = peers.format_table(rows)
    assert lines[0] == "train, minibatches of 10, nkerns 20 50, 2 threads"
    assert [line.endswith("<- PyTorch's best") for line in lines] == [False, False, True, False]


def test_small_minibatches():
    rows = minibatches.run(rounds=1, sizes=(5, 50), seconds=0)
    assert [row["minibatch"] for row in rows] == [5, 50]
    assert rows[1]["ratio"] == [1, 1, 1]
    for row in rows:
        assert row["us_an_example"] == pytest.approx(1000 * row["ms"] / row["minibatch"])
    assert len(minibatches.format_table(rows)) == 3


def test_a_file_that_cannot_be_written(script, tmp_path):
    process = script("benchmark.py", "--json", tmp_path / "none" / "figures.json")
    assert_refused(process, 1, "figures.json: cannot be written")
    process = script("benchmark.py", "--peers", "--output", tmp_path / "none" / "bars.png")
    assert_refused(process, 1, "bars.png: its folder is missing or cannot be written to")


def test_wrong_usage(script):
    for words in (("--batch-size", "many"), ("--output", "x.png"), ("--peers", "--network3")):
        assert_refused(script("benchmark.py", *words), 2, words[0])
    for words, said in ((("--batch-size", "0"), "batch-size: 0; expected"),
                        (("--batch-size", "10001"), "a whole number from 1 to 10000"),
                        (("--nkerns", "0", "1"), "nkerns"),
                        (("--peers", "--peer", "jax"), "peer: invalid choice: 'jax'"),
                        (("--peers", "--minibatches", "0"), "minibatches: 0; expected"),
                        (("--peers", "--isa", "avx3"), "isa: invalid choice: 'avx3'"),
                        (("--peers", "--output", "x.gif3"), "output x.gif3"),
                        (("--network3", "--rounds", "0"), "rounds: 0; expected")):
        assert_refused(script("benchmark.py", *words), 2, said)


def test_the_model_of_scaling():
    a, b, u, G = 2e-3, 1e-4, 3e-3, 1e-10  # seconds
    steps = {f"{n}/{k}": [1e3 * (k * a + n * b + u), 0.0]
             for n, k in ((16, 2), (250, 2), (500, 4), (1000, 2))}
    steps["500/1"] = [1.0, 0.0]  # today's function, another model
    model = dict(scaling.fit(steps), G=G)
    assert [model[name] for name in "abu"] == pytest.approx([a, b, u])
    # 431,080 parameters, cost and wish to stop: 13.8 ms on 1 Gbit/s.
    assert scaling.message_seconds(1, 1, model) == 0
    assert scaling.message_seconds(2, 1, model, latency=1) == pytest.approx(
        1 + 431082 * 4 * 8 / 1e9 + 431082 * G)
    # Three messages of a quarter each way; three quarters of a message are added.
    assert scaling.message_seconds(4, 10, model, latency=1) == pytest.approx(
        6 + 1.5 * 431082 * 4 * 8 / 1e10 + 0.75 * 431082 * G)
    rows = list(scaling.predict_steps("weak", model))
    assert [row["ranks"] for row in rows] == [2 ** k for k in range(11)]
    assert [row["step_ms"][1] for row in rows[:2]] == pytest.approx(
        [1e3 * (a + 125 * b + u),
         1e3 * (a + 125 * b + u + scaling.message_seconds(2, 1, model))])
    assert scaling.speedup(rows, rows[1], 1) == pytest.approx(
        2 * rows[0]["step_ms"][1] / rows[1]["step_ms"][1])


def test_steps_in_shards_are_measured():
    (ms, in_the_sum), = scaling.measure_ranks(1, ["20/2"])["steps"].values()
    assert ms > 0 and in_the_sum == 0
