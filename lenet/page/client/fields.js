// Which part of each stage below a unit sees: its receptive field.

// The part of the stage below that a part {top, left, bottom, right, map, maps} of stage s sees.
// ``map`` is its only map, ``maps`` a list of some; both are undefined for all maps.
export function findSeenPart(stages, s, part, parameters) {
  const stage = stages[s], [, height, width] = stages[s - 1].shape.length === 3
    ? stages[s - 1].shape : [0, 1, 1];
  switch (stage.what) {
    case "scale":
      return part;
    case "frame":
      return { top: Math.max(0, part.top - stage.top), left: Math.max(0, part.left - stage.left),
               bottom: Math.min(height, part.bottom - stage.top),
               right: Math.min(width, part.right - stage.left) };
    case "convolution": {
      const [, , rows, columns] = parameters[stage.weights].shape;
      return { top: part.top, left: part.left, bottom: part.bottom + rows - 1,
               right: part.right + columns - 1,
               maps: part.map === undefined ? undefined
                 : findSeenMaps(parameters[stage.weights], part.map) };
    }
    case "pooling": {
      const [rows, columns] = stage.window, [down, right] = stage.stride;
      return { map: part.map, maps: part.maps, top: part.top * down, left: part.left * right,
               bottom: (part.bottom - 1) * down + rows, right: (part.right - 1) * right + columns };
    }
    default: // the normalization divides by a mean over the whole image; units see everything
      return { top: 0, left: 0, bottom: height, right: width };
  }
}

// The maps below that a filter sees, if not all: the weights on the others are 0.
function findSeenMaps({ values, shape: [, n, rows, columns] }, k) {
  const size = rows * columns;
  const seen = [...Array(n).keys()].filter((m) =>
    values.subarray((k * n + m) * size, (k * n + m + 1) * size).some((w) => w !== 0));
  return seen.length === n ? undefined : seen;
}

// The parts of all stages from the image up to unit (map, row, column) of stage s.
export function receptiveFields(stages, s, { map, row, column }, parameters) {
  const parts = [];
  parts[s] = { map, top: row, left: column, bottom: row + 1, right: column + 1 };
  for (let t = s; t > 0; t--) parts[t - 1] = findSeenPart(stages, t, parts[t], parameters);
  return parts;
}
