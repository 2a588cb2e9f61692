// What was measured over hours and days.

import { byId, el, get } from "./dom.js";
import { plot } from "./plot.js";

const EVERY = 10000;
/** Forecasts are drawn where they were meant for, in ms. */
const AHEAD = 30000;

let timer = null;

export function show(shown) {
  clearInterval(timer);
  timer = shown ? setInterval(load, EVERY) : null;
  if (shown) load();
}

const span = () => document.querySelector("input[name=span]:checked").value;
for (const input of document.querySelectorAll("input[name=span]")) input.addEventListener("change", load);

async function load() {
  if (document.hidden) return;
  let history;
  try { history = await get(`/api/history?span=${span()}`); } catch { return; }
  const { series, end_ms, every_s } = history;
  const of = (name, as, shift) => series[name] && { name: as, values: padded(series, name), shift };
  const each = (kind) => Object.keys(series).filter((name) => name.endsWith(`/${kind}`)).map((name) => of(name, name.slice(0, -kind.length - 1)));
  const plots = [
    { title: "Temperature", unit: "°C", lines: [of("node/soc_celsius", "measured"), of("node/in_30s_celsius", "as expected 30 s before", AHEAD), of("node/limit_celsius", "limit")] },
    { title: "Load", unit: "%", from0: true, lines: [of("node/cpu_percent", "all"), of("node/own_cpu_percent", "leptond")] },
    { title: "Rung (0 = full work)", unit: "", from0: true, whole: true, lines: each("rung") },
    { title: "Latency, 95 % within", unit: "ms", from0: true, lines: each("p95_ms") },
    { title: "Results per second", unit: "/s", from0: true, lines: each("fps") },
    { title: "Memory", unit: "MB", from0: true, lines: [of("node/rss_mb", "resident")] },
    ...each("value").map((line) => ({ title: `Value of ${line.name}`, unit: "", lines: [line] })),
  ].map((one) => ({ ...one, lines: one.lines.filter(Boolean) })).filter((one) => one.lines.some((line) => line.values.some((value) => value !== null)));
  byId("no-points").hidden = plots.length > 0;
  const root = byId("plots");
  plots.forEach((one, index) => {
    const card = root.children[index] ?? root.appendChild(el("article", { class: "card" }, el("h3"), el("figure")));
    card.firstChild.textContent = one.title;
    plot(card.lastChild, { ...one, end: end_ms, every: every_s * 1000 });
  });
  while (root.children.length > plots.length) root.lastChild.remove();
}

/** Series of one answer end together; those that began later are shorter. */
function padded(series, name) {
  const longest = Math.max(...Object.values(series).map((one) => one.values.length));
  const { values } = series[name];
  return [...Array(longest - values.length).fill(null), ...values];
}
