// How the number of one unit comes about, in numbers that can be checked with a pencil.

import { element, number, percent } from "./dom.js";
import { activations, mapsShape, poolWindow, softmax, sumsOf } from "./forward.js";
import { Maps } from "./maps.js";
import { titleOf } from "./network.js";

const MAX_LISTED = 10;

// All that there is to say about a unit {stage, map, row, column}: plain numbers. ``value`` is
// computed here from the outputs of the stage below, ``output`` is what the network gave.
export function explanation({ stages, outputs, parameters }, { stage: s, map, row, column }) {
  const stage = stages[s], [, rows, columns] = mapsShape(stage);
  const output = outputs[s][(map * rows + row) * columns + column];
  const how = s === 0 ? { value: output } : explain[stage.what](
    stage, outputs[s - 1], stages[s - 1], parameters, map, row, column);
  return { what: stage.what, map, row, column, output, ...how };
}

const explain = {
  scale: (stage, below, { shape: [, height, width] }, _, map, row, column) => {
    const i = (map * height + row) * width + column;
    return { pixel: below[i], mean: stage.mean[i], deviation: stage.deviation[i],
             value: (below[i] - stage.mean[i]) / stage.deviation[i] };
  },

  frame: (stage, below, { shape: [, height, width] }, _, map, row, column) => {
    const r = row - stage.top, c = column - stage.left;
    const isPaper = r < 0 || c < 0 || r >= height || c >= width;
    const pixel = isPaper ? 0 : below[r * width + c];
    return { pixel, isPaper,
             value: pixel * (stage.ink - stage.background) + stage.background };
  },

  convolution(stage, below, { shape: [nBelow, height, width] }, parameters, map, row, column) {
    const { values: W, shape: [, , rows, columns] } = parameters[stage.weights];
    const size = rows * columns, maps = [];
    for (let m = 0; m < nBelow; m++) {
      const filter = [], window = [];
      for (let i = 0; i < size; i++) {
        // turned by 180 degrees
        filter.push(W[(map * nBelow + m) * size + size - 1 - i]);
        window.push(below[(m * height + row + Math.floor(i / columns)) * width
                          + column + (i % columns)]);
      }
      if (filter.some((w) => w !== 0)) {
        maps.push({ m, filter, window, sum: filter.reduce((sum, w, i) => sum + w * window[i], 0) });
      }
    }
    const bias = stage.bias ? parameters[stage.bias].values[map] : null;
    const sum = maps.reduce((total, one) => total + one.sum, 0) + (bias || 0);
    return { maps, columns, bias, sum, value: activations[stage.activation](sum) };
  },

  pooling(stage, below, belowStage, parameters, map, row, column) {
    const how = poolWindow(stage, below, belowStage, parameters, map, row, column);
    const takesLargest = stage.mode === "max" || stage.mode === "deformation";
    return { ...how, columns: stage.window[1],
             winner: takesLargest ? how.compared.indexOf(how.result) : -1 };
  },

  normalization: (stage, below, { shape: [, height, width] }, _, map, row, column) => ({
    before: below[(map * height + row) * width + column],
  }),

  units(stage, below, belowStage, parameters, map) {
    const how = contributions(stage, below, parameters, map);
    return { ...how, value: activations[stage.activation](how.sum) };
  },

  softmax(stage, below, belowStage, parameters, map) {
    const how = contributions(stage, below, parameters, map);
    return { ...how, value: softmax(sumsOf(stage, below, parameters))[map] };
  },

  distances(stage, below, belowStage, parameters, map) {
    const centre = stage.centres[map];
    const terms = centre.map((w, i) => ({ i, x: below[i], w, term: (below[i] - w) ** 2 }));
    return { terms: terms.sort((a, b) => b.term - a.term),
             value: terms.reduce((sum, { term }) => sum + term, 0) };
  },
};

// What each input adds to a unit, the largest first.
function contributions(stage, below, parameters, k) {
  const { values: W, shape: [nIn, n] } = parameters[stage.weights];
  const bias = parameters[stage.bias].values[k], terms = [];
  for (let i = 0; i < nIn; i++) {
    const x = below[i] * stage.kept, w = W[i * n + k];
    terms.push({ i, x, w, term: x * w });
  }
  const sum = terms.reduce((total, { term }) => total + term, bias);
  terms.sort((a, b) => Math.abs(b.term) - Math.abs(a.term));
  return { terms, bias, sum };
}

// --- what is shown of it -------------------------------------------------------------------

// below: the map below whose window is shown, or null for the one that adds most; onbelow(map)
export function renderExplanation(network, unit, below, onbelow) {
  const stage = network.stages[unit.stage], how = explanation(network, unit);
  const heading = element("h2", {}, titleOf(stage));
  return [heading, element("p", { class: "quiet" }, placeOf(network, unit)),
          ...render[how.what](how, stage, network, unit, below, onbelow)];
}

// "map 3, row 5, column 7", "unit 12 of 500" or "class 7"
export function placeOf(network, { stage: s, map, row, column }) {
  const stage = network.stages[s];
  if (stage.what === "softmax" || stage.what === "distances") {
    return `class ${network.classNames[map]}`;
  }
  const [n, rows, columns] = mapsShape(stage);
  if (rows * columns === 1) return `unit ${map} of ${n}`;
  return nameOfPlace(n, map, row, column);
}

const nameOfPlace = (nMaps, map, row, column) =>
  `${nMaps === 1 ? "" : `map ${map}, `}row ${row}, column ${column}`;

const line = (label, value, style = "sum") => element("p", { class: style },
  element("span", {}, label), element("span", { class: "value" }, value));

const result = (label, value) => line(label, number(value, 4), "sum result");

// What the non-linearity makes of a sum.
function describeActivation(stage, { sum, value }) {
  if (stage.activation === "linear") return [result("the number of the unit", value)];
  const names = { relu: "max(0, sum)", softplus: "log(1 + e^sum)", sigmoid: "1 / (1 + e^\u2212sum)",
                  tanh: "tanh(sum)", squash: "1.7159 tanh(2/3 sum)" };
  return [line("sum", number(sum, 4)), result(names[stage.activation], value)];
}

const render = {
  image: ({ value }) => [line("brightness of the ink, from 0 to 1", number(value, 4)),
                         line("as a byte, / 256", String(Math.round(256 * value)))],

  scale: ({ pixel, mean, deviation, value }) => [
    line("pixel", number(pixel, 4)),
    result(`(pixel \u2212 ${number(mean, 4)}) / ${number(deviation, 4)}`, value)],

  frame: ({ pixel, isPaper, value }, stage) => isPaper
    ? [line("paper around the image", number(value, 4))]
    : [line("pixel", number(pixel, 4)),
       result(`pixel \u00d7 ${number(stage.ink - stage.background, 3)} `
              + `\u2212 ${number(-stage.background, 1)}`, value)],

  convolution(how, stage, network, unit, below, onbelow) {
    const bySize = [...how.maps].sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum));
    const shown = how.maps.find(({ m }) => m === below) || bySize[0];
    const parts = [];
    if (how.maps.length > 1) {
      const choice = element("select", {
        id: "below", onchange: (event) => onbelow(Number(event.target.value)),
      }, ...bySize.map(({ m, sum }) => element("option", { value: m, selected: m === shown.m },
        `map ${m}: ${number(sum, 4)}`)));
      parts.push(element("p", { class: "sum" }, element("label", { for: "below" },
        `${how.maps.length} maps below, each with its own filter`), choice));
    }
    parts.push(
      element("h3", {}, "Window"), table(shown.window, how.columns),
      element("h3", {}, "Filter, turned by 180\u00b0"), table(shown.filter, how.columns),
      line("\u03a3 window \u00d7 filter", number(shown.sum, 4)));
    if (how.maps.length > 1) {
      const rest = how.maps.reduce((sum, one) => sum + one.sum, 0) - shown.sum;
      parts.push(line(`the same of the ${how.maps.length - 1} other maps`, number(rest, 4)));
    }
    if (how.bias !== null) parts.push(line("bias", number(how.bias, 4)));
    parts.push(...describeActivation(stage, how));
    if (how.bias === null) {
      parts.push(element("p", { class: "quiet" }, "The bias is added after the pooling."));
    }
    return parts;
  },

  pooling(how, stage) {
    const names = { max: "largest", sum: "sum", mean: "mean", l2: "\u221a(sum of squares)",
                    stochastic: "\u03a3 x\u00b2 / \u03a3 x",
                    deformation: "largest after the penalty for its place" };
    const parts = [element("h3", {}, "Window"), table(how.numbers, how.columns, how.winner)];
    if (stage.penalties) {
      parts.push(element("h3", {}, "After the penalties"),
                 table(how.compared, how.columns, how.winner));
    }
    parts.push(line(names[stage.mode], number(how.result, 4)));
    if (stage.coefficient) parts.push(line("\u00d7 coefficient", number(how.coefficient, 4)));
    if (stage.bias) parts.push(line("+ bias", number(how.bias, 4)));
    return [...parts, ...describeActivation(stage, how)];
  },

  normalization: ({ before, output }, stage) => [
    line("before", number(before, 4)),
    element("p", {}, "The mean of all maps in a neighbourhood of "
      + `${stage.size} \u00d7 ${stage.size} is subtracted, and the result is divided by the `
      + "standard deviation there, or by its mean over the image where that is larger."),
    result("after", output)],

  units: (how, stage, network, unit) => [
    ...listContributions(how, stage, network, unit), ...describeActivation(stage, how)],

  softmax(how, stage, network, unit) {
    return [...listContributions(how, stage, network, unit),
      line("sum: the score", number(how.sum, 4)),
            line("e^score / \u03a3 e^scores", percent(how.value)),
            result("the probability", how.value)];
  },

  distances: (how, stage, network) => [
    element("h3", {}, "The largest differences"),
    contributionTable(how.terms.map(({ i, x, w, term }) =>
      [`row ${Math.floor(i / 7)}, column ${i % 7}`, number(x), number(w, 0), number(term)]),
    ["unit of F6", "output", "picture", "difference\u00b2"]),
    result("\u03a3 difference\u00b2: the distance", how.value),
    line("e^\u2212distance / \u03a3 e^\u2212distances",
         percent(softmax(network.outputs[network.last].map((d) => -d))[how.map]))],
};

function listContributions({ terms, bias }, stage, network, unit) {
  const below = network.stages[unit.stage - 1], [n, rows, columns] = mapsShape(below);
  const nameOf = (i) => (rows * columns === 1 ? `unit ${i}` : nameOfPlace(
    n, Math.floor(i / (rows * columns)), Math.floor(i / columns) % rows, i % columns));
  const rest = terms.slice(MAX_LISTED).reduce((sum, { term }) => sum + term, 0);
  return [
    ...drawOnPixels(terms, stage, network, unit),
    element("h3", {}, "The largest contributions"),
    contributionTable(terms.slice(0, MAX_LISTED).map(({ i, x, w, term }) =>
      [nameOf(i), number(x), number(w), number(term)]),
    ["below", stage.kept === 1 ? "output" : `output \u00d7 ${number(stage.kept, 2)}`, "weight",
     "product"]),
    ...(terms.length > MAX_LISTED
      ? [line(`the ${terms.length - MAX_LISTED} others together`, number(rest, 4))] : []),
    line("bias", number(bias, 4)),
  ];
}

// Of a unit that sees the pixels themselves: its weights, and what each pixel adds, as pictures.
function drawOnPixels(terms, stage, network, unit) {
  if (unit.stage !== 1) return [];
  const [channels, rows, columns] = network.imageShape;
  const picture = (title, numberOf) => {
    const view = new Maps({ shape: [channels, rows, columns], palette: network.palette,
                            label: title });
    for (const term of terms) view.values[term.i] = numberOf(term);
    view.layout(150 * channels, false);
    return element("figure", {}, element("h3", {}, title), view.element);
  };
  return [element("div", { class: "pictures" }, picture("Weights", ({ w }) => w),
                  picture("Weight \u00d7 pixel", ({ term }) => term))];
}

function contributionTable(rows, headings) {
  return element("table", { class: "contributions" },
    element("thead", {}, element("tr", {}, ...headings.map((heading) =>
      element("th", { scope: "col" }, heading)))),
    element("tbody", {}, ...rows.slice(0, MAX_LISTED).map((cells) => element("tr", {},
      ...cells.map((cell) => element("td", {}, cell))))));
}

function table(numbers, columns, winner = -1) {
  const largest = Math.max(...numbers.map(Math.abs)) || 1, rows = [];
  for (let start = 0; start < numbers.length; start += columns) {
    rows.push(element("tr", {}, ...numbers.slice(start, start + columns).map((x, i) => {
      const cell = element("td", {
        class: start + i === winner ? "winner" : x < 0 ? "negative" : "positive",
        title: String(x),
      }, number(x), start + i === winner ? element("span", { class: "unseen" }, " (largest)") : "");
      cell.style.setProperty("--share", `${Math.round((35 * Math.abs(x)) / largest)}%`);
      return cell;
    })));
  }
  return element("table", { class: "numbers" }, element("tbody", {}, ...rows));
}

