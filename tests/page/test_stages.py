"""lenet.networks.stages and the client's forward.js: both give what Theano gives, for all."""

import numpy
import pytest
from served import browser, serve_page, trained_run  # noqa: F401

from lenet import networks
from lenet.data.pixels import BYTES, Pixels
from lenet.lenet5_1998 import TABLE_I
from lenet.page.eye import Eye
from lenet.reports.summary import build_by_name, measure_fields

pytest.importorskip("tornado", reason="tornado is not installed")

SMALL = {"nkerns": (2, 3), "n_hidden": 6}

NETWORKS = [
    ("LogisticRegression", (1, 28, 28), {}), ("LogisticRegression", (3, 9, 7), {}),
    ("MLP", (1, 28, 28), {"n_hidden": 12, "activation": "softplus"}),
    ("LeNet5", (1, 28, 28), SMALL), ("LeNet5", (3, 26, 20), SMALL),
    ("LeNet5", (1, 28, 28), {**SMALL, "filter_size": ((7, 5), (3, 2)), "poolsize": ((1, 2), (2, 3)),
                             "activation": "relu"}),
    *[("LeNet5", (1, 20, 22), {**SMALL, "pooling": pooling, "activation": activation})
      for pooling, activation in [("mean", "sigmoid"), ("overlapping", "tanh"), ("l2", "softplus"),
                                  ("stochastic", "relu"), ("contrast", "tanh"),
                                  ("deformation", "tanh")]],
    ("Network", (1, 28, 28), {"conv_layers": 1}),
    ("Network", (3, 28, 28), {"conv_layers": 2, "p_dropout": 0.5}),
    ("LeNet5_1998", (1, 28, 28), {}),
    ("LeNet5_1998", (1, 30, 25), {"connections": "full", "pooling": "max", "head": "softmax",
                                  "filter_size": ((7, 7), (3, 3))}),
]

# Run in the page: the outputs of all stages, then what explain.js and fields.js say of units.
SCRIPT = """async ([stages, params, image, units]) => {
  const { forward } = await import("./forward.js"), { explanation } = await import("./explain.js");
  const { receptiveFields } = await import("./fields.js");
  const parameters = Object.fromEntries(params.map(([name, shape, values]) =>
    [name, { shape, values: Float32Array.from(values) }]));
  const { outputs, probabilities } = forward(stages, parameters, Float32Array.from(image));
  return { outputs: outputs.map((o) => Array.from(o)), probabilities: Array.from(probabilities),
    units: units.map((unit) => explanation({ stages, outputs, parameters }, unit)),
    fields: units.map((unit) => receptiveFields(stages, unit.stage, unit, parameters)) };
}"""


@pytest.fixture(scope="module")
def modules(browser, trained_run):  # noqa: F811
    """A page of whose server the client's modules can be imported."""
    with serve_page(trained_run[0]) as (address, _):
        page = browser.new_page()
        page.goto(address)
        yield page
        page.close()


def draw_network(kind, image_shape, arguments, rng, pixels=BYTES):
    """A network whose parameters, biases and all, are random."""
    model = build_by_name(kind, image_shape, **arguments)
    for param in networks.named_params(model).values():
        value = param.get_value()
        if param.name == "coefficient":
            noise = rng.uniform(0.1, 0.4, value.shape)
        else:
            noise = value + rng.normal(0, 0.1, value.shape) * (value != 0 if value.ndim == 4 else 1)
        param.set_value(noise.astype(value.dtype))
    names = [str(n) for n in range(10)]
    return Eye(networks.SavedModel(model, names, image_shape, "resize", pixels))


def pack_values(eye):
    params = [[name, value.shape, value.ravel().tolist()] for name, value in eye.values().items()]
    return [eye.stages, params]


@pytest.mark.parametrize("kind, image_shape, arguments", NETWORKS)
def test_stage_by_stage(kind, image_shape, arguments, modules, rng):
    eye = draw_network(kind, image_shape, arguments, rng)
    image = rng.uniform(0, 1, image_shape).astype("float32")
    *expected, probabilities = eye.see(image)
    units = []
    for number, stage in enumerate(eye.stages):
        shape = stage["shape"] if len(stage["shape"]) == 3 else tuple(stage["shape"]) + (1, 1)
        for _ in range(3):
            units.append(dict(zip(("map", "row", "column"), map(int, map(rng.randint, shape))),
                              stage=number))
    found = modules.evaluate(SCRIPT, [*pack_values(eye), image.ravel().tolist(), units])
    for stage, output, wanted in zip(eye.stages, found["outputs"], expected):
        numpy.testing.assert_allclose(output, wanted.ravel(), atol=1e-4, rtol=1e-4,
                                      err_msg=str(stage))
    numpy.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-4)
    # The number of a unit, from its window, its filter and so on, is the network's.
    for unit, explained in zip(units, found["units"]):
        stage, output = eye.stages[unit["stage"]], expected[unit["stage"]]
        theanos = output.reshape(-1)[unit["map"]] if output.ndim == 1 and unit["stage"] else \
            output.reshape(stage["shape"])[unit["map"], unit["row"], unit["column"]]
        assert explained["output"] == pytest.approx(float(theanos), abs=1e-4, rel=1e-4)
        if stage["what"] != "normalization":
            assert explained["value"] == pytest.approx(float(theanos), abs=1e-4, rel=1e-4), stage


def test_pixels_become_the_numbers_of_the_training(modules, rng):
    pixels = Pixels([0.1, 0.2, 0.3], [0.5, 0.25, 2.0])
    eye = draw_network("LeNet5", (3, 26, 20), SMALL, rng, pixels)
    assert [stage["what"] for stage in eye.stages[:3]] == ["image", "scale", "convolution"]
    image = rng.randint(0, 256, (3, 26, 20)).astype("uint8")
    _, *expected, probabilities = eye.see(image)
    units = [{"stage": 1, "map": 1, "row": 2, "column": 3},
             {"stage": 2, "map": 0, "row": 4, "column": 5}]
    found = modules.evaluate(SCRIPT, [*pack_values(eye), (image / 256).ravel().tolist(), units])
    for output, wanted in zip(found["outputs"][1:], expected):
        numpy.testing.assert_allclose(output, wanted.ravel(), atol=1e-4, rtol=1e-4)
    numpy.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-4)
    value = found["units"][0]["value"]
    assert value == pytest.approx((image[1, 2, 3] / 256 - 0.2) / 0.25, rel=1e-5)
    # The pixel that a unit of the convolution sees is that pixel of the image.
    seen = found["fields"][1]
    assert (seen[0]["top"], seen[0]["left"]) == (seen[1]["top"], seen[1]["left"]) == (4, 5)


@pytest.mark.parametrize("kind, arguments", [
    ("LeNet5", SMALL), ("LeNet5", {**SMALL, "filter_size": ((7, 5), (3, 2)), "poolsize": (3, 2)}),
    ("LeNet5", {**SMALL, "pooling": "overlapping"}), ("Network", {"conv_layers": 2}),
    ("LeNet5_1998", {})])
def test_receptive_fields(kind, arguments, modules, rng):
    eye = draw_network(kind, (1, 28, 28), arguments, rng)
    maps = [(number, stage) for number, stage in enumerate(eye.stages)
            if stage["what"] in ("convolution", "pooling")]
    # By changing pixels; of a unit in the middle, which sees nothing of a frame but at the end.
    stages = [expression for expression in list_expressions(eye)]
    fields = measure_fields(eye.model.input, [stages[number] for number, _ in maps], (1, 28, 28))
    units = [{"stage": number, "map": 0, "row": stage["shape"][1] // 2,
              "column": stage["shape"][2] // 2} for number, stage in maps]
    found = modules.evaluate(
        SCRIPT, [*pack_values(eye), numpy.zeros(784).tolist(), units])["fields"]
    assert [(part["bottom"] - part["top"], part["right"] - part["left"]) for part, *_ in found] == \
        [field for field, _ in fields]


def test_a_map_of_c3_sees_the_maps_of_table_i(modules, rng):
    eye = draw_network("LeNet5_1998", (1, 28, 28), {}, rng)
    c3 = [stage["layer"] for stage in eye.stages].index("C3")
    units = [{"stage": c3, "map": k, "row": 2, "column": 3} for k in range(16)]
    found = modules.evaluate(
        SCRIPT, [*pack_values(eye), numpy.zeros(784).tolist(), units])["fields"]
    seen = [parts[c3 - 1].get("maps") or range(6) for parts in found]  # the last one sees all
    assert list(map(set, seen)) == list(map(set, TABLE_I))
    assert [parts[c3 - 2].get("maps") for parts in found] == \
        [parts[c3 - 1].get("maps") for parts in found]


def list_expressions(eye):
    from lenet.networks import stages_of

    return [stage.expression for stage in stages_of(eye.model, eye.image_shape)]
