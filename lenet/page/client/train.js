// The controls of a training that the page has started.

import { byId, element } from "./dom.js";
import { chart, drawCharts } from "./curves.js";

const LABELS = { learning_rate: "Learning rate", first_filters: "Filters of layer 0",
                 second_filters: "Filters of layer 1", batch_size: "Images per minibatch",
                 n_epochs: "Epochs" };

export class Training {
  // ask(request): sends it to the server
  constructor({ options, defaults }, ask) {
    this.ask = ask;
    this.inputs = Object.entries(options).map(([name, [min, max, whole]]) => element("input", {
      type: "number", id: `option-${name}`, name, min, max, step: whole ? 1 : "any",
      value: defaults[name] }));
    this.begin = element("button", { type: "button", id: "begin", class: "main",
                                     onclick: () => this.start() }, "Train");
    this.pause = this.button("pause", "Pause", () => ask({
      command: this.status === "paused" ? "go" : "pause" }));
    this.step = this.button("step", "One step", () => ask({ command: "step" }));
    this.stop = this.button("stop", "Stop", () => ask({ command: "stop" }));
    this.bar = element("progress", { "aria-label": "Minibatches done", value: 0, max: 1 });
    this.line = element("p", { class: "quiet", id: "training-line" }, "\u00a0");
    this.charts = element("div", { class: "charts" });
    byId("training").replaceChildren(
      element("h2", {}, "Train LeNet-5"),
      element("div", { class: "options" }, ...this.inputs.map((input) =>
        element("label", {}, LABELS[input.name], input))),
      element("div", { class: "tools" }, this.begin, this.pause, this.step, this.stop),
      this.bar, this.line, this.charts);
    byId("training").hidden = false;
  }

  button(id, text, onclick) {
    return element("button", { type: "button", id, onclick, disabled: true }, text);
  }

  start() {
    if (!this.inputs.every((input) => input.reportValidity())) return;
    this.ask({ train: Object.fromEntries(this.inputs.map(({ name, valueAsNumber }) =>
      [name, valueAsNumber])) });
  }

  show({ status, iteration = 0, n = 0, cost, epoch, costs = [], rows = [] }) {
    this.status = status;
    const isOn = status === "training" || status === "paused";
    this.begin.textContent = isOn || status === "compiling" ? "Train anew" : "Train";
    for (const button of [this.pause, this.step, this.stop]) button.disabled = !isOn;
    this.pause.textContent = status === "paused" ? "Go on" : "Pause";
    this.bar.value = n ? iteration / n : 0;
    const done = n
      ? `: minibatch ${iteration} of ${n}, epoch ${epoch}, cost ${cost.toFixed(4)}` : "";
    this.line.textContent = status === "compiling"
      ? "reading the data and compiling; this takes some seconds" : status + done;
    this.charts.replaceChildren(drawCharts(rows)[0], chart("Cost", "", "minibatch", [
      { name: "of a minibatch", style: "first", points: costs }]));
  }
}
