// The curves of a training as they grow.

import { element } from "./dom.js";

const WIDTH = 300, HEIGHT = 110, LEFT = 40, BOTTOM = 18, TOP = 8, RIGHT = 8;

// A chart of series [{name, style, points: [[x, y], ...]}]; y from 0.
export function chart(title, unit, xName, series) {
  const points = series.flatMap((one) => one.points);
  const svg = svgElement("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img" });
  const xs = points.map(([x]) => x), most = Math.max(...points.map(([, y]) => y), 1e-9);
  const [first, last] = points.length ? [Math.min(...xs), Math.max(...xs)] : [0, 1];
  const top = roundUp(points.length ? most : 1);
  const x = (value) => LEFT + ((value - first) / (last - first || 1)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - BOTTOM - TOP);
  for (const level of [0, top / 2, top]) {
    svg.append(svgElement("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(level), y2: y(level) }),
               text(LEFT - 5, y(level) + 3, String(Number(level.toPrecision(3))), "end"));
  }
  if (points.length) {
    svg.append(text(LEFT, HEIGHT - 4, String(first), "start"),
               text(WIDTH - RIGHT, HEIGHT - 4, `${xName} ${last}`, "end"));
  }
  for (const { style, points: line } of series) {
    svg.append(svgElement("polyline", {
      class: style,
      points: line.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ") }));
    if (line.length) {
      const [a, b] = line[line.length - 1];
      svg.append(svgElement("circle", { class: style, cx: x(a), cy: y(b), r: 2.5 }));
    }
  }
  const told = series.map(({ name, points: line }) =>
    line.length ? `${name} ${Number(line[line.length - 1][1].toPrecision(3))}${unit}` : name);
  const known = told.filter((_, i) => series[i].points.length).join(", ");
  svg.setAttribute("aria-label", `${title}: ${known || "nothing yet"}`);
  const legend = series.map(({ style }, i) => element("span", {},
    element("span", { class: `key ${style}` }), told[i]));
  return element("figure", {}, element("figcaption", {}, element("b", {}, title), ...legend), svg);
}

// The charts of a log: errors in percent, and the cost.
export function drawCharts(rows) {
  const errors = (name) => rows.filter((row) => row[name] !== null)
    .map((row) => [row.epoch, 100 * row[name]]);
  return [
    chart("Error", " %", "epoch", [
      { name: "validation", style: "first", points: errors("validation") },
      { name: "test", style: "second", points: errors("test") }]),
    chart("Cost", "", "epoch", [
      { name: "training", style: "first", points: rows.map((row) => [row.epoch, row.cost]) }])];
}

// The next of 1, 2, 5, 10, 20, ...
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= value) || value;
}

function svgElement(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const text = (x, y, content, anchor) =>
  svgElement("text", { x, y, "text-anchor": anchor }, content);
