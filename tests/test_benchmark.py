"""scripts/benchmark.py: that it measures; what it measures is for a person to judge."""

import json

from conftest import assert_refused, run_script


def test_figures_and_json(tmp_path):
    output = tmp_path / "figures.json"
    process = run_script(
        "benchmark.py", "--no-cold", "--nkerns", 2, 3, "--batch-size", 50, "--json", output
    )
    assert process.returncode == 0, process.stderr
    figures = json.loads(output.read_text())
    assert figures["batch_size"] == 50 and figures["nkerns"] == [2, 3]
    for name in ("warm_start_s", "train_ms", "evaluate_ms", "peak_mb"):
        assert figures[name] > 0
    assert "cold_start_s" not in figures
    assert "training, a minibatch" in process.stdout
    assert "%.1f ms" % figures["train_ms"] in process.stdout


def test_a_file_that_cannot_be_written(tmp_path):
    process = run_script("benchmark.py", "--json", tmp_path / "none" / "figures.json")
    assert_refused(process, 1, "figures.json: cannot be written")


def test_wrong_usage():
    assert_refused(run_script("benchmark.py", "--batch-size", "many"), 2, "--batch-size", "many")
    assert_refused(run_script("benchmark.py", "--batch-size", "0"), 2, "batch size 0")
    assert_refused(run_script("benchmark.py", "--nkerns", "0", "1"), 2, "nkerns 0 1")
