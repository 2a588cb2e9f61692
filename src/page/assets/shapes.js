// Shapes that are drawn on a picture, in pixels of the source: how they move, and what they are in the configuration.

/** Kinds, by what they are drawn for; `most` points, `keys` of the configuration. */
export const KINDS = {
  row: { title: "Row of digits", of: ["meter", "pipeline"] },
  digit: { title: "Digit", of: ["meter"] },
  dial: { title: "Dial", of: ["meter"] },
  mark: { title: "Alignment mark", of: ["meter"] },
  region: { title: "Region", of: ["pipeline"] },
  zone: { title: "Zone", of: ["pipeline"] },
  line: { title: "Line", of: ["pipeline"] },
};
const round = (value) => Math.round(value * 10) / 10;
const share = (value) => Math.round(Math.min(Math.max(value, 0), 1) * 1e4) / 1e4;

export const middle = (points) => [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
export const move = (points, [dx, dy]) => points.map(([x, y]) => [x + dx, y + dy]);
export const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
export const box = ([ax, ay], [bx, by]) => {
  const [x, y, u, v] = [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
  return [[x, y], [u, y], [u, v], [x, v]];
};

/** Turns points about their middle by an angle in radians. */
export function turn(points, angle) {
  const [x, y] = middle(points);
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  return points.map(([px, py]) => [x + (px - x) * cos - (py - y) * sin, y + (px - x) * sin + (py - y) * cos]);
}

/** A square about the middle of a dragged box, as large as its longer side. */
export function square(points) {
  const [x, y] = middle(points);
  const half = Math.max(distance(points[0], points[1]), distance(points[1], points[2])) / 2;
  return box([x - half, y - half], [x + half, y + half]);
}

/** The corners of a shape after one of them was dragged to `to`. */
export function dragged(shape, index, to, free) {
  const { kind, points } = shape;
  if (kind === "mark") return box(points[(index + 2) % 4], to);
  if (kind === "dial" && !free) {
    const at = middle(points);
    const factor = Math.max(distance(at, to) / Math.max(distance(at, points[index]), 1e-6), 0.05);
    return points.map(([x, y]) => [at[0] + (x - at[0]) * factor, at[1] + (y - at[1]) * factor]);
  }
  return points.map((point, n) => (n === index ? to : point));
}

const between = (a, b, t) => [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t];

/** The regions of a row, one a digit: equal shares of it, `gap` per cent of each left free. */
export function cells({ points, count, gap }) {
  const [a, b, c, d] = points;
  const free = gap / 200;
  return Array.from({ length: count }, (_, index) => {
    const [from, to] = [(index + free) / count, (index + 1 - free) / count];
    return [between(a, b, from), between(a, b, to), between(d, c, to), between(d, c, from)];
  });
}

/** Corners as they stand in the configuration: a rectangle where it is upright. */
export function region(points) {
  const upright = (a, b, axis) => Math.abs(points[a][axis] - points[b][axis]) < 0.25;
  if (upright(0, 1, 1) && upright(1, 2, 0) && upright(2, 3, 1) && upright(3, 0, 0) && points[1][0] > points[0][0] && points[2][1] > points[1][1]) {
    const [x, y] = points[0];
    return { rect: [round(x), round(y), round(points[1][0] - x), round(points[2][1] - y)] };
  }
  return { quad: points.flat().map(round) };
}

function corners({ rect, quad }) {
  if (rect) return box([rect[0], rect[1]], [rect[0] + rect[2], rect[1] + rect[3]]);
  return [0, 2, 4, 6].map((at) => [quad[at], quad[at + 1]]);
}

/** Regions one beside the other as one row; null where they are none. */
function rowOf(regions) {
  if (regions.length < 2) return null;
  const all = regions.map(corners);
  const count = all.length;
  const [first, last] = [all[0], all[count - 1]];
  const pitch = distance(middle(first), middle(last)) / (count - 1);
  const width = (distance(first[0], first[1]) + distance(last[0], last[1])) / 2;
  const free = Math.min(Math.max(1 - width / pitch, 0), 0.6);
  const grow = (corner, other) => between(corner, other, -free / 2 / (1 - free));
  const points = [grow(first[0], first[1]), grow(last[1], last[0]), grow(last[2], last[3]), grow(first[3], first[2])];
  const row = { kind: "row", points, count, gap: Math.round(free * 100) };
  const off = cells(row).map((cell, n) => Math.max(...cell.map((corner, k) => distance(corner, all[n][k]))));
  return Math.max(...off) < Math.max(0.06 * pitch, 1) ? row : null;
}

const rowOr = (regions, kind) => {
  const row = rowOf(regions);
  return row ? [row] : regions.map((one) => ({ kind, points: corners(one) }));
};

/** Shapes of what the configuration or a proposal says. */
export function shapesOf({ digits = [], dials = [], align = [], regions = [], zones = [], lines = [] }, [width, height]) {
  const whole = ([x, y]) => [x * width, y * height];
  return [
    ...rowOr(digits, "digit"),
    ...dials.map((dial) => ({ kind: "dial", points: corners(dial), clockwise: dial.clockwise !== false })),
    ...align.map((one) => ({ kind: "mark", points: corners(one) })),
    ...rowOr(regions, "region"),
    ...zones.map((zone) => ({ kind: "zone", points: zone.polygon.map(whole), name: zone.name, more: zone })),
    ...lines.map((line) => ({ kind: "line", points: [line.from, line.to].map(whole), name: line.name, more: line })),
  ];
}

/** The shapes as the configuration has them, at `scale` pixels for one of theirs. */
export function written(shapes, [width, height], scale = 1) {
  const at = (points) => region(points.map(([x, y]) => [x * scale, y * scale]));
  const of = (...kinds) => shapes.filter((shape) => kinds.includes(shape.kind));
  const parts = (shape) => (shape.kind === "row" ? cells(shape).map(at) : [at(shape.points)]);
  const shares = (points) => points.map(([x, y]) => [share(x / width), share(y / height)]);
  return {
    digits: of("row", "digit").flatMap(parts),
    dials: of("dial").map((shape) => ({ ...at(shape.points), ...(shape.clockwise ? {} : { clockwise: false }) })),
    align: of("mark").map((shape) => at(shape.points)),
    regions: of("row", "region").flatMap(parts),
    zones: of("zone").map(({ name, points, more }) => ({ ...more, name, polygon: shares(points) })),
    lines: of("line").map(({ name, points, more }) => {
      const [from, to] = shares(points);
      return { ...more, name, from, to };
    }),
  };
}
