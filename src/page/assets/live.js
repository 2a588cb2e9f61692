// Pictures, results and events as they come.

import { byId, el, figure, setText } from "./dom.js";

/** Pictures that are shown without being asked for: a browser has few connections to one host. */
const SHOWN_FIRST = 3;
const EVENTS = 40;

const cards = new Map();
let wantedChanged = () => {};

export function onWanted(changed) { wantedChanged = changed; }

/** Names of the pipelines whose pictures are shown. */
export function wanted() {
  return [...cards.values()].filter((card) => card.shown).map((card) => card.name);
}

export function status(status) {
  const { health = {}, governor, pipelines = [] } = status;
  const known = new Set(pipelines.map((pipeline) => pipeline.name));
  for (const [name, card] of cards) {
    if (!known.has(name)) { card.root.remove(); cards.delete(name); }
  }
  for (const { name, pictures } of pipelines) {
    if (!cards.has(name)) add(name, pictures);
    const card = cards.get(name);
    const [of, rung] = [health.pipelines?.[name] ?? {}, governor?.pipelines?.[name]];
    const place = rung ? `rung ${rung.rung + 1} of ${rung.of}${rung.reason ? `: ${rung.reason}` : ""}` : "";
    setText(card.detail, of.idle ?? `${figure(of.fps)} results/s, 95 % within ${figure(of.latency_ms?.p95)} ms`);
    setText(card.rung, place);
  }
  const figures = [
    ["Temperature", figure(health.soc_celsius, "°C")],
    ["In 30 s", figure(governor?.forecast?.in_30s_celsius, "°C")],
    ["Processor", figure(health.cpu_percent, "%", 0)],
    ["Memory", figure(health.rss_bytes / 1e6, "MB", 0)],
    ["Governor", governor ? `${governor.mode}` : "–"],
    ["Broker", health.mqtt ? (health.mqtt.connected ? "connected" : "away") : "–"],
  ].filter(([, value]) => value !== "–");
  const list = byId("figures");
  figures.forEach(([name, value], index) => {
    const box = list.children[index] ?? list.appendChild(el("div", {}, el("dt"), el("dd")));
    setText(box.firstChild, name);
    setText(box.lastChild, value);
  });
  while (list.children.length > figures.length) list.lastChild.remove();
}

function add(name, pictures) {
  const card = { name, shown: false, loading: false, next: 0 };
  card.words = el("p", { class: "words" }, "–");
  card.aside = el("p", { class: "detail" });
  card.detail = el("p", { class: "detail" });
  card.rung = el("p", { class: "detail" });
  const head = el("div", { class: "head" }, el("h3", { class: "name" }, name));
  card.root = el("article", { class: "card" }, head);
  if (pictures) {
    card.image = el("img", { alt: `Picture of ${name} with its results`, hidden: true });
    card.wait = el("p", {}, "waiting for a picture");
    card.screen = el("div", { class: "screen" }, card.wait, card.image);
    card.button = el("button", { type: "button", "aria-pressed": "false", "aria-label": `Picture of ${name}` }, "Show picture");
    card.button.addEventListener("click", () => { look(card, !card.shown); wantedChanged(); });
    card.image.addEventListener("load", () => loaded(card, true));
    card.image.addEventListener("error", () => loaded(card, false));
    head.append(card.button);
    card.root.append(card.screen);
    look(card, wanted().length < SHOWN_FIRST);
  }
  card.root.append(card.words, card.aside, card.detail, card.rung);
  cards.set(name, card);
  byId("pipelines").append(card.root);
}

function look(card, shown) {
  card.shown = shown;
  card.screen.hidden = !shown;
  card.button.setAttribute("aria-pressed", String(shown));
  setText(card.button, shown ? "Hide picture" : "Show picture");
}

/** A picture is there: it is fetched, and of those that come meanwhile the newest. */
export function picture({ pipeline, number }) {
  const card = cards.get(pipeline);
  if (!card?.shown || document.hidden) return;
  card.next = number;
  if (!card.loading) fetchNext(card);
}

function fetchNext(card) {
  const number = card.next;
  [card.next, card.loading] = [0, true];
  card.image.src = `/live/${encodeURIComponent(card.name)}.jpg?n=${number}&t=${Date.now()}`;
}

function loaded(card, well) {
  card.loading = false;
  if (well) { card.image.hidden = false; card.wait.hidden = true; }
  if (well && card.image.naturalHeight) {
    const wide = card.image.naturalWidth / card.image.naturalHeight;
    card.screen.style.aspectRatio = String(Math.min(Math.max(wide, 0.75), 3));
  }
  if (card.next && card.shown) fetchNext(card);
}

export function result(result) {
  const card = cards.get(result.pipeline);
  if (!card) return;
  // The answer first; when and how it came about stands below.
  const parts = (result.words ?? `result ${result.seq}`).split(/ {2,}/);
  const isAside = (part) => /^(age|infer|rung) /.test(part);
  setText(card.words, parts.filter((part) => !isAside(part)).join(", "));
  setText(card.aside, parts.filter(isAside).join(", "));
}

export function event(event) {
  const time = new Date(event.time);
  const line = el("li", {},
    el("time", { datetime: time.toISOString() }, time.toLocaleTimeString()),
    el("b", {}, event.pipeline), el("span", {}, `${event.type} ${event.label}`),
    el("span", { class: "muted" }, [
      figure(event.score * 100, "%", 0), ...(event.zones ?? []), event.stationary ? "rests" : "",
    ].filter(Boolean).join(", ")));
  line.dataset.number = event.number;
  const list = byId("events");
  if ([...list.children].some((one) => one.dataset.number === String(event.number))) return;
  list.prepend(line);
  while (list.children.length > EVENTS) list.lastChild.remove();
  byId("no-events").hidden = true;
}
