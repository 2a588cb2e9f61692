// Lines over time as SVG, with a legend that tells the numbers.

import { el, figure, setText } from "./dom.js";

const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [220, 46, 8, 10, 24];
/** Width where the page does not know its own yet. */
const USUAL_WIDTH = 560;

/** Round values between which `low` and `high` lie, about four steps. */
export function ticks(low, high, whole = false) {
  if (!(high > low)) [low, high] = [low - 1, high + 1];
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = power * ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999) ?? 10);
  if (whole) step = Math.max(1, Math.ceil(step));
  const found = [];
  for (let value = Math.floor(low / step) * step; value < high + step * 0.999; value += step) found.push(Number(value.toPrecision(12)));
  return found;
}

/**
 * Draws into a figure. `lines` are `{ name, values, shift }` with values that end at `end` and are `every` apart, in ms; `shift` moves a
 * line to the right, in ms.
 */
export function plot(figureElement, { title, unit, lines, end, every, whole, from0 }) {
  // One unit is one pixel, so that letters have their size on every screen.
  const WIDTH = Math.max(240, figureElement.clientWidth || USUAL_WIDTH);
  const longest = Math.max(2, ...lines.map((line) => line.values.length));
  const begin = end - (longest - 1) * every;
  const known = lines.flatMap((line) => line.values.filter((value) => value !== null));
  const steps = ticks(from0 ? Math.min(0, ...known) : Math.min(...known), Math.max(...known), whole);
  const [low, high] = [steps[0], steps[steps.length - 1]];
  const x = (time) => LEFT + ((time - begin) / (end - begin)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((value - low) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
  const grid = steps.flatMap((value) => [
    el("svg:line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
    el("svg:text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, String(value)),
  ]);
  const long = end - begin > 30 * 3600e3;
  const clock = (time) => new Date(time).toLocaleString([], long ? { weekday: "short", hour: "2-digit", minute: "2-digit" } : { hour: "2-digit", minute: "2-digit" });
  const parts = WIDTH > 420 ? [0, 1 / 3, 2 / 3, 1] : [0, 0.5, 1];
  const times = parts.map((part, index) => el("svg:text", {
    x: LEFT + part * (WIDTH - LEFT - RIGHT), y: HEIGHT - 6, "text-anchor": index === 0 ? "start" : part === 1 ? "end" : "middle",
  }, clock(begin + part * (end - begin))));
  const timeOf = (line, index) => end - (line.values.length - 1 - index) * every + (line.shift ?? 0);
  const paths = lines.map((line, index) => {
    let [path, pen] = ["", false];
    line.values.forEach((value, at) => {
      const time = timeOf(line, at);
      if (value === null || time > end) { pen = false; return; }
      const point = `${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
      path += !pen ? `M${point}l0.1 0` : whole ? `H${x(time).toFixed(1)}V${y(value).toFixed(1)}` : `L${point}`;
      pen = true;
    });
    return el("svg:path", { class: style(index), d: path || "M0 0" });
  });
  const at = el("svg:line", { class: "at", y1: TOP, y2: HEIGHT - BOTTOM, x1: 0, x2: 0, visibility: "hidden" });
  const said = lines.map((line) => `${line.name} ${figure(last(line.values))} ${unit}`).join(", ");
  const svg = el("svg:svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${said}` }, ...grid, ...times, ...paths, at);
  const shown = lines.map(() => el("span"));
  const tell = (index) => lines.forEach((line, nth) => {
    const known = line.values.filter((value) => value !== null);
    const value = index === null ? last(line.values) : line.values[index] ?? null;
    const range = index === null && known.length ? ` (${figure(Math.min(...known))} to ${figure(Math.max(...known))})` : "";
    setText(shown[nth], `${line.name} ${figure(value)} ${unit}${range}`);
  });
  tell(null);
  const legend = el("ul", { class: "legend" }, ...lines.map((_, index) => el("li", {},
    el("svg:svg", { viewBox: "0 0 24 8", "aria-hidden": "true" }, el("svg:path", { class: style(index), d: "M0 4H24", "stroke-width": 3 })), shown[index])));
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const place = ((event.clientX - box.left) / box.width) * WIDTH;
    const index = Math.round(((place - LEFT) / (WIDTH - LEFT - RIGHT)) * (longest - 1));
    if (index < 0 || index >= longest) return;
    at.setAttribute("x1", x(begin + index * every));
    at.setAttribute("x2", x(begin + index * every));
    at.setAttribute("visibility", "visible");
    tell(index);
  });
  svg.addEventListener("pointerleave", () => { at.setAttribute("visibility", "hidden"); tell(null); });
  figureElement.replaceChildren(svg, el("figcaption", {}, legend));
}

const style = (index) => `s${index % 8} d${Math.floor(index / 8) ? 3 : index % 3}`;

function last(values) {
  for (let index = values.length - 1; index >= 0; index -= 1) if (values[index] !== null) return values[index];
  return null;
}
