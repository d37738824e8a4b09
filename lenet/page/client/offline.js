// In the place of a connection: the networks compute here, with what is inside the page's own file.

import { resize, toMnist, triangle } from "./centre.js";
import { Connection } from "./connection.js";
import { byId } from "./dom.js";
import { forward, product } from "./forward.js";

export class Offline extends Connection {
  open() {
    const { hello, parameters, log, tests } = JSON.parse(byId("inside").textContent);
    Object.assign(this, { hello, tests });
    setTimeout(() => {
      this.on.hello(hello);
      this.parameters = this.receive(bytesOf(parameters).buffer);
      if (log.length) this.on.log(log, { network: 0 });
    });
  }

  draw(make) {
    this.next = make;
    if (!this.waiting) this.waiting = setTimeout(() => this.answerDrawing());
  }

  answerDrawing() {
    this.waiting = null;
    if (!this.next) return;
    const begin = performance.now(), bytes = this.next(), { hello } = this;
    const number = this.number += 1;
    const { height, width, channels } = hello.drawing;
    if (hello.of_digits) {
      const found = toMnist(bytes, height, width);
      if (found) {
        this.answer(found.image, { number, box: found.box, centre: found.centre }, begin);
      } else {
        this.on.nothing("no digit found: nothing stands out from the paper", { of_drawing: true });
      }
      return;
    }
    const [, rows, columns] = hello.image_shape, image = new Uint8Array(product(hello.image_shape));
    for (let channel = 0; channel < channels; channel++) {
      const plane = bytes.filter((_, at) => at % channels === channel);
      resize(plane, height, width, rows, columns, triangle).forEach((x, at) => {
        image[channel * rows * columns + at] = Math.round(x);
      });
    }
    this.answer(image, { number }, begin);
  }

  // image: bytes of shape image_shape
  answer(bytes, header, begin) {
    const image = Float32Array.from(bytes, (value) => value / 256);
    const { stages } = this.hello.networks[0];
    const { outputs, probabilities } = forward(stages, this.parameters, image);
    const values = Float32Array.from([...outputs, probabilities].flatMap((o) => Array.from(o)));
    this.on.answer({ ...header, milliseconds: performance.now() - begin }, values);
  }

  ask({ test, step = 0, wrong }) {
    if (test === undefined) return;
    const shown = this.tests.filter((one) => !wrong || one.wrong);
    if (!shown.length) {
      this.on.line("none of the test images in this file is misclassified");
      return;
    }
    let place = shown.findIndex((one) => one.index >= test);
    if (place < 0) place = 0;
    if (shown[place].index === test) place += step;
    else if (step < 0) place -= 1;
    const { index, label, pixels } = shown[(place + shown.length) % shown.length];
    this.next = null;
    this.answer(bytesOf(pixels), { test: { index, n: this.hello.n_tests, label } },
                performance.now());
  }
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
