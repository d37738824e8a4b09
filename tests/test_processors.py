"""lenet.processors: the affinity mask, the control group, the user's wish."""

import os

import pytest
from conftest import run_python

from lenet import processors


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is Linux's")
def test_threads_follow_the_affinity_mask():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import lenet, theano; print(os.environ['OMP_NUM_THREADS'], theano.config.openmp)"
    )
    assert run_python("-c", code).stdout == "1 False\n"


@pytest.fixture
def threads(monkeypatch):
    """A function that gives the environment other variables; it returns what is set of OpenMP's."""
    for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OPENBLAS_THREAD_TIMEOUT"):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)

    def limit(**changes):
        for name, value in changes.items():
            monkeypatch.setenv(name, value)
        processors.limit_threads()
        return os.environ["OMP_NUM_THREADS"]

    return limit


def test_threads_follow_the_users_wish(threads):
    assert threads(OMP_NUM_THREADS="7") == "7"


@pytest.mark.parametrize("size", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE"])
def test_a_rank_uses_one_thread_unless_the_user_wishes_more(size, threads):
    assert threads(**{size: "2"}) == "1"
    assert threads(**{size: "2", "OMP_NUM_THREADS": "3"}) == "3"


def test_control_group_version_2_the_tightest_limit_holds(tmp_path):
    (tmp_path / "membership").write_text("0::/a/b\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "a" / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "a" / "b" / "cpu.max").write_text("400000 100000\n")
    assert processors.control_group_quota(tmp_path, tmp_path / "membership") == 1.5


def test_control_group_version_1(tmp_path):
    (tmp_path / "membership").write_text("4:memory:/x\n3:cpu,cpuacct:/x\n")
    (tmp_path / "cpu" / "x").mkdir(parents=True)
    (tmp_path / "cpu" / "x" / "cpu.cfs_quota_us").write_text("300000\n")
    (tmp_path / "cpu" / "x" / "cpu.cfs_period_us").write_text("100000\n")
    assert processors.control_group_quota(tmp_path, tmp_path / "membership") == 3.0


@pytest.mark.parametrize("content", ["", "0::/\n", "nonsense\n"])
def test_no_control_group_limit(tmp_path, content):
    (tmp_path / "membership").write_text(content)
    assert processors.control_group_quota(tmp_path, tmp_path / "membership") is None


def test_processors_are_cut_by_the_quota(monkeypatch):
    monkeypatch.setattr(processors, "control_group_quota", lambda: 0.5)
    assert processors.usable_processors() == 1
