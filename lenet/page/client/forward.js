// The forward pass, stage by stage, as Theano computes it: each function takes the output of the
// stage below. A stage is described by lenet/networks/stages.py; its output is a Float32Array, map
// after map and row after row.

export const activations = {
  linear: (z) => z,
  tanh: Math.tanh,
  sigmoid: (z) => 1 / (1 + Math.exp(-z)),
  relu: (z) => Math.max(0, z),
  softplus: (z) => (z > 30 ? z : Math.log1p(Math.exp(z))),
  squash: (z) => 1.7159 * Math.tanh((2 / 3) * z),
};

export const product = (shape) => shape.reduce((a, b) => a * b, 1);

// (maps, rows, columns) of a stage's output: a unit of a layer is a map of one pixel.
export const mapsShape = (stage) =>
  stage.shape.length === 3 ? stage.shape : [product(stage.shape), 1, 1];

// All outputs of a network for one image, and the probability of each class.
export function forward(stages, parameters, image) {
  const outputs = [image];
  for (let s = 1; s < stages.length; s++) {
    outputs.push(compute[stages[s].what](stages[s], outputs[s - 1], stages[s - 1], parameters));
  }
  const last = outputs[outputs.length - 1];
  const isDistance = stages[stages.length - 1].what === "distances";
  return { outputs, probabilities: isDistance ? softmax(last.map((d) => -d)) : last };
}

const compute = {
  // The numbers that a network was trained on, made of bytes / 256.
  scale: (stage, below) => below.map((pixel, i) => (pixel - stage.mean[i]) / stage.deviation[i]),

  // 28 x 28 pixels lie in the middle of 32 x 32 of paper.
  frame(stage, below, { shape: [, , width] }) {
    const [, rows, columns] = stage.shape;
    const output = new Float32Array(rows * columns).fill(stage.background);
    below.forEach((pixel, i) => {
      output[(stage.top + Math.floor(i / width)) * columns + stage.left + (i % width)] =
        pixel * (stage.ink - stage.background) + stage.background;
    });
    return output;
  },

  convolution(stage, below, { shape: [nBelow, height, width] }, parameters) {
    const [n, rows, columns] = stage.shape;
    const { values: W, shape: [, , filterRows, filterColumns] } = parameters[stage.weights];
    const f = activations[stage.activation];
    const sums = new Float64Array(n * rows * columns);
    for (let k = 0; k < n; k++) {
      for (let m = 0; m < nBelow; m++) {
        for (let i = 0; i < filterRows; i++) {
          for (let j = 0; j < filterColumns; j++) {
            // A convolution turns the filter by 180 degrees.
            const w = W[((k * nBelow + m) * filterRows + filterRows - 1 - i) * filterColumns
                        + filterColumns - 1 - j];
            if (w === 0) continue;
            for (let r = 0; r < rows; r++) {
              const from = (m * height + r + i) * width + j;
              const to = (k * rows + r) * columns;
              for (let c = 0; c < columns; c++) sums[to + c] += w * below[from + c];
            }
          }
        }
      }
    }
    const bias = stage.bias ? parameters[stage.bias].values : null;
    return Float32Array.from(sums, (sum, at) =>
      f(sum + (bias ? bias[Math.floor(at / (rows * columns))] : 0)));
  },

  pooling(stage, below, belowStage, parameters) {
    const [, rows, columns] = stage.shape;
    return Float32Array.from({ length: product(stage.shape) }, (_, at) => poolWindow(
      stage, below, belowStage, parameters, Math.floor(at / (rows * columns)),
      Math.floor(at / columns) % rows, at % columns).value);
  },

  // v = x - sum w x, v / max(c, sigma): over all maps, in a neighbourhood with Gaussian weights.
  normalization(stage, below, { shape: [n, rows, columns] }) {
    const half = (stage.size - 1) / 2;
    const bell = Float64Array.from({ length: stage.size }, (_, i) =>
      Math.exp(-0.5 * ((i - half) / (stage.size / 4)) ** 2));
    const total = bell.reduce((a, b) => a + b) ** 2;
    const localMean = (values) => {
      const mean = new Float64Array(rows * columns);
      values.forEach((value, at) => { mean[at % mean.length] += value / n; });
      return mean.map((_, at) => {
        const r = Math.floor(at / columns), c = at % columns;
        let sum = 0;
        for (let i = Math.max(0, r - half); i <= Math.min(rows - 1, r + half); i++) {
          for (let j = Math.max(0, c - half); j <= Math.min(columns - 1, c + half); j++) {
            sum += mean[i * columns + j] * bell[i - r + half] * bell[j - c + half];
          }
        }
        return sum / total;
      });
    };
    const mean = localMean(below);
    const v = Float64Array.from(below, (x, at) => x - mean[at % mean.length]);
    const sigma = localMean(v.map((x) => x * x)).map((x) => Math.sqrt(Math.max(x, 1e-12)));
    const c = sigma.reduce((a, b) => a + b) / sigma.length;
    return Float32Array.from(v, (x, at) => x / Math.max(c, sigma[at % sigma.length]));
  },

  units(stage, below, belowStage, parameters) {
    return Float32Array.from(sumsOf(stage, below, parameters), activations[stage.activation]);
  },

  softmax(stage, below, belowStage, parameters) {
    return softmax(sumsOf(stage, below, parameters));
  },

  distances(stage, below) {
    return Float32Array.from(stage.centres, (centre) =>
      centre.reduce((sum, w, i) => sum + (below[i] - w) ** 2, 0));
  },
};

// x W + b, where dropout keeps a part of x.
export function sumsOf(stage, below, parameters) {
  const { values: W, shape: [nIn, n] } = parameters[stage.weights];
  const sums = Float64Array.from(parameters[stage.bias].values);
  for (let i = 0; i < nIn; i++) {
    const x = below[i] * stage.kept;
    if (x !== 0) for (let k = 0; k < n; k++) sums[k] += x * W[i * n + k];
  }
  return sums;
}

export function softmax(scores) {
  const largest = Math.max(...scores);
  const powers = Array.from(scores, (score) => Math.exp(score - largest));
  const sum = powers.reduce((a, b) => a + b);
  return Float32Array.from(powers, (power) => power / sum);
}

// One window of map k: its numbers, what is made of them, and what becomes of that.
export function poolWindow(stage, below, { shape: [, height, width] }, parameters, k, r, c) {
  const [rows, columns] = stage.window, [down, right] = stage.stride;
  const numbers = [];
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      numbers.push(below[(k * height + r * down + i) * width + c * right + j]);
    }
  }
  let compared = numbers;
  if (stage.penalties) { // for the distance (i, j) from the middle of the window
    const [a, b, aa, bb] = parameters[stage.penalties].values;
    compared = numbers.map((x, at) => {
      const i = Math.floor(at / columns) - (rows - 1) / 2, j = (at % columns) - (columns - 1) / 2;
      return x - (a * i + b * j + aa * i * i + bb * j * j);
    });
  }
  const result = pools[stage.mode](compared);
  const coefficient = stage.coefficient ? parameters[stage.coefficient].values[k] : 1;
  const bias = stage.bias ? parameters[stage.bias].values[k] : 0;
  const sum = result * coefficient + bias;
  return { numbers, compared, result, coefficient, bias, sum,
           value: activations[stage.activation](sum) };
}

const add = (numbers) => numbers.reduce((a, b) => a + b, 0);
const largest = (numbers) => Math.max(...numbers);

const pools = {
  max: largest,
  deformation: largest,
  sum: add,
  mean: (numbers) => add(numbers) / numbers.length,
  l2: (numbers) => Math.sqrt(add(numbers.map((x) => x * x)) + 1e-8),
  stochastic: (numbers) => add(numbers.map((x) => x * x)) / (add(numbers) || 1),
};
