// The paper: strokes of a pen, by mouse, finger, stylus or keys, over an optional picture.

import { element } from "./dom.js";

export class Paper {
  // size: {height, width, channels} of a drawing as it is sent; onchange(time of the pen's event)
  constructor(canvas, marks, size, onchange) {
    Object.assign(this, { canvas, marks, size, onchange });
    this.strokes = [];
    this.picture = null; // under the strokes: a canvas
    this.thickness = 0.08; // of the paper's width
    this.tool = "pen";
    this.ink = "#000000";
    this.ground = "#ffffff";
    this.cursor = null; // of the keys, in parts of the paper's width and height
    // What is sent: as large as the server takes it.
    this.raster = element("canvas", { width: size.width, height: size.height });
    this.rasterContext = this.raster.getContext("2d", { willReadFrequently: true });
    canvas.parentElement.style.setProperty("--paper-shape", `${size.width} / ${size.height}`);
    this.resize();
    new ResizeObserver(() => this.resize()).observe(canvas);

    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || this.pointer !== undefined) return;
      this.pointer = event.pointerId;
      canvas.setPointerCapture(event.pointerId);
      this.cursor = null;
      this.begin(this.findPoint(event), event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId !== this.pointer) return;
      // A browser joins the positions between two frames in one event.
      const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      for (const one of events.length ? events : [event]) {
        this.extend(this.findPoint(one), event.timeStamp);
      }
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => {
        if (event.pointerId === this.pointer) this.pointer = undefined;
      });
    }
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => { this.cursor = null; this.drawMarks(); });
  }

  get isEmpty() {
    return !this.picture && this.strokes.every((stroke) => stroke.erases);
  }

  findPoint(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  begin(point, event) {
    this.strokes.push({ points: [point], width: this.thickness, erases: this.tool === "eraser",
                        ink: this.ink });
    this.drawLast();
    this.onchange(event.timeStamp);
  }

  extend(point, time) {
    this.strokes[this.strokes.length - 1].points.push(point);
    this.drawLast();
    this.onchange(time);
  }

  undo() {
    if (this.strokes.length) this.strokes.pop();
    else this.picture = null;
    this.redraw();
  }

  clear() {
    this.strokes = [];
    this.picture = null;
    this.redraw();
  }

  // Put a picture on the paper: as large as fits, in the middle.
  place(picture) {
    this.strokes = [];
    this.picture = picture;
    this.redraw(true);
  }

  // The keys move the pen; the space bar puts it down and lifts it.
  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === " ") {
      this.cursor = this.cursor || { x: 0.5, y: 0.25, down: false };
      this.cursor.down = !this.cursor.down;
      if (this.cursor.down) this.begin([this.cursor.x, this.cursor.y], event);
    } else if (event.key in steps && !event.ctrlKey && !event.metaKey) {
      this.cursor = this.cursor || { x: 0.5, y: 0.25, down: false };
      const step = event.shiftKey ? 1 / 100 : 1 / 28;
      const [x, y] = steps[event.key];
      this.cursor.x = Math.min(1, Math.max(0, this.cursor.x + step * x));
      this.cursor.y = Math.min(1, Math.max(0, this.cursor.y + step * y));
      if (this.cursor.down) this.extend([this.cursor.x, this.cursor.y], event.timeStamp);
    } else if (event.key === "Escape") {
      this.cursor = null;
    } else return;
    event.preventDefault();
    this.drawMarks();
  }

  resize() {
    const dense = window.devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * dense);
    const height = Math.round(this.canvas.clientHeight * dense);
    if (!width || (width === this.canvas.width && height === this.canvas.height)) return;
    for (const canvas of [this.canvas, this.marks]) Object.assign(canvas, { width, height });
    this.redraw(true);
  }

  redraw(silently = false) {
    for (const context of this.contexts()) {
      const { width, height } = context.canvas;
      context.fillStyle = this.ground;
      context.fillRect(0, 0, width, height);
      if (this.picture) {
        const scale = Math.min(width / this.picture.width, height / this.picture.height);
        const size = [this.picture.width * scale, this.picture.height * scale];
        context.imageSmoothingEnabled = this.picture.width > 64;
        context.drawImage(this.picture, (width - size[0]) / 2, (height - size[1]) / 2, ...size);
      }
      for (const stroke of this.strokes) this.drawStroke(context, stroke, 0);
    }
    this.drawMarks();
    if (!silently) this.onchange(performance.now());
  }

  contexts() {
    return [this.canvas.getContext("2d"), this.rasterContext];
  }

  drawLast() {
    const stroke = this.strokes[this.strokes.length - 1];
    for (const context of this.contexts()) {
      this.drawStroke(context, stroke, Math.max(0, stroke.points.length - 2));
    }
  }

  drawStroke(context, { points, width, erases, ink }, from) {
    const { width: across, height: down } = context.canvas;
    context.strokeStyle = erases ? this.ground : ink;
    context.lineWidth = width * across * (erases ? 2 : 1);
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(points[from][0] * across, points[from][1] * down);
    // A point alone is a dot.
    for (const [x, y] of points.slice(from)) context.lineTo(x * across, y * down);
    context.stroke();
  }

  // The bytes that are sent: grey, or red, green and blue, row by row.
  bytes() {
    const { width, height, channels } = this.size;
    const pixels = this.rasterContext.getImageData(0, 0, width, height).data;
    const bytes = new Uint8Array(width * height * channels);
    for (let i = 0, at = 0; i < pixels.length; i += 4) {
      if (channels === 1) {
        bytes[at++] = (299 * pixels[i] + 587 * pixels[i + 1] + 114 * pixels[i + 2]) / 1000;
      } else for (let channel = 0; channel < 3; channel++) bytes[at++] = pixels[i + channel];
    }
    return bytes;
  }

  // Where the digit was found: its box and its centre of mass, in pixels of ``from``.
  showPlace(place) {
    this.placeFound = place;
    this.drawMarks();
  }

  drawMarks() {
    const context = this.marks.getContext("2d"), { width, height } = this.marks;
    const style = getComputedStyle(this.marks), dense = window.devicePixelRatio || 1;
    context.clearRect(0, 0, width, height);
    context.lineWidth = 1.5 * dense;
    if (this.placeFound) {
      const { box: [top, left, bottom, right], centre: [row, column], rows, columns } =
        this.placeFound;
      const down = height / rows, across = width / columns;
      context.strokeStyle = style.getPropertyValue("--mark-paper");
      context.strokeRect(left * across, top * down, (right - left) * across, (bottom - top) * down);
      cross(context, column * across, row * down, 7 * dense);
    }
    if (this.cursor) {
      const { x, y, down } = this.cursor;
      context.strokeStyle = style.getPropertyValue("--mark-pen");
      context.beginPath();
      context.arc(x * width, y * height, (this.thickness * width) / 2 + 2 * dense, 0, 7);
      context.stroke();
      if (!down) cross(context, x * width, y * height, 4 * dense);
    }
  }
}

function cross(context, x, y, size) {
  context.beginPath();
  context.moveTo(x - size, y);
  context.lineTo(x + size, y);
  context.moveTo(x, y - size);
  context.lineTo(x, y + size);
  context.stroke();
}
