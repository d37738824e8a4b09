// From numbers to colours: from the colour of the lowest number over that of zero to the highest.

const LEVELS = 255; // on each side of zero

export class Palette {
  // The colours are in the style sheet, one set for light and one for dark.
  constructor() {
    this.read();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.read());
  }

  read() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim().split(/\s+/).map(Number);
    const [negative, zero, positive, ink] =
      ["--negative", "--zero", "--positive", "--ink"].map(colour);
    this.signed = ramp(negative, zero, positive);
    this.grey = ramp(zero, zero, ink);
  }

  // The pixels of n maps below each other; each number is divided by ``range``.
  paint(image, values, range, signed = true) {
    const colours = signed ? this.signed : this.grey;
    const pixels = new Uint32Array(image.data.buffer);
    const factor = LEVELS / (range || 1);
    for (let i = 0; i < values.length; i++) {
      const level = Math.round(values[i] * factor);
      pixels[i] = colours[LEVELS + Math.max(-LEVELS, Math.min(LEVELS, level))];
    }
  }

  // The pixels of three maps that are red, green and blue, or of one that is all of them.
  paintColour(image, values, isInverted = false) {
    const n = image.width * image.height;
    for (let i = 0; i < n; i++) {
      for (let channel = 0; channel < 3; channel++) {
        const value = 256 * values[(channel * n + i) % values.length];
        image.data[4 * i + channel] = isInverted ? 255 - value : value;
      }
      image.data[4 * i + 3] = 255;
    }
  }
}

function ramp(low, middle, high) {
  const pixels = new Uint8ClampedArray(4 * (2 * LEVELS + 1));
  for (let level = -LEVELS; level <= LEVELS; level++) {
    const end = level < 0 ? low : high;
    // Small numbers are to be seen as well.
    const share = Math.abs(level / LEVELS) ** 0.8;
    for (let channel = 0; channel < 3; channel++) {
      pixels[4 * (level + LEVELS) + channel] =
        middle[channel] + share * (end[channel] - middle[channel]);
    }
    pixels[4 * (level + LEVELS) + 3] = 255;
  }
  return new Uint32Array(pixels.buffer);
}

export const largestSize = (values) =>
  values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
