// The page: what is drawn goes to the networks, what they answer is shown, and a unit that is
// pointed at is explained.

import { Palette } from "./colours.js";
import { Connection } from "./connection.js";
import { drawCharts } from "./curves.js";
import { byId, element, number } from "./dom.js";
import { explanation, placeOf, renderExplanation } from "./explain.js";
import { Latency } from "./latency.js";
import { mapsShape, product } from "./forward.js";
import { Network } from "./network.js";
import { Offline } from "./offline.js";
import { Paper } from "./paper.js";
import { watchCamera, watchPage } from "./pictures.js";
import { readState, writeState } from "./state.js";
import { Training } from "./train.js";

export const page = { networks: [], paper: null, chosen: null, pointed: null, answer: null,
                      latency: new Latency(), number: 0 };

globalThis.lenet = page; // for the console

const palette = new Palette();
let hello = null, penTime = null, spokenTimer = null, test = { index: -1 };

const say = (line) => { byId("status").textContent = line; };

// --- what the server sends -----------------------------------------------------------------

const connection = new (byId("inside") ? Offline : Connection)({
  hello(sent) {
    hello = sent;
    build();
    byId("controls").disabled = false;
    say("");
  },

  parameters({ network, shapes }, values) {
    const parameters = {};
    let at = 0;
    for (const [name, shape] of shapes) {
      parameters[name] = { shape, values: values.subarray(at, at += product(shape)) };
    }
    page.networks[network].setParameters(parameters);
    if (page.answer) drawAgain();
    explain();
    return parameters;
  },

  answer(header, values) {
    show(header, values);
    if (header.picture || header.test) placePicture(values);
    if (header.picture) forgetTest();
    if (header.test) showTest(header.test);
  },

  log(rows, { network }) {
    const { name, curves } = page.networks[network];
    curves.replaceChildren(...(page.networks.length > 1
      ? [element("h2", { class: "network-name" }, name)] : []), ...drawCharts(rows));
    byId("curves").hidden = page.networks.every((one) => !one.curves.childElementCount);
  },

  training(state) {
    page.training.show(state);
  },

  nothing(line, { of_drawing: ofDrawing }) {
    if (ofDrawing) {
      if (!page.paper.isEmpty) say(line);
      showNothing();
      return;
    }
    // A picture that is refused leaves the drawing, whose answer it may have overtaken.
    say(line);
    if (page.paper.strokes.length) handleChange(null);
  },

  line: say,

  closed(code) {
    // 1013: there are too many windows, as the server has said.
    if (code === 1013) byId("controls").disabled = true;
    else say("The server does not answer. Is the command still running?");
  },
});

// --- building ------------------------------------------------------------------------------

function build() {
  page.answer = page.pointed = null;
  if (hello.training && !page.training) {
    page.training = new Training(hello.training, (request) => connection.ask(request));
  }
  byId("names").textContent = hello.networks.map(({ name, kind }) => `${name} (${kind})`)
    .join(" and ");
  document.title = [...hello.networks.map(({ name }) => name), "LeNet"].join(" \u2013 ");
  page.networks = hello.networks.map((description, index) =>
    new Network(index, description, hello, palette, pick));
  // Two answers stand above the layers of their networks.
  if (page.networks.length > 1) {
    for (const { layers, answer } of page.networks) layers.prepend(answer);
  } else byId("answers").replaceChildren(...page.networks.map(({ answer }) => answer));
  byId("networks").replaceChildren(...page.networks.map(({ layers }) => layers));
  document.body.classList.toggle("compare", page.networks.length > 1);
  document.body.classList.toggle("digits", hello.of_digits);
  for (const label of document.querySelectorAll(".colours")) label.hidden = hello.of_digits;
  byId("curves").replaceChildren(...page.networks.map(({ curves }) => curves));
  byId("right").replaceChildren(...hello.class_names.map((name, k) =>
    element("option", { value: k }, name)));
  byId("teach").hidden = !hello.keep;
  byId("keep").title = `in the folder ${hello.keep}`;
  if (!page.paper) {
    page.paper = new Paper(byId("paper"), byId("marks"), hello.drawing, handleChange);
    new ResizeObserver(layout).observe(byId("networks"));
  }
  const state = readState();
  byId("large").setAttribute("aria-pressed", state.view === "large");
  layout();
  page.chosen = findChosen(state);
  for (const one of page.networks) one.show(null, null);
  if (!page.paper.isEmpty) handleChange(null);
}

// The unit that the address names, as page.chosen, or null.
function findChosen({ network: index, unit, below }) {
  const network = page.networks[index], stage = unit && network?.stages[unit.stage];
  if (!stage) return null;
  const [n, rows, columns] = mapsShape(stage);
  return unit.map < n && unit.row < rows && unit.column < columns
    ? { network, unit, below } : null;
}

function layout() {
  if (!page.networks.length) return;
  const isLarge = byId("large").getAttribute("aria-pressed") === "true";
  const card = byId("networks").querySelector(".card"), style = getComputedStyle(card);
  page.width = card.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  for (const network of page.networks) network.layout(page.width, isLarge);
}

// --- drawing and answers -------------------------------------------------------------------

// The drawing has changed, by a pen's event at ``time``.
function handleChange(time) {
  if (time !== null) forgetTest();
  if (page.paper.isEmpty || !page.networks.length) {
    connection.next = null;
    showNothing();
    return;
  }
  penTime = time;
  connection.draw(() => {
    page.latency.recordDrawing(connection.number + 1, penTime);
    return page.paper.bytes();
  });
}

// The same once more, with new parameters.
function drawAgain() {
  if (test.label !== undefined) connection.ask({ test: test.index });
  else if (!page.paper.isEmpty) connection.draw(() => page.paper.bytes());
}

function show(header, values) {
  if (page.paper.isEmpty && header.number !== undefined && !header.picture) return;
  page.answer = { header, values };
  if (!page.frame) page.frame = requestAnimationFrame(render);
}

function render() {
  page.frame = null;
  if (!page.answer) return;
  const { header, values } = page.answer;
  let at = 0;
  const next = (n) => values.subarray(at, at += n);
  const image = next(product(hello.image_shape));
  // Of each network the outputs of its stages, and its probabilities.
  const shown = page.networks.map(({ stages }) => [
    [image, ...stages.slice(1).map((stage) => next(product(stage.shape)))],
    next(hello.class_names.length)]);
  if (at !== values.length) return; // of the network before a new training
  page.networks.forEach((network, index) => network.show(...shown[index]));
  showPlace(header);
  explain();
  speak();
  page.number = header.number;
  page.latency.recordAnswer(header, say);
}

function showNothing() {
  page.answer = null;
  for (const network of page.networks) network.show(null, null);
  page.paper.showPlace(null);
  explain();
  speak();
}

// The box and the centre of mass, on the paper that the server has seen.
function showPlace({ box, centre, picture, test: fromTest }) {
  const isImage = picture || fromTest;
  const [, height, width] = hello.image_shape;
  page.paper.showPlace(box && {
    box, centre, rows: isImage ? height : hello.drawing.height,
    columns: isImage ? width : hello.drawing.width });
}

// Put the image that the network sees on the paper; ink is dark there.
function placePicture(values) {
  const [, height, width] = hello.image_shape, image = new ImageData(width, height);
  palette.paintColour(image, values.subarray(0, product(hello.image_shape)), hello.of_digits);
  const canvas = element("canvas", { width, height });
  canvas.getContext("2d").putImageData(image, 0, 0);
  page.paper.place(canvas);
}

function showTest(shown) {
  test = shown;
  const name = hello.class_names[test.label];
  byId("test").textContent = `Test image ${test.index} of ${test.n}, a ${name}`;
}

// What is on the paper is no image of the test set any more.
function forgetTest() {
  test = { index: test.index };
  byId("test").textContent = "";
}

// A screen reader hears the answer once the pen rests.
function speak() {
  clearTimeout(spokenTimer);
  spokenTimer = setTimeout(() => {
    byId("spoken").textContent = page.networks.map(({ name, verdict }) =>
      (page.networks.length > 1 ? `${name}: ` : "") + verdict.textContent).join("; ");
  }, 700);
}

// --- pointing ------------------------------------------------------------------------------

function pick(network, unit, why) {
  if (why === "choose") {
    page.chosen = { network, unit };
    page.pointed = null;
    keepState();
    if (network.outputs && network.parameters) {
      byId("spoken").textContent = `${placeOf(network, unit)}: `
        + number(explanation(network, unit).output);
    }
  } else if (why === "drop") {
    page.chosen = page.pointed = null;
    keepState();
  } else page.pointed = unit && { network, unit };
  explain();
}

function explain() {
  const shown = page.pointed || page.chosen;
  for (const network of page.networks) {
    network.mark(shown && shown.network === network ? shown.unit : null);
  }
  const panel = byId("explanation");
  panel.classList.toggle("held", Boolean(page.chosen));
  if (!shown || !shown.network.outputs || !shown.network.parameters) {
    byId("explained").replaceChildren(element("p", { class: "quiet" }, shown
      ? "Draw something to see the numbers of this unit."
      : "Point at a pixel of a map to see how its number comes about; click to hold it. With keys: "
        + "Tab to a layer, then the arrow keys."));
    return;
  }
  const focused = document.activeElement && document.activeElement.id;
  byId("explained").replaceChildren(
    ...(page.chosen ? [element("button", { type: "button", class: "close", id: "close",
                                           onclick: () => pick(null, null, "drop") },
                               "Close")] : []),
    ...renderExplanation(shown.network, shown.unit, shown.below, (map) => {
      shown.below = map;
      keepState();
      explain();
    }));
  if (focused === "below" || focused === "close") byId(focused)?.focus();
}

function keepState() {
  writeState({ ...page.chosen, network: page.chosen?.network.index,
               view: byId("large").getAttribute("aria-pressed") === "true" ? "large" : undefined });
}

// --- buttons -------------------------------------------------------------------------------

function togglePressed(button) {
  const isPressed = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", isPressed);
  return isPressed;
}

byId("undo").onclick = () => page.paper?.undo();
byId("clear").onclick = () => page.paper?.clear();
byId("eraser").onclick = ({ target }) => {
  if (page.paper) page.paper.tool = togglePressed(target) ? "eraser" : "pen";
};
byId("thickness").oninput = ({ target }) => { page.paper.thickness = target.value / 100; };
byId("ink").oninput = ({ target }) => { page.paper.ink = target.value; };
byId("ground").oninput = ({ target }) => {
  page.paper.ground = target.value;
  page.paper.redraw();
};
byId("large").onclick = ({ target }) => {
  togglePressed(target);
  layout();
  keepState();
};

function askForTest(step) {
  const isFirst = test.index < 0;
  say("");
  connection.ask({ test: Math.max(0, test.index), step: isFirst ? 0 : step,
                   wrong: byId("wrong").checked });
}
byId("following").onclick = () => askForTest(1);
byId("previous").onclick = () => askForTest(-1);
byId("wrong").onchange = ({ target }) => { if (target.checked) askForTest(1); };

byId("keep").onclick = () => connection.ask({ keep: Number(byId("right").value) });

document.addEventListener("keydown", (event) => {
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "z" && (event.ctrlKey || event.metaKey) && !isTyping) {
    event.preventDefault();
    page.paper?.undo();
  } else if (event.key === "Escape") pick(null, null, "drop");
});

addEventListener("hashchange", () => {
  page.chosen = findChosen(readState());
  explain();
});

async function takePicture(file) {
  if (byId("controls").disabled) return;
  if (file.size > hello.largest_picture) {
    say(`The picture has ${(file.size / 2 ** 20).toFixed(1)} MiB; expected at most `
        + `${hello.largest_picture / 2 ** 20} MiB.`);
    return;
  }
  say("");
  try {
    connection.sendPicture(new Uint8Array(await file.arrayBuffer()));
  } catch (error) {
    say(`${file.name} cannot be read: ${error.message}`); // a folder, or a file that has gone
  }
}

if (byId("inside")) {
  byId("pictures").hidden = true; // photographs take the server
  watchPage(() => say("This file takes no pictures; the page of scripts/draw.py does."), say);
} else {
  watchPage(takePicture, say);
  watchCamera(takePicture, say);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  layout();
  page.paper?.redraw(true);
});

