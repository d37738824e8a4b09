// A canvas with the maps of one stage, on which a unit can be pointed at, by mouse, finger or keys.

import { element } from "./dom.js";
import { largestSize } from "./colours.js";

const GAP = 6; // CSS pixels between maps

export class Maps {
  // shape: (maps, rows, columns); label: what a screen reader says; onpick({map, row, column}, why)
  constructor({ shape, label, palette, signed = true, range = null, colour = false,
                onpick = null }) {
    Object.assign(this, { shape, palette, signed, range, colour, onpick, label });
    const [n, rows, columns] = shape;
    this.nShown = colour ? 1 : n;
    this.source = element("canvas", { width: columns, height: rows * this.nShown });
    this.image = new ImageData(columns, rows * this.nShown);
    this.element = element("canvas", onpick ? {
      class: "maps", tabindex: 0, role: "application", "aria-roledescription": "feature maps",
      "aria-label": label,
    } : { class: "maps", role: "img", "aria-label": label });
    this.context = this.element.getContext("2d");
    this.values = new Float32Array(n * rows * columns);
    this.part = null; // what is marked, as in fields.js
    this.isChosen = false;
    if (onpick) {
      this.element.addEventListener("pointermove", (event) => {
        if (event.pointerType === "mouse") this.point(event, "hover");
      });
      this.element.addEventListener("pointerdown", (event) => this.point(event, "choose"));
      this.element.addEventListener("pointerleave", () => onpick(null, "leave"));
      this.element.addEventListener("keydown", (event) => this.move(event));
    }
  }

  // Fit the maps into a width in CSS pixels; returns the height.
  layout(width, large) {
    const [, rows, columns] = this.shape;
    const isUnit = rows * columns === 1;
    // Larger where there is room.
    const factor = Math.min(1.7, Math.max(1, width / 800)) * (large ? 1.8 : 1);
    const target = (isUnit ? 10 : Math.min(160, 22 + 2 * columns)) * factor;
    this.scale = Math.max(1, Math.min(Math.round(target / columns), Math.floor(width / columns)));
    this.gap = isUnit ? 2 : GAP;
    const cell = columns * this.scale + this.gap;
    const fitting = Math.max(1, Math.floor((width + this.gap) / cell));
    this.lines = Math.ceil(this.nShown / fitting);
    this.across = Math.ceil(this.nShown / this.lines);
    if (this.nShown > fitting && isUnit) this.across = fitting;
    const size = [this.across * cell - this.gap,
                  this.lines * (rows * this.scale + this.gap) - this.gap];
    const dense = window.devicePixelRatio || 1;
    [this.element.width, this.element.height] = size.map((n) => Math.round(n * dense));
    [this.element.style.width, this.element.style.height] = size.map((n) => `${n}px`);
    this.context.setTransform(dense, 0, 0, dense, 0, 0);
    this.draw();
  }

  show(values) {
    this.values = values;
    this.draw();
  }

  mark(part, isChosen) {
    if (part === this.part && isChosen === this.isChosen) return;
    this.part = part;
    this.isChosen = isChosen;
    this.draw();
  }

  place(map) {
    const [, rows, columns] = this.shape;
    return [(map % this.across) * (columns * this.scale + this.gap),
            Math.floor(map / this.across) * (rows * this.scale + this.gap)];
  }

  draw() {
    if (!this.scale) return;
    const { context, scale } = this, [, rows, columns] = this.shape;
    if (this.colour) this.palette.paintColour(this.image, this.values);
    else this.palette.paint(this.image, this.values, this.range ?? largestSize(this.values),
                            this.signed);
    this.source.getContext("2d").putImageData(this.image, 0, 0);
    context.clearRect(0, 0, this.element.width, this.element.height);
    context.imageSmoothingEnabled = false;
    for (let map = 0; map < this.nShown; map++) {
      const [x, y] = this.place(map);
      context.drawImage(this.source, 0, map * rows, columns, rows,
                        x, y, columns * scale, rows * scale);
    }
    if (this.part) this.drawMark(this.part);
  }

  drawMark({ map, maps, top, left, bottom, right }) {
    const { scale } = this, [, rows, columns] = this.shape;
    const isWhole = map === undefined && !maps;
    if (isWhole && (bottom - top) * (right - left) === rows * columns) {
      this.outline(1, 1, this.element.clientWidth - 2, this.element.clientHeight - 2); // everything
      return;
    }
    for (let m = 0; m < this.nShown; m++) {
      if ((map !== undefined && m !== map) || (maps && !maps.includes(m))) continue;
      const [x, y] = this.place(m);
      this.outline(x + left * scale, y + top * scale, (right - left) * scale,
                   (bottom - top) * scale);
    }
  }

  outline(...box) {
    const { context } = this, style = getComputedStyle(this.element);
    for (const [width, colour] of [[3, "--mark-around"], [1.5, "--mark"]]) {
      context.lineWidth = width;
      context.strokeStyle = style.getPropertyValue(colour);
      context.strokeRect(...box);
    }
  }

  unitAt(event) {
    const [, rows, columns] = this.shape, box = this.element.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    const cell = [columns * this.scale + this.gap, rows * this.scale + this.gap];
    const map = Math.floor(y / cell[1]) * this.across + Math.floor(x / cell[0]);
    // The gap belongs to the pixel before it.
    const row = Math.min(rows - 1, Math.floor((y % cell[1]) / this.scale));
    const column = Math.min(columns - 1, Math.floor((x % cell[0]) / this.scale));
    if (x < 0 || y < 0 || x >= cell[0] * this.across || map >= this.nShown) return null;
    return { map, row, column };
  }

  point(event, why) {
    const unit = this.unitAt(event);
    if (unit) this.onpick(unit, why);
  }

  // Arrow keys go from pixel to pixel, over the edge of a map to the next one.
  move(event) {
    const [, rows, columns] = this.shape;
    let { map, top: row, left: column } =
      this.isChosen && this.part ? this.part : { map: 0, top: 0, left: 0 };
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (event.key === "PageUp") map -= 1;
    else if (event.key === "PageDown") map += 1;
    else if (event.key in steps) {
      if (this.isChosen) { row += steps[event.key][0]; column += steps[event.key][1]; }
      if (column < 0) { map -= 1; column = columns - 1; }
      if (column >= columns) { map += 1; column = 0; }
      if (row < 0) { map -= this.across; row = rows - 1; }
      if (row >= rows) { map += this.across; row = 0; }
    } else if (event.key !== "Enter") return;
    event.preventDefault();
    if (map >= 0 && map < this.nShown) this.onpick({ map, row, column }, "choose");
  }
}
