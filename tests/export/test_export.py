"""lenet.export and scripts/export.py: what other frameworks compute is what the Predictor does."""

import ast
import functools
import importlib.util
import json
import os
import re
import shutil

import numpy
import pytest
import safetensors.numpy
from conftest import REPOSITORY, assert_refused
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from lenet import networks
from lenet.data.pixels import BYTES, Pixels
from lenet.errors import DataError, UsageError
from lenet.export import steps, torch_files
from lenet.predict import Predictor
from lenet.reports.summary import build_by_name

SMALL = {"nkerns": (2, 3), "n_hidden": 6}
NETWORKS = {
    "logistic": ("LogisticRegression", (3, 9, 7), {}, Pixels([0.1, 0.2, 0.3], [0.5, 0.25, 2.0])),
    "mlp": ("MLP", (1, 6, 6), {"n_hidden": 5, "activation": "softplus"},
            Pixels((numpy.arange(36) / 36).tolist(), 0.5)),
    "range": ("MLP", (1, 6, 6), {"n_hidden": 5}, Pixels(range=(-1.5, 2.0))),
    "lenet5": ("LeNet5", (1, 28, 28), SMALL, BYTES),
    "sizes": ("LeNet5", (3, 26, 20), {
        **SMALL, "filter_size": ((7, 5), (3, 2)), "poolsize": ((1, 2), (2, 3)), "pooling": "mean",
        "activation": "sigmoid"}, BYTES),
    "network3": ("Network", (1, 28, 28), {"conv_layers": 2, "p_dropout": 0.5}, BYTES),
    "paper": ("LeNet5_1998", (1, 28, 27), {}, BYTES),
    "simplified": ("LeNet5_1998", (1, 28, 28), {"pooling": "max", "head": "softmax"}, BYTES),
    **{pooling: ("LeNet5", (1, 21, 22), {**SMALL, "pooling": pooling, "activation": activation},
                 BYTES) for pooling, activation in [
        ("overlapping", "tanh"), ("l2", "softplus"), ("stochastic", "relu"), ("contrast", "tanh"),
        ("deformation", "relu")]},
}
N_IMAGES = 7


@pytest.fixture(scope="module")
def predict(tmp_path_factory):
    """A function that gives the Predictor of a network with random parameters, and its file."""
    @functools.lru_cache(None)
    def build(name):
        kind, image_shape, arguments, pixels = NETWORKS[name]
        rng = numpy.random.RandomState(2026)
        model = build_by_name(kind, image_shape, **arguments)
        for param in networks.named_params(model).values():
            value = param.get_value()
            noise = rng.normal(0, 0.2, value.shape) * (value != 0 if value.ndim == 4 else 1)
            param.set_value((value + noise).astype(value.dtype))
        path = str(tmp_path_factory.mktemp(name) / "model.safetensors")
        names = [f'{n} "{{x}}"' for n in range(10)]
        networks.save_model(path, model, names, image_shape, "resize", pixels)
        return Predictor(path), path
    return build


def draw_images(predictor, rng):
    images = rng.randint(0, 256, (N_IMAGES,) + predictor.image_shape)
    images = (images * rng.rand(N_IMAGES, 1, 1, 1)).astype("uint8")  # of any brightness
    return images if steps.takes_bytes(predictor) else (images / 100 - 1).astype("float32")


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx(name, predict, rng, tmp_path):
    pytest.importorskip("onnx", reason="onnx is not installed: pip install '.[export]'")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from lenet.export import onnx_file

    predictor, _ = predict(name)
    path = str(tmp_path / "a.onnx")
    assert onnx_file.write(path, predictor) < 1e-5
    session = onnxruntime.InferenceSession(path)
    described = session.get_modelmeta().custom_metadata_map
    assert json.loads(described["classes"]) == predictor.class_names
    images = draw_images(predictor, rng)
    assert described["images"].startswith(f"{images.dtype}, ")
    expected = predictor.probabilities(images)
    assert numpy.ptp(expected, axis=0).max() > 1e-3  # not the same for all
    for n in (1, N_IMAGES):  # float32 rounds in the seventh digit
        [found] = session.run(["probabilities"], {"images": images[:n]})
        numpy.testing.assert_allclose(found, expected[:n], atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_torch(name, predict, rng, tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    predictor, _ = predict(name)
    source, state = torch_files.make_module(predictor, "a.safetensors")
    module = {}
    exec(source, module)
    network = module[NETWORKS[name][0]]()
    network.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    assert module["CLASSES"] == predictor.class_names
    images = draw_images(predictor, rng)
    with torch.no_grad():
        found = network(torch.from_numpy(images)).numpy()
    numpy.testing.assert_allclose(found, predictor.probabilities(images), atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_module_asks_for_what_is_in_the_file(name, predict):
    """Also where there is no PyTorch to tell."""
    source, state = torch_files.make_module(predict(name)[0], "a.safetensors")
    ast.parse(source)
    made = re.findall(r'(?:self\.|register_buffer\(")(\w+)(?: = nn|",)', source)
    assert sorted(made) == sorted({key.split(".")[0] for key in state})
    assert set(re.findall(r"self\.(\w+)", source)) - {"register_buffer"} == set(made)


def test_a_torch_file_in_numpy(predict, script, tmp_path):
    """PyTorch's layout of LeNet-5: correlations, weights of (outputs, inputs)."""
    predictor, path = predict("lenet5")
    process = script("export.py", path, tmp_path / "a.safetensors", "--to", "torch")
    assert process.stdout == f"written: {tmp_path}/a.safetensors {tmp_path}/a.py\n"
    state = safetensors.numpy.load_file(str(tmp_path / "a.safetensors"))
    images = draw_images(predictor, numpy.random.RandomState(0))
    x = images / 256
    for layer in ("layer0", "layer1"):
        W, b = state[layer + ".weight"], state[layer + ".bias"]
        windows = sliding_window_view(x, (5, 5), axis=(2, 3))
        x = numpy.einsum("nmrcij,fmij->nfrc", windows, W) + b[:, None, None]
        n, f, rows, columns = x.shape
        x = numpy.tanh(x.reshape(n, f, rows // 2, 2, columns // 2, 2).max(axis=(3, 5)))
    x = numpy.tanh(x.reshape(n, -1) @ state["layer2.weight"].T + state["layer2.bias"])
    x = numpy.exp(x @ state["layer3.weight"].T + state["layer3.bias"])
    numpy.testing.assert_allclose(x / x.sum(axis=1, keepdims=True),
                                  predictor.probabilities(images), atol=1e-5)


# --- the documentation ----------------------------------------------------------------------


def read_blocks(page):
    with open(os.path.join(REPOSITORY, "docs", page), encoding="utf-8") as file:
        return re.findall(r"^```python\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def seven(predict, script, mnist_arrays, tmp_path, monkeypatch):
    """A folder with what the programs of the pages read, and the class and probability."""
    predictor, path = predict("lenet5")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    os.makedirs("mnist_images/test/7")
    os.mkdir("run")
    shutil.copy(path, "run/model.safetensors")
    image = (mnist_arrays[2][0][0] * 256).astype("uint8").reshape(28, 28)
    Image.fromarray(image).save("mnist_images/test/7/00000.png")
    [probabilities] = predictor.probabilities(image[None])
    return f"{predictor.class_names[probabilities.argmax()]} {probabilities.max():.4f}"


@pytest.mark.parametrize("number, needed, arguments", [
    (0, "onnxruntime", ["lenet5.onnx"]), (1, "torch", ["lenet5.safetensors", "--to", "torch"])])
def test_the_programs_of_the_page(number, needed, arguments, seven, script, capsys):
    pytest.importorskip(needed, reason=f"{needed} is not installed")
    assert script("export.py", "run", *arguments).returncode == 0
    exec(read_blocks("export.md")[number], {})
    name, _, probability = capsys.readouterr().out.replace("tensor(", "").rpartition(" ")
    assert f"{name} {float(probability.strip(') ' + os.linesep)):.4f}" == seven


def test_the_program_in_numpy(predict, seven, rng):
    [block] = [block for block in read_blocks("runs.md") if "sliding_window_view" in block]
    program = {}
    exec(block, program)
    predictor, _ = predict("lenet5")
    images = draw_images(predictor, rng)
    numpy.testing.assert_allclose(program["probabilities"](images),
                                  predictor.probabilities(images), atol=1e-5)


# --- wrong use ------------------------------------------------------------------------------


def test_wrong_use(predict, script, tmp_path, monkeypatch):
    _, path = predict("lenet5")
    there = tmp_path / "there.py"
    there.write_text("mine")
    to_torch = ["--to", "torch"]
    for arguments, status, words in (
            ([tmp_path / "none", tmp_path / "a.safetensors", *to_torch], 1, ["none: not found"]),
            ([path, tmp_path / "no" / "a.safetensors", *to_torch], 1, ["cannot be written"]),
            ([path, tmp_path / "there.safetensors", *to_torch], 2, ["exists already", "rm "]),
            ([path, tmp_path / "a-b.safetensors", *to_torch], 2, ["a-b", "Python can import"]),
            ([path, tmp_path / "a.onnx", *to_torch], 2, ["lenet5.safetensors for --to torch"]),
            ([path, tmp_path / "a.safetensors"], 2, ["lenet5.onnx for --to onnx"]),
            ([path, tmp_path / "a.h5", "--to", "keras"], 2, ["keras", "onnx", "torch"])):
        assert_refused(script("export.py", *arguments), status, *words)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert_refused(script("export.py", path, tmp_path / "a.onnx"), 2, "pip install", "[export]")
    assert os.listdir(str(tmp_path)) == ["there.py"] and there.read_text() == "mine"


def test_a_wrong_file_is_not_written(predict, monkeypatch, tmp_path):
    pytest.importorskip("onnx", reason="onnx is not installed: pip install '.[export]'")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from lenet.export import onnx_file

    predictor, _ = predict("lenet5")
    monkeypatch.setitem(onnx_file.STEPS, "max", onnx_file.STEPS["mean"])
    with pytest.raises(DataError, match="a.onnx: not written: its probabilities differ"):
        onnx_file.write(str(tmp_path / "a.onnx"), predictor)
    monkeypatch.delitem(onnx_file.STEPS, "max")
    with pytest.raises(UsageError, match="layer0: a pooling with max cannot be exported; expected"):
        onnx_file.write(str(tmp_path / "a.onnx"), predictor)
    assert os.listdir(str(tmp_path)) == []
