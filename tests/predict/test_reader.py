"""lenet.predict.reader: images in order, and processes that end when they should."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import Future

import numpy
import pytest
from conftest import environment
from PIL import Image

from lenet.data.pictures import read_picture
from lenet.errors import DataError
from lenet.predict import reader as reading
from lenet.predict.reader import Reader

OF_DIGITS = Reader((1, 28, 28), "digit")


def test_a_photograph_is_read_as_it_was_for_the_training(rng, tmp_path):
    path = str(tmp_path / "large.jpg")
    coarse = rng.randint(0, 256, (40, 50, 3)).astype("uint8")
    Image.fromarray(coarse).resize((500, 400), Image.BICUBIC).save(path, quality=90)
    shape = (3, 32, 32)
    numpy.testing.assert_array_equal(Reader(shape, "resize").read(path), read_picture(path, shape))


def test_threads_that_read_leave_the_warnings_as_they_were(monkeypatch):
    """The first thread leaves while the second is at work."""
    entered, let_go, filters = [], threading.Event(), warnings.filters[:]

    def wait(self, path):
        entered.append(path)
        if path == "second":
            let_go.wait(0.5)  # until the first has left, if it was there together with this one
        return numpy.zeros((1, 28, 28), "uint8")

    monkeypatch.setattr(Reader, "read", wait)
    second = threading.Thread(target=OF_DIGITS.read_all, args=(["second"],))

    def paths():
        second.start()
        while second.is_alive() and "second" not in entered and len(entered) < 50:
            yield f"first {len(entered)}"
            time.sleep(0.01)

    OF_DIGITS.read_all(paths())
    let_go.set()
    second.join()
    assert warnings.filters == filters


def test_batches_are_read_no_further_than_needed(digit_files, monkeypatch):
    monkeypatch.setattr(reading, "BATCH", 10)
    taken = []

    def paths():
        for path in digit_files[1]:
            taken.append(path)
            yield path

    for n_processes in (0, 2):
        taken.clear()
        found = OF_DIGITS.read_ahead(paths(), n_processes)
        next(found)
        assert len(taken) <= 10 * (n_processes + 2)
        found.close()


def test_no_batch_is_cancelled(digit_files, monkeypatch):
    """In Python 3.8 and 3.9, a pool that has only cancelled tasks left waits forever."""
    monkeypatch.setattr(reading, "BATCH", 10)
    cancelled = []
    monkeypatch.setattr(Future, "cancel", lambda future: cancelled.append(future))
    found = OF_DIGITS.read_ahead(digit_files[1], 2)
    next(found)
    found.close()
    assert not cancelled


def test_a_process_that_dies(digit_files, monkeypatch):
    monkeypatch.setattr(Reader, "read", lambda self, path: os._exit(9))
    with pytest.raises(DataError, match=r"000.png to .*(127|255|299).png has ended"):
        list(OF_DIGITS.read_ahead(digit_files[1], 2))


def test_whoever_stops_asking_does_not_wait_for_the_batches_begun(digit_files, monkeypatch):
    monkeypatch.setattr(reading, "BATCH", 10)
    n_read = multiprocessing.get_context("fork").Value("i", 0)
    read = Reader.read

    def counted(self, path):
        """Read an image; one of the second batch or a later one only when no more are wanted."""
        if path not in digit_files[1][:10]:
            for _ in range(20000):
                if reading.stopped.value:
                    break
                time.sleep(0.001)
            with n_read.get_lock():
                n_read.value += 1
        return read(self, path)

    monkeypatch.setattr(Reader, "read", counted)
    found = OF_DIGITS.read_ahead(digit_files[1], 2)
    assert next(found)[0] == digit_files[1][:10]
    found.close()
    assert n_read.value <= 2  # the image that each process was at
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("kill", ["os.kill(os.getpid(), 9)", "os.killpg(0, 2)"])
def test_readers_end_with_the_process_that_asks(digit_files, kill):
    """Killed with SIGKILL it cannot end them; Ctrl-C is sent to all of them."""
    code = ("import os, signal, sys\n"
            "from lenet.predict.reader import Reader\n"
            # A shell starts what runs in the background with Ctrl-C ignored.
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "found = Reader((1, 28, 28), 'digit').read_ahead(sys.argv[1:] * 3, 2)\n"
            "next(found)\n"
            "print('reading', flush=True)\n" + kill)
    process = subprocess.run([sys.executable, "-c", code, *digit_files[1]], text=True, timeout=300,
                             env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             start_new_session=True)
    # The pipe is at its end only when all who could write to it are gone.
    assert process.stdout == "reading\n" and process.returncode in (-9, -2)
