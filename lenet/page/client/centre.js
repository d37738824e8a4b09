// A drawing brought into the format of the training, as lenet/images/digit.py does it for even
// paper: for the page that works without a server.

const BOX = 20, SIZE = 28, FAINT = 0.03, EDGE = 0.35;

// grey: bytes of shape (height, width), dark on light or light on dark. Returns {image: bytes of
// shape (28, 28), box: [top, left, bottom, right], centre: [row, column]}, or null if it is empty.
export function toMnist(grey, height, width) {
  const border = [];
  for (let c = 0; c < width; c++) border.push(grey[c], grey[(height - 1) * width + c]);
  for (let r = 1; r < height - 1; r++) border.push(grey[r * width], grey[r * width + width - 1]);
  border.sort((a, b) => a - b);
  const paper = border[border.length >> 1];
  let ink = Float64Array.from(grey, (value) => value - paper);
  // The sign of the sum of cubes says whether the ink is light or dark.
  const sign = ink.reduce((sum, x) => sum + x ** 3, 0) < 0 ? -1 : 1;
  ink = ink.map((x) => Math.max(0, sign * x));
  const darkest = ink.reduce((a, b) => Math.max(a, b), 0);
  if (darkest < 8) return null;

  const inked = findDigit(ink, height, width, FAINT * darkest);
  let most = 0;
  ink.forEach((x, at) => { if (inked[at]) most = Math.max(most, x); });
  // A stroke ends in the middle of its blurred edge.
  let [top, left, bottom, right] = [height, width, 0, 0];
  ink.forEach((x, at) => {
    if (!inked[at] || x <= EDGE * most) return;
    const r = Math.floor(at / width), c = at % width;
    [top, left] = [Math.min(top, r), Math.min(left, c)];
    [bottom, right] = [Math.max(bottom, r + 1), Math.max(right, c + 1)];
  });
  const rows = bottom - top, columns = right - left;
  const digit = Float64Array.from({ length: rows * columns }, (_, at) =>
    ink[(top + Math.floor(at / columns)) * width + left + (at % columns)]);
  const centre = centreOf(digit, rows, columns);
  return { image: centreDigit(scaleDigit(digit, rows, columns)), box: [top, left, bottom, right],
           centre: [top + 0.5 + centre[0], left + 0.5 + centre[1]] };
}

// Which pixels belong to the digit: no specks, nor what touches the border if enough does not.
function findDigit(ink, height, width, faint) {
  const piece = new Int32Array(ink.length), mass = [0], count = [0], touches = [false];
  for (let start = 0; start < ink.length; start++) {
    if (piece[start] || ink[start] <= faint) continue;
    const number = mass.length, waiting = [start];
    mass.push(0);
    count.push(0);
    touches.push(false);
    piece[start] = number;
    while (waiting.length) {
      const at = waiting.pop(), r = Math.floor(at / width), c = at % width;
      mass[number] += ink[at];
      count[number] += 1;
      if (r === 0 || c === 0 || r === height - 1 || c === width - 1) touches[number] = true;
      for (let i = Math.max(0, r - 1); i <= Math.min(height - 1, r + 1); i++) {
        for (let j = Math.max(0, c - 1); j <= Math.min(width - 1, c + 1); j++) {
          const other = i * width + j;
          if (!piece[other] && ink[other] > faint) {
            piece[other] = number;
            waiting.push(other);
          }
        }
      }
    }
  }
  if (mass.length === 2) return piece.map((number) => number > 0);
  let counted = mass;
  const inside = mass.map((m, number) => (touches[number] ? 0 : m));
  if (Math.max(...inside) >= 0.2 * Math.max(...mass)) counted = inside;
  const largest = counted.indexOf(Math.max(...counted));
  const darkness = counted.map((m, number) => (number ? m / count[number] : 0));
  const kept = counted.map((m, number) => number > 0 && m >= 0.03 * counted[largest]
                                          && darkness[number] >= 0.5 * darkness[largest]);
  return piece.map((number) => kept[number]);
}

// The digit scaled so that its longer side is 20 pixels and its darkest one 255.
function scaleDigit(digit, rows, columns) {
  const scale = BOX / Math.max(rows, columns);
  const [down, across] = [rows, columns].map((n) => Math.max(1, roundToEven(n * scale)));
  let scaled = digit;
  if (scale !== 1) scaled = resize(digit, rows, columns, down, across, hamming);
  scaled = scaled.map((x) => Math.max(0, x));
  const darkest = scaled.reduce((a, b) => Math.max(a, b), 0);
  return { digit: scaled.map((x) => (x * 255) / darkest), rows: down, columns: across };
}

// In 28 x 28 pixels, with the centre of mass within half a pixel of their middle.
function centreDigit({ digit, rows, columns }) {
  const centre = centreOf(digit, rows, columns);
  const [top, left] = [[centre[0], rows], [centre[1], columns]].map(([middle, length]) =>
    Math.min(Math.max(Math.ceil(SIZE / 2 - 0.5 - middle), 0), SIZE - length));
  const image = new Uint8Array(SIZE * SIZE);
  digit.forEach((x, at) => {
    image[(top + Math.floor(at / columns)) * SIZE + left + (at % columns)] = roundToEven(x);
  });
  return image;
}

function centreOf(values, rows, columns) {
  let total = 0, row = 0, column = 0;
  values.forEach((x, at) => {
    total += x;
    row += x * Math.floor(at / columns);
    column += x * (at % columns);
  });
  return [row / total, column / total];
}

// Rounded as NumPy does, a half to the even number.
function roundToEven(x) {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 ? below + 1 : below;
}

const hamming = (x) => (x === 0 ? 1 : x >= 1 ? 0
  : (Math.sin(Math.PI * x) / (Math.PI * x)) * (0.54 + 0.46 * Math.cos(Math.PI * x)));

export const triangle = (x) => Math.max(0, 1 - x);

// Resize as Pillow does: each pixel is a mean of those below it, weighted by the filter.
export function resize(values, rows, columns, down, across, filter) {
  const horizontal = weightsOf(columns, across, filter);
  const vertical = weightsOf(rows, down, filter);
  const wide = new Float64Array(rows * across), result = new Float64Array(down * across);
  for (let r = 0; r < rows; r++) {
    horizontal.forEach(({ first, weights }, c) => {
      wide[r * across + c] = weights.reduce(
        (sum, w, i) => sum + w * values[r * columns + first + i], 0);
    });
  }
  vertical.forEach(({ first, weights }, r) => {
    for (let c = 0; c < across; c++) {
      result[r * across + c] = weights.reduce(
        (sum, w, i) => sum + w * wide[(first + i) * across + c], 0);
    }
  });
  return result;
}

function weightsOf(length, wanted, filter) {
  const scale = length / wanted, support = Math.max(1, scale);
  return Array.from({ length: wanted }, (_, at) => {
    const centre = (at + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(length, Math.trunc(centre + support + 0.5));
    const weights = [];
    for (let i = first; i < end; i++) {
      weights.push(filter(Math.abs((i - centre + 0.5) / support)));
    }
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((w) => w / sum) };
  });
}
