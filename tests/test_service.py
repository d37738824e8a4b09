"""docs/service.md: its programs run as they stand there, with the model file alone."""

import concurrent.futures
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import numpy
import pytest
import theano.tensor as T
from conftest import REPOSITORY, environment, run_python

from lenet import networks
from lenet.convolutional_mlp import LeNet5
from lenet.predict import Predictor


@pytest.fixture(scope="module")
def programs():
    with open(os.path.join(REPOSITORY, "docs", "service.md"), encoding="utf-8") as file:
        return re.findall(r"^```python\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def model(tmp_path):
    """The path of a model file that has a folder to itself."""
    network = LeNet5(numpy.random.RandomState(0), T.matrix("x"), nkerns=(2, 3), n_hidden=10)
    path = str(tmp_path / "written.safetensors")
    networks.save_model(path, network, [str(i) for i in range(10)], (1, 28, 28), "digit")
    (tmp_path / "elsewhere").mkdir()
    return shutil.move(path, str(tmp_path / "elsewhere" / "model.safetensors"))


def post(address, content):
    """The status and the JSON of an answer."""
    try:
        with urllib.request.urlopen(address, content, timeout=100) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_server_answers_several_clients(programs, model, digit_files, tmp_path):
    (tmp_path / "server.py").write_text(programs[0])
    images, paths = digit_files
    contents = [open(path, "rb").read() for path in paths[:100]]
    expected = Predictor(model).probabilities(images[:100])
    process = subprocess.Popen([sys.executable, str(tmp_path / "server.py"), model, "0"],
                               env=environment(), stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        with concurrent.futures.ThreadPoolExecutor(4) as clients:
            answers = list(clients.map(lambda content: post(address, content), contents))
        assert post(address, b"no image") == (400, {
            "error": "the image: no image that Pillow can read; expected JPEG, PNG or the like"})
        client = http.client.HTTPConnection(address.split("/")[2], timeout=100)
        client.putrequest("POST", "/")
        client.putheader("Content-Length", "10000001")  # it refuses before it reads
        client.endheaders()
        assert client.getresponse().status == 413
    finally:
        process.kill()
        process.wait()
    for (status, answer), p in zip(answers, expected):
        assert status == 200 and answer["class"] == str(p.argmax())
        assert answer["probability"] == pytest.approx(p.max(), abs=1e-5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_pool_of_processes(programs, model, mnist_arrays, tmp_path):
    (tmp_path / "classify_all.py").write_text(programs[1])
    images = (256 * mnist_arrays[2][0][:2500]).astype("uint8")
    numpy.save(tmp_path / "images.npy", images)
    process = run_python(tmp_path / "classify_all.py", model, tmp_path / "images.npy")
    counts = numpy.bincount(Predictor(model).probabilities(images).argmax(axis=1), minlength=10)
    assert process.stdout == f"{counts}\n", process.stderr
