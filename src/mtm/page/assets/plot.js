const dark = matchMedia("(prefers-color-scheme: dark)");

/** Corners of markers around 0, within 1 to either side; names as matplotlib has them. */
const MARKERS = {
  s: [[-0.8, -0.8], [0.8, -0.8], [0.8, 0.8], [-0.8, 0.8]],
  D: [[0, -1], [1, 0], [0, 1], [-1, 0]],
  d: [[0, -1.1], [0.65, 0], [0, 1.1], [-0.65, 0]],
  "^": [[0, -1], [1, 0.8], [-1, 0.8]],
  v: [[0, 1], [1, -0.8], [-1, -0.8]],
  ">": [[1, 0], [-0.8, 1], [-0.8, -1]],
  "<": [[-1, 0], [0.8, 1], [0.8, -1]],
  p: around(5), h: around(6), "*": around(5, 0.45), P: plus(0), X: plus(Math.PI / 4),
};

/** Corners of a polygon, or of a star. */
function around(n, inner = 0) {
  const steps = inner ? 2 * n : n;
  return Array.from({ length: steps }, (_, at) => {
    const reach = inner && at % 2 ? inner : 1;
    const angle = (2 * Math.PI * at) / steps - Math.PI / 2;
    return [reach * Math.cos(angle), reach * Math.sin(angle)];
  });
}

/** Corners of a thick cross. */
function plus(turn) {
  const [near, far] = [0.35, 1];
  const quarter = [[near, -far], [near, -near], [far, -near]];
  return [0, 1, 2, 3].flatMap((side) => quarter.map(([x, y]) => {
    const angle = (side * Math.PI) / 2 + turn;
    return [x * Math.cos(angle) - y * Math.sin(angle), x * Math.sin(angle) + y * Math.cos(angle)];
  }));
}

/** A model's mark around a place. */
function mark(model, x, y, size, title) {
  const corners = MARKERS[model.marker];
  const look = { fill: shade(model.color), stroke: dark.matches ? "#16191d" : "#ffffff", "stroke-width": 0.6 };
  const node = corners
    ? svg("polygon", { points: corners.map(([dx, dy]) => `${(x + size * dx).toFixed(1)},${(y + size * dy).toFixed(1)}`).join(" "), ...look })
    : svg("circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: size, ...look });
  if (title) node.append(svg("title", {}, title));
  return node;
}

/** A mark by itself, for keys. */
function swatch(model) {
  return svg("svg", { width: 14, height: 14, "aria-hidden": "true" }, mark(model, 7, 7, 5, ""));
}

/** A model's colour, lighter on a dark ground until it stands out there. */
function shade(color) {
  if (!dark.matches) return color;
  let parts = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  while (luminance(parts) < 0.3) parts = parts.map((part) => Math.min(255, part + 0.12 * (255 - part) + 2));
  return `#${parts.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
}

function luminance(parts) {
  const [red, green, blue] = parts.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Names of models beside their marks. */
function key(models) {
  return el("ul", { class: "key" }, ...models.map((model) => el("li", {}, swatch(model), model.title)));
}

/**
 * A row for every tissue, in it a mark with its interval for every model.
 * @param {HTMLElement} place filled with the drawing, as wide as it is
 * @param {object} given
 * @param {string} given.label what a screen reader says
 * @param {any[]} given.models
 * @param {{name: string, short: string, chosen?: boolean, limits?: number[],
 *   marks: ({rho: number | null, low: number | null, high: number | null, null?: (number | null)[]} | null)[]}[]} given.rows
 */
function dotPlot(place, { label, models, rows }) {
  const width = Math.min(900, place.clientWidth || 700);
  const narrow = width < 560;
  const lane = models.length > 1 ? 8 : 12;
  const height = 8 + lane * models.length;
  const left = narrow ? 78 : 250;
  const right = width - 14;
  const [top, bottom] = [22, 22 + height * rows.length];
  const all = rows.flatMap((row) => [
    ...(row.limits ?? []),
    ...row.marks.flatMap((one) => (one?.rho == null ? [] : [one.rho, one.low ?? one.rho, one.high ?? one.rho, ...(one.null ?? [])])),
  ]).filter((value) => value != null);
  const low = Math.min(0, Math.floor(10 * Math.min(...all)) / 10);
  const high = Math.max(0.1, Math.ceil(10 * Math.max(...all)) / 10);
  const x = (value) => left + ((value - low) / (high - low)) * (right - left);
  const step = (high - low) / (narrow ? 4 : 8) > 0.1 ? 0.2 : 0.1;
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${bottom + 36}`, role: "img", "aria-label": label });

  for (let at = 1; at < rows.length; at += 2)
    drawing.append(svg("rect", { class: "band", x: 0, width, y: top + at * height, height }));
  for (let tick = Math.round(low / step); tick * step <= high + 1e-9; tick++) {
    const value = tick * step;
    drawing.append(svg("line", { class: tick ? "grid" : "zero", x1: x(value), x2: x(value), y1: top, y2: bottom }));
    for (const y of [top - 7, bottom + 14])
      drawing.append(svg("text", { x: x(value), y, "text-anchor": "middle" }, fixed(value, 1)));
  }
  drawing.append(svg("text", { x: (left + right) / 2, y: bottom + 31, "text-anchor": "middle" }, "ρ, with 95% intervals"));

  rows.forEach((row, at) => {
    const above = top + at * height;
    drawing.append(svg("text", { x: left - 8, y: above + height / 2 + 4, "text-anchor": "end", class: row.chosen ? "chosen" : null },
      narrow ? row.short.slice(0, 10) : row.name.length > 36 ? `${row.name.slice(0, 35)}…` : row.name, svg("title", {}, row.name)));
    for (const limit of row.limits ?? [])
      if (limit != null) drawing.append(svg("line", { class: "limit", x1: x(limit), x2: x(limit), y1: above + 1, y2: above + height - 1 }));
    row.marks.forEach((one, number) => {
      if (one?.rho == null) return;
      const model = models[number];
      const y = above + 4 + lane * (number + 0.5);
      if (one.null && one.null[0] != null)
        drawing.append(svg("rect", { class: "null", x: x(one.null[0]), width: x(one.null[1]) - x(one.null[0]), y: y - lane / 2, height: lane }));
      if (one.low != null)
        drawing.append(svg("line", { x1: x(one.low), x2: x(one.high), y1: y, y2: y, stroke: shade(model.color), "stroke-width": 1.4 }));
      drawing.append(mark(model, x(one.rho), y, 3.8, `${row.name}, ${model.title}: ${withInterval(one.rho, one.low, one.high)}`));
    });
  });
  place.replaceChildren(drawing);
}
