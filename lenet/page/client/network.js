// One network on the page: its answer as bars, and the outputs of its stages as maps.

import { element, number, percent } from "./dom.js";
import { mapsShape, product } from "./forward.js";
import { receptiveFields } from "./fields.js";
import { Maps } from "./maps.js";

const BOUNDED = { tanh: 1, sigmoid: 1, squash: 1.7159 }; // the largest outputs

export class Network {
  // onpick(network, {stage, map, row, column} or null, why)
  constructor(index, description, { class_names: classNames, image_shape: imageShape }, palette,
              onpick) {
    Object.assign(this, { index, ...description, classNames, imageShape, palette });
    this.pick = (unit, why) => onpick(this, unit, why);
    this.parameters = null;
    this.outputs = null; // null: nothing is drawn
    this.last = this.stages.length - 1;
    this.curves = element("div", { class: "charts" });
    this.buildAnswer();
    this.buildLayers();
  }

  // --- the answer --------------------------------------------------------------------------

  buildAnswer() {
    this.verdict = element("p", { class: "verdict" }, "Draw something");
    this.bars = this.classNames.map((name, k) => {
      const fill = element("span", { class: "fill" }), value = element("span", { class: "value" });
      const button = element("button", {
        type: "button", onclick: () => this.pick({ stage: this.last, map: k, row: 0, column: 0 },
                                                 "choose"),
      }, element("span", { class: "name" }, name), element("span", { class: "track" }, fill),
      value);
      return { line: element("li", {}, button), button, fill, value };
    });
    this.answer = element("div", { class: "answer" },
      element("h2", { class: "network-name" }, this.name), this.verdict,
      element("ol", { class: "bars" }, ...this.bars.map(({ line }) => line)));
  }

  showAnswer(probabilities) {
    const winner = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1;
    this.verdict.textContent = probabilities
      ? `${this.classNames[winner]} \u2013 ${percent(probabilities[winner])}` : "Draw something";
    this.bars.forEach(({ line, button, fill, value }, k) => {
      const p = probabilities ? probabilities[k] : 0;
      fill.style.width = `${100 * p}%`;
      value.textContent = probabilities ? percent(p) : "";
      line.dataset.probability = probabilities ? p : "";
      line.classList.toggle("winner", k === winner);
      button.setAttribute("aria-label", probabilities
        ? `${this.classNames[k]}: ${percent(p)}; explain` : this.classNames[k]);
    });
  }

  // --- the layers --------------------------------------------------------------------------

  buildLayers() {
    this.views = [];
    this.pictures = []; // of weights, with the function that gives their numbers
    this.layers = element("div", { class: "network" });
    this.stages.forEach((stage, s) => {
      if (stage.what === "softmax") {
        if (s === 1) this.layers.append(this.weightPictures(stage));
        return;
      }
      if (stage.what === "distances") {
        this.layers.append(this.targets(stage, s));
        return;
      }
      const shape = this.displayShape(s), name = titleOf(stage);
      const view = new Maps({
        shape, palette: this.palette, label: `${name}, ${sizeOf(stage)}`,
        signed: stage.what !== "image", colour: stage.what === "image" && shape[0] === 3,
        range: stage.what === "image" ? 1 : BOUNDED[stage.activation] ?? null,
        onpick: (unit, why) => this.pick(unit && { stage: s, ...this.unitOf(s, unit) }, why),
      });
      const range = element("span", { class: "range" });
      this.views[s] = { view, range };
      const card = element("section", { class: "card", "aria-label": name },
        element("h3", {}, name), element("p", { class: "quiet" }, sizeOf(stage), range),
        view.element);
      if (stage.what === "convolution" && this.stages[s - 1].shape[0] in { 1: 0, 3: 0 }) {
        card.append(this.filterPictures(stage, this.stages[s - 1].shape));
      }
      this.layers.append(card);
    });
  }

  // The units that are compared with pictures are shown as one.
  displayShape(s) {
    const next = this.stages[s + 1];
    return next && next.what === "distances" ? [1, 12, 7] : mapsShape(this.stages[s]);
  }

  // From a place in what is displayed to the unit of the stage, and back.
  unitOf(s, { map, row, column }) {
    const [, , columns] = this.displayShape(s), shape = mapsShape(this.stages[s]);
    return this.displayShape(s)[0] === shape[0] ? { map, row, column }
      : { map: row * columns + column, row: 0, column: 0 };
  }

  placeOf(s, part) {
    const [, , columns] = this.displayShape(s);
    if (this.displayShape(s)[0] === mapsShape(this.stages[s])[0]) return part;
    if (part.map === undefined) return { top: 0, left: 0, bottom: 12, right: columns };
    const top = Math.floor(part.map / columns), left = part.map % columns;
    return { map: 0, top, left, bottom: top + 1, right: left + 1 };
  }

  picture(shape, label, numbers, colour = false) {
    const view = new Maps({ shape, label, palette: this.palette, colour });
    this.pictures.push({ view, numbers });
    return view.element;
  }

  filterPictures({ shape: [n, rows, columns], weights }, [channels, rowsBelow, columnsBelow]) {
    const label = "Filters, as they lie on the image";
    // 28 - 24 + 1 = 5
    const shape = [n * channels, rowsBelow - rows + 1, columnsBelow - columns + 1];
    return element("div", {},
      element("p", { class: "quiet" }, `${label} (turned by 180\u00b0)`),
      this.picture(shape, label, () => turnFilters(this.parameters[weights], n * channels)));
  }

  weightPictures(stage) {
    const [channels, rows, columns] = this.imageShape, n = this.classNames.length;
    const label = `The weights of each class: ${this.classNames.slice(0, 20).join(", ")}`;
    return element("section", { class: "card", "aria-label": "Weights" },
      element("h3", {}, "Weights of each class"),
      element("p", { class: "quiet" }, "where ink speaks for a class, or against it"),
      this.picture([n, channels * rows, columns], label, () => {
        const { values } = this.parameters[stage.weights], size = channels * rows * columns;
        // A class is a column: (784, 10) -> (10, 784).
        return Float32Array.from({ length: n * size }, (_, at) =>
          values[(at % size) * n + Math.floor(at / size)]);
      }));
  }

  // The pictures that the units below should show for each class, and how far they are from it.
  targets(stage, s) {
    this.distances = [];
    const pictures = stage.centres.map((centre, k) => {
      const label = `the picture of class ${this.classNames[k]}`;
      const view = new Maps({ shape: [1, 12, 7], palette: this.palette, label, range: 1 });
      this.pictures.push({ view, numbers: () => Float32Array.from(centre) });
      this.distances.push(element("span", {}, "\u2007"));
      return element("button", {
        type: "button", "aria-label": `Distance to ${label}; explain`,
        onclick: () => this.pick({ stage: s, map: k, row: 0, column: 0 }, "choose"),
      }, view.element, this.distances[k]);
    });
    return element("section", { class: "card", "aria-label": titleOf(stage) },
      element("h3", {}, titleOf(stage)),
      element("p", { class: "quiet" },
        "of the units above, squared, from the picture of each class"),
      element("div", { class: "distances" }, ...pictures));
  }

  setParameters(parameters) {
    this.parameters = parameters;
    for (const { view, numbers } of this.pictures) view.show(numbers());
  }

  layout(width, large) {
    for (const { view } of [...this.views.filter(Boolean), ...this.pictures]) {
      view.layout(width, large);
    }
  }

  // outputs: of each stage, or null where nothing is drawn
  show(outputs, probabilities) {
    this.outputs = outputs;
    this.views.forEach(({ view, range }, s) => {
      view.show(outputs ? outputs[s] : new Float32Array(product(this.stages[s].shape)));
      if (s > 0) range.textContent = outputs ? rangeOf(outputs[s]) : "";
    });
    if (this.distances) {
      this.distances.forEach((span, k) => {
        span.textContent = outputs ? number(outputs[this.last][k], 1) : "\u2007";
      });
    }
    this.showAnswer(probabilities);
  }

  // --- pointing ----------------------------------------------------------------------------

  mark(unit) {
    const parts = unit && this.parameters
      ? receptiveFields(this.stages, unit.stage, unit, this.parameters) : [];
    this.views.forEach(({ view }, s) => {
      view.mark(parts[s] ? this.placeOf(s, parts[s]) : null, unit !== null && unit.stage === s);
    });
  }
}

// Each filter turned by 180 degrees, which reverses its numbers.
export function turnFilters({ values, shape: [, , rows, columns] }, n) {
  const result = values.slice(), size = rows * columns;
  for (let k = 0; k < n; k++) result.subarray(k * size, (k + 1) * size).reverse();
  return result;
}

const WHATS = {
  image: "What the network sees", scale: "The image in its numbers",
  frame: "The image in its frame", convolution: "convolution", pooling: "pooling", normalization: "contrast normalization", units: "hidden units",
  softmax: "classes", distances: "distances",
};

export const titleOf = (stage) => stage.layer === "image" ? WHATS[stage.what]
  : `${stage.layer} \u00b7 ${WHATS[stage.what]}`;

function sizeOf(stage) {
  if (stage.shape.length === 1) {
    return `${stage.shape[0]} ${stage.what === "distances" ? "distances" : "units"}`;
  }
  const [n, rows, columns] = stage.shape, size = `${rows} \u00d7 ${columns}`;
  if (stage.layer === "image") return `${size} pixels${n === 3 ? ", in colour" : ""}`;
  return rows * columns === 1 ? `${n} units` : `${n} maps of ${size}`;
}

function rangeOf(values) {
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  return `${number(low, 2)} to ${number(high, 2)}`;
}

