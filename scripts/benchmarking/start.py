"""How soon LeNet-5 starts to train, how fast it runs, how much memory it needs.

Every figure comes from a process of its own, so that nothing that was measured before warms
the next one up.
"""
import contextlib
import os
import platform
import statistics
import tempfile
import time

import theano

from benchmarking.worker import Process, say
from lenet.gpu.start import find_cuda, find_device, find_driver
from lenet.installed import format_version

LINES = {
    "machine": "{machine}, minibatches of {batch_size}, nkerns {nkerns[0]} {nkerns[1]}",
    "cold_start_s": "cold start to the first minibatch    {cold_start_s:8.1f} s",
    "warm_start_s": "warm start to the first minibatch    {warm_start_s:8.1f} s",
    "train_ms": "training, per minibatch              {train_ms:8.1f} ms",
    "evaluate_ms": "evaluation, per minibatch            {evaluate_ms:8.1f} ms",
    "peak_mb": "peak memory of the training          {peak_mb:8.1f} MiB",
}


def run(batch_size, nkerns, cold):
    """{name: figure}, as in ``LINES``; without ``cold`` in the user's own folder of graphs.

    A start lasts from the command to the end of a process that trains on one minibatch, the cold
    one in an empty folder of compiled graphs, the warm one in the same. Training and evaluation
    are medians of 30 minibatches. Memory is counted in units of 2 ** 20 bytes.
    """
    result = {"machine": f"{machine_name()}, {os.environ.get('OMP_NUM_THREADS')} threads",
              "batch_size": batch_size, "nkerns": nkerns}
    peer = f"Peer({batch_size}, {nkerns})"
    say("measuring: cold start, about half a minute, and warm start" if cold
        else "measuring: warm start")
    with tempfile.TemporaryDirectory() as folder:
        flags = os.environ.get("THEANO_FLAGS", "") + (f",base_compiledir={folder}" if cold else "")
        for name in ("cold_start_s", "warm_start_s"):
            begin = time.perf_counter()
            with Process("start", "lenet_peer", THEANO_FLAGS=flags) as process:
                process.ask(f"take_steps({peer}, 1)")
            result[name] = time.perf_counter() - begin
    if not cold:
        del result["cold_start_s"]
    say("measuring: training and evaluation")
    with Process("training", "lenet_peer") as process:
        process.ask(f"take_steps(peer := {peer}, 5)")
        for step in ("train", "evaluate"):
            times = process.ask(f"time_step(peer.{step}, seconds=0, least=30)")
            result[step + "_ms"] = statistics.median(times)
        result["peak_mb"] = process.ask("peak_mb()")
    return result


def machine_name():
    """What Theano computes on: the processor, or the GPU with its driver's CUDA and its own."""
    device = theano.config.device
    if device == "cpu":
        with contextlib.suppress(OSError, StopIteration), open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
        return platform.machine()
    driver = find_driver()
    gpu = find_device(driver, device)
    cuda = find_cuda(driver, gpu)
    return (f"{gpu.name}, compute capability {format_version(gpu.capability)}, "
            f"driver for CUDA {format_version(driver.version)}, "
            f"NVRTC of CUDA {format_version(cuda.nvrtc.version)}")
