// Drawing on a picture: what is read where, and saving it.

import { byId, el, figure, get, send, setText } from "./dom.js";
import { KINDS, box, cells, distance, dragged, middle, move, shapesOf, square, turn, written } from "./shapes.js";

/** Time after the last change before what is drawn is read, in ms. */
const SETTLE = 250;
/** Time for which the end of a change is waited for, and between two looks, in ms. */
const [WATCH, LOOK] = [100000, 4000];
const UNDO = 60;
/** Pixels of a photo that is sent as it is. */
const PIXELS = 12e6;
const SIDE = 48;

let [shown, drawings, subject] = [false, null, null];
/** The picture: its number, its size, where it came from; the size of the source's pictures. */
let [photo, size] = [null, [640, 480]];
let [shapes, chosen, tool, unfinished, saved, past] = [[], -1, null, null, "[]", []];
/** Readings of the shapes, in their order. */
let reads = [];
let [reader, reading, again, zoom, known] = [null, false, false, 1, false];
const svg = byId("drawing");

export function show(now) {
  const first = now && !shown;
  shown = now;
  if (first && !dirty()) open();
}

/** Until the picture is there nothing can be drawn: it would be drawn on another one. */
function busy(is) {
  byId("edit-open").inert = is;
  byId("edit-open").setAttribute("aria-busy", String(is));
}

const dirty = () => JSON.stringify(shapes) !== saved;
const outcome = (text) => setText(byId("edit-saved"), text);
const say = (text) => setText(byId("edit-state"), text);
const isMeter = () => subject?.kind === "meter";
const at = (list) => list.map((point) => point.join(",")).join(" ");

/** Asks what is drawn already. */
async function open() {
  busy(true);
  try { drawings = await get("/api/drawings"); } catch (error) { say(error.message); return; }
  const { meters, pipelines, edits } = drawings;
  const subjects = [...meters.map((one) => ({ ...one, kind: "meter" })), ...pipelines.map((one) => ({ ...one, kind: "pipeline" }))];
  let note = drawings.file ? "" : "This run has no configuration file: what is drawn here is read, and cannot be saved.";
  if (!subjects.length) note = "No meter or pipeline takes pictures of a source of its own.";
  if (!edits) note = "Drawing is turned off: [page] edit.";
  byId("edit-closed").hidden = !note;
  setText(byId("edit-closed"), note);
  byId("edit-open").hidden = !edits || !subjects.length;
  if (!edits || !subjects.length) return;
  const choice = byId("subject");
  choice.replaceChildren(...subjects.map((one, index) => el("option", { value: index }, `${one.kind} ${one.name}`)));
  const before = subjects.findIndex((one) => one.kind === subject?.kind && one.name === subject.name);
  choice.value = String(Math.max(before, 0));
  choice.subjects = subjects;
  await choose(subjects[Math.max(before, 0)]);
}

/** Takes up what is drawn for a meter or pipeline. */
async function choose(one) {
  [subject, shapes, reads, chosen, tool, unfinished, past, photo, known] = [one, [], [], -1, null, null, [], null, false];
  byId("propose").hidden = !isMeter();
  byId("take-reference").hidden = !one.reference;
  byId("tools").replaceChildren(...Object.entries(KINDS).filter(([, { of }]) => of.includes(one.kind)).map(([kind, { title }]) => {
    const button = el("button", { type: "button", "aria-pressed": "false", "data-tool": kind }, title);
    button.addEventListener("click", () => arm(tool === kind ? null : kind));
    return button;
  }));
  // Marks and regions belong to the reference picture, where there is one.
  await take(one.reference ? { reference: one.name } : { pipeline: one.name }, null, () => {
    shapes = shapesOf(one, size);
    saved = JSON.stringify(shapes);
  });
}

/** Takes a picture of the source or the reference, or a file; then does what is to be done before anything is drawn. */
async function take(origin, file, before = () => {}) {
  say(file ? "Sending the photo…" : "Waiting for a picture…");
  busy(true);
  try {
    const query = new URLSearchParams(origin).toString();
    const got = await send(`/api/photos${query ? `?${query}` : ""}`, drawings.token, file ?? "");
    photo = { number: got.photo, size: got.size, origin: file ? "file" : Object.keys(origin)[0] };
    // Shapes are in pixels of the source; a photo of another size shows the same, or it is no photo of this camera.
    if (!file || !known) size = got.size;
    known = known || !file;
    byId("photo").src = `/api/photos/${got.photo}`;
    const [width, height] = photo.size;
    const fits = Math.abs(width / height / (size[0] / size[1]) - 1) < 0.02;
    photo.scale = width / size[0];
    photo.fits = fits;
    say(fits ? `Picture of ${width} × ${height} pixels.` : `This photo has another shape (${width} × ${height}) than the source's pictures (${size.join(" × ")}): it can be tried, and not saved.`);
  } catch (error) {
    say(error.message);
  }
  before();
  busy(false);
  draw();
  changed();
}

/** A photo with more pixels than are needed is made smaller before it is sent. */
async function smaller(file) {
  const bitmap = await createImageBitmap(file);
  const factor = Math.sqrt(PIXELS / (bitmap.width * bitmap.height));
  if (factor >= 1) return file;
  const canvas = el("canvas", { width: Math.round(bitmap.width * factor), height: Math.round(bitmap.height * factor) });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => { canvas.toBlob(done, "image/jpeg", 0.92); });
}

function arm(kind) {
  [tool, unfinished] = [kind, null];
  for (const button of byId("tools").children) button.setAttribute("aria-pressed", String(button.dataset.tool === kind));
  svg.classList.toggle("armed", kind !== null);
  const how = { zone: "click its corners, and the first one again to close it", line: "drag from its first to its second point" };
  if (kind) say(`${KINDS[kind].title}: ${how[kind] ?? "drag over the picture"}, or press Enter on the picture.`);
}

/** Remembers what is drawn before it is changed. */
function remember() {
  past.push(JSON.stringify(shapes));
  if (past.length > UNDO) past.shift();
}

function add(shape) {
  remember();
  const of = shapes.filter((one) => one.kind === shape.kind).length;
  if (shape.kind === "row") Object.assign(shape, { count: 5, gap: 0 });
  if (shape.kind === "dial") Object.assign(shape, { points: square(shape.points), clockwise: true });
  if (shape.kind === "zone" || shape.kind === "line") Object.assign(shape, { name: `${shape.kind}${of + 1}`, more: {} });
  shapes.push(shape);
  chosen = shapes.length - 1;
  arm(null);
  draw();
  changed();
}

/** Pixels of the source for one of the screen. */
const unit = () => size[0] / Math.max(svg.clientWidth, 1);

function place(event) {
  const { left, top, width, height } = svg.getBoundingClientRect();
  return [((event.clientX - left) / width) * size[0], ((event.clientY - top) / height) * size[1]].map((value, axis) => Math.min(Math.max(value, 0), size[axis]));
}

/** Draws the shapes anew; what has the focus keeps it. */
function draw() {
  const focus = svg.contains(document.activeElement) ? document.activeElement.getAttribute("data-at") : null;
  svg.setAttribute("viewBox", `0 0 ${size.join(" ")}`);
  byId("canvas").style.aspectRatio = `${size[0]} / ${size[1]}`;
  byId("canvas").style.width = `${zoom * 100}%`;
  svg.replaceChildren(...shapes.flatMap((shape, index) => drawn(shape, index)), ...(unfinished ? [el("svg:polyline", { class: "shape zone", points: at(unfinished) })] : []));
  if (focus) svg.querySelector(`[data-at="${focus}"]`)?.focus();
  list();
  byId("undo").disabled = past.length === 0;
  byId("compare").disabled = !dirty() || !photo?.fits || !drawings?.file;
}

function drawn(shape, index) {
  const { kind, points } = shape;
  const name = title(shape, index);
  const isChosen = index === chosen;
  const parts = kind === "row" ? cells(shape) : [points];
  const outline = parts.map((part) => el(kind === "line" ? "svg:polyline" : "svg:polygon", { class: `shape ${kind}`, points: at(part) }));
  if (kind === "dial") {
    // A stroke at the dial's zero.
    const top = middle(points.slice(0, 2));
    outline.push(el("svg:polyline", { class: "shape dial", points: at([middle(points), top]) }));
  }
  const group = el("svg:g", { class: isChosen ? "chosen" : null, tabindex: "0", role: "button", "aria-label": `${name}: arrow keys move it, Delete removes it`, "data-at": `${index}` }, ...outline,
    el("svg:polygon", { class: "body", points: at(points) }));
  group.addEventListener("pointerdown", (event) => grab(event, index, (start, to) => move(start, [to[0] - grab.from[0], to[1] - grab.from[1]])));
  group.addEventListener("keydown", (event) => keys(event, index, (start, by) => move(start, by)));
  group.addEventListener("focus", () => pick(index));
  if (!isChosen) return [group];
  const radius = Math.min(unit() * 9, Math.max(distance(points[0], points[1]) / 3, unit() * 4));
  const handles = points.map((point, n) => {
    const handle = el("svg:circle", { class: "handle", cx: point[0], cy: point[1], r: radius, tabindex: "0", role: "button", "aria-label": `Corner ${n + 1} of ${name}`, "data-at": `${index}.${n}` });
    handle.addEventListener("pointerdown", (event) => grab(event, index, (start, to) => dragged({ kind, points: start }, n, to, event.shiftKey)));
    handle.addEventListener("keydown", (event) => keys(event, index, (start, [dx, dy]) => dragged({ kind, points: start }, n, [start[n][0] + dx, start[n][1] + dy], true)));
    return handle;
  });
  if (points.length === 4 && kind !== "mark" && kind !== "zone") {
    const [middleOf, top] = [middle(points), middle(points.slice(0, 2))];
    const reach = 1 + (unit() * 28) / Math.max(distance(middleOf, top), 1);
    const knob = [0, 1].map((axis) => middleOf[axis] + (top[axis] - middleOf[axis]) * reach);
    const turner = el("svg:circle", { class: "handle turner", cx: knob[0], cy: knob[1], r: radius, tabindex: "0", role: "button", "aria-label": `Turn ${name}: arrow keys`, "data-at": `${index}.turn` });
    const angle = ([x, y]) => Math.atan2(y - middleOf[1], x - middleOf[0]);
    turner.addEventListener("pointerdown", (event) => grab(event, index, (start, to) => turn(start, angle(to) - angle(grab.from))));
    turner.addEventListener("keydown", (event) => keys(event, index, (start, [dx, dy]) => turn(start, ((dx + dy) * Math.PI) / 360)));
    handles.push(turner);
  }
  return [group, ...handles];
}

function pick(index) {
  if (chosen === index) return;
  chosen = index;
  draw();
}

/** Drags something of a shape: `moved` gives its points when the pointer is at a place. */
function grab(event, index, moved) {
  if (tool || event.button) return;
  event.preventDefault();
  event.stopPropagation();
  remember();
  const [start, before] = [shapes[index].points, JSON.stringify(shapes)];
  grab.from = place(event);
  chosen = index;
  follow(event, (to) => { shapes[index].points = moved(start, to); draw(); }, () => {
    if (JSON.stringify(shapes) === before) past.pop(); else changed();
    draw();
    svg.querySelector(`[data-at="${index}"]`)?.focus();
  });
}

function follow(event, moved, ended) {
  // The shape under the pointer is drawn anew meanwhile.
  svg.setPointerCapture(event.pointerId);
  const take = (next) => { if (next.pointerId === event.pointerId) moved(place(next)); };
  const end = (next) => {
    if (next.pointerId !== event.pointerId) return;
    for (const [name, does] of Object.entries({ pointermove: take, pointerup: end, pointercancel: end })) removeEventListener(name, does);
    ended(place(next));
  };
  for (const [name, does] of Object.entries({ pointermove: take, pointerup: end, pointercancel: end })) addEventListener(name, does);
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function keys(event, index, moved) {
  const by = ARROWS[event.key]?.map((value) => value * (event.shiftKey ? 10 : 1));
  if (!by && event.key !== "Delete" && event.key !== "Backspace") return;
  event.preventDefault();
  event.stopPropagation();
  if (!by) { remove(index); return; }
  remember();
  shapes[index].points = moved(shapes[index].points, by);
  draw();
  changed();
}

function remove(index) {
  remember();
  shapes.splice(index, 1);
  chosen = -1;
  draw();
  changed();
}

svg.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  if (!tool) { pick(-1); return; }
  event.preventDefault();
  const from = place(event);
  if (tool === "zone") { corner(from); return; }
  const kind = tool;
  const points = (to) => (kind === "line" ? [from, to] : box(from, to));
  follow(event, (to) => { unfinished = [...points(to), points(to)[0]]; draw(); }, (to) => {
    unfinished = null;
    // A click is no drag.
    if (distance(from, to) < 6 * unit()) draw(); else add({ kind, points: points(to) });
  });
});

/** One more corner of a zone; near the first one it is closed. */
function corner(point) {
  if (unfinished?.length > 2 && distance(unfinished[0], point) < 14 * unit()) { add({ kind: "zone", points: unfinished }); return; }
  unfinished = [...(unfinished ?? []), point];
  draw();
}

svg.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { arm(null); draw(); }
  if (event.key !== "Enter" || !tool) return;
  event.preventDefault();
  const [x, y] = size.map((value) => value / 2);
  const half = (size[1] * SIDE) / 960;
  const wide = tool === "row" ? 4 * half : half;
  add({ kind: tool, points: tool === "line" ? [[x - wide, y], [x + wide, y]] : box([x - wide, y - half], [x + wide, y + half]) });
});

function title(shape, index) {
  const nth = shapes.slice(0, index + 1).filter((one) => one.kind === shape.kind).length;
  return shape.name ? `${KINDS[shape.kind].title} ${shape.name}` : `${KINDS[shape.kind].title} ${nth}`;
}

/** The shapes with what is read in them, and what can be set of the chosen one. */
function list() {
  const focus = document.activeElement?.id;
  byId("shapes").replaceChildren(...shapes.map((shape, index) => {
    const name = title(shape, index);
    const button = el("button", { type: "button", id: `pick${index}`, class: "plain", "aria-pressed": String(index === chosen) }, name, " ", el("b", {}, reads[index] ?? ""));
    button.addEventListener("click", () => pick(index));
    const change = (label, does, id) => {
      const one = el("button", { type: "button", id: `${id}${index}`, class: "small", "aria-label": `${label} ${name}` }, { up: "↑", drop: "✕" }[id]);
      one.addEventListener("click", does);
      return one;
    };
    const up = () => { remember(); shapes.splice(index - 1, 2, shape, shapes[index - 1]); chosen = index - 1; draw(); changed(); };
    return el("li", {}, button, index ? change("Move up", up, "up") : null, change("Remove", () => remove(index), "drop"), index === chosen ? options(shape) : null);
  }));
  if (focus) byId(focus)?.focus();
}

function options(shape) {
  const set = (key, value) => { remember(); shape[key] = value; draw(); changed(); };
  const number = (label, key, least, most) => {
    const input = el("input", { type: "number", id: `option-${key}`, min: least, max: most, value: shape[key] });
    input.addEventListener("change", () => set(key, Math.min(Math.max(Math.round(Number(input.value)) || least, least), most)));
    return el("label", {}, label, " ", input);
  };
  if (shape.kind === "row") return el("div", { class: "options" }, number("Digits", "count", 1, 15), number("Gap in %", "gap", 0, 60));
  if (shape.kind === "dial") {
    const input = el("input", { type: "checkbox", id: "option-clockwise", checked: shape.clockwise });
    input.addEventListener("change", () => set("clockwise", input.checked));
    return el("div", { class: "options" }, el("label", {}, input, " clockwise"));
  }
  if (shape.name !== undefined) {
    const input = el("input", { type: "text", id: "option-name", value: shape.name, pattern: "[a-zA-Z0-9_-]+", maxlength: 64 });
    input.addEventListener("change", () => set("name", input.value.trim()));
    return el("div", { class: "options" }, el("label", {}, "Name ", input));
  }
  return null;
}

/** Something is drawn otherwise: it is read once nothing changes for a moment. */
function changed() {
  clearTimeout(reader);
  reader = setTimeout(read, SETTLE);
}

async function read() {
  if (!photo || !subject) return;
  if (reading) { again = true; return; }
  [reading, again] = [true, false];
  const { digits, dials, regions } = written(shapes, size, photo.scale);
  const drawn = isMeter() ? { meter: subject.name, digits, dials } : { pipeline: subject.name, regions };
  try {
    const got = await send("/api/read", drawings.token, JSON.stringify({ photo: photo.number, ...drawn }));
    told(got);
  } catch (error) {
    setText(byId("reading"), error.message);
  }
  reading = false;
  if (again) read();
}

/** Writes what was read beside the shapes. */
function told(got) {
  setText(byId("reading"), got.words ?? "–");
  const [digits, dials] = [[...(got.digits ?? [])], [...(got.dials ?? [])]];
  const position = (place) => (Number.isFinite(place.position) ? place.position.toFixed(1) : "–");
  reads = shapes.map(({ kind, count = 1 }) => {
    const places = { row: digits, digit: digits, dial: dials }[kind]?.splice(0, count) ?? [];
    if (!isMeter() || !places.length) return "";
    const least = Math.min(...places.map((place) => place.score));
    return `${places.map(position).join(" ")} (${figure(Math.round(least * 100), "%")}${places.length > 1 ? " at least" : ""})`;
  });
  list();
}

/** The keys of the configuration that differ, with their values; null takes a key away. */
function values() {
  const of = (drawn) => (isMeter()
    ? { digits: drawn.digits, dials: drawn.dials, align: drawn.align }
    : { "preprocess.regions": drawn.regions, zone: drawn.zones, line: drawn.lines });
  const [now, before] = [of(written(shapes, size)), of(written(shapesOf(subject, size), size))];
  const key = `${subject.kind}.${subject.name}`;
  const differs = Object.entries(now).filter(([name, list]) => JSON.stringify(list) !== JSON.stringify(before[name]));
  const values = Object.fromEntries(differs.map(([name, list]) => [`${key}.${name}`, list.length ? list : null]));
  if (isMeter() && !now.align.length && subject.reference) values[`${key}.reference`] = null;
  // Marks are found in the picture that they were drawn on.
  return now.align?.length && photo.origin !== "reference" ? { values, reference: subject.name, photo: photo.number } : { values };
}

/** Takes over what the configuration says now. */
async function refresh() {
  try {
    drawings = await get("/api/drawings");
    const now = drawings[`${subject.kind}s`].find((one) => one.name === subject.name);
    if (now) Object.assign(subject, { digits: [], dials: [], align: [], ...now });
    byId("take-reference").hidden = !subject.reference;
  } catch { /* the banner says it */ }
}

async function compare() {
  say("Comparing…");
  try {
    const { difference, file } = await send("/api/difference", drawings.token, JSON.stringify(values()));
    setText(byId("saving-title"), `Changes to ${file}`);
    byId("difference").replaceChildren(...difference.split("\n").map((line) => el("span", { class: { "+": "added", "-": "removed" }[line[0]] }, `${line}\n`)));
    byId("save").disabled = !difference;
    if (!difference) setText(byId("difference"), "Nothing changes.");
    setText(byId("saving-state"), "");
    byId("saving").showModal();
    say("");
  } catch (error) {
    say(`It cannot be saved: ${error.message}`);
  }
}

async function save() {
  byId("save").disabled = true;
  setText(byId("saving-state"), "Saving…");
  try {
    await send("/api/change", drawings.token, JSON.stringify(values()));
    byId("saving").close();
    saved = JSON.stringify(shapes);
    await refresh();
    draw();
    say("");
    outcome("Saved, and it applies. leptond watches for a minute whether everything still works, and takes the change back where it does not.");
    watch(Date.now() + WATCH);
  } catch (error) {
    setText(byId("saving-state"), error.message);
  }
}

async function watch(until) {
  await new Promise((done) => setTimeout(done, LOOK));
  await refresh();
  const { end } = drawings;
  if (end?.kept) outcome("Saved; the change stays.");
  else if (end) outcome(`The change was taken back: ${end.why}`);
  else if (Date.now() < until) watch(until);
}

byId("subject").addEventListener("change", (event) => {
  const next = event.target.subjects[Number(event.target.value)];
  if (dirty() && !confirm("Leave what is drawn and not saved?")) { event.target.value = String(event.target.subjects.indexOf(subject)); return; }
  choose(next);
});
byId("take").addEventListener("click", () => take({ pipeline: subject.name }));
byId("take-reference").addEventListener("click", () => take({ reference: subject.name }));
byId("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) smaller(file).then((photo) => take({}, photo), () => say("The browser cannot read this file as a picture."));
  event.target.value = "";
});
byId("propose").addEventListener("click", async () => {
  if (!photo) { say("Take a picture first."); return; }
  const button = byId("propose");
  button.disabled = true;
  say("Looking for digits and dials…");
  try {
    const found = await send("/api/propose", drawings.token, JSON.stringify({ photo: photo.number }));
    const here = shapesOf(found, photo.size).map((shape) => ({ ...shape, points: shape.points.map(([x, y]) => [x / photo.scale, y / photo.scale]) }));
    if (here.length) {
      remember();
      shapes = [...here, ...shapes.filter((shape) => shape.kind === "mark")];
      chosen = -1;
    }
    say(here.length ? `Found ${found.digits.length} digits and ${found.dials.length} dials. Check them, their order too: the most significant first.` : "No digits or dials were found: draw them.");
    draw();
    changed();
  } catch (error) {
    say(error.message);
  }
  button.disabled = false;
});
byId("undo").addEventListener("click", () => {
  if (!past.length) return;
  shapes = JSON.parse(past.pop());
  chosen = -1;
  draw();
  changed();
});
byId("zoom").addEventListener("input", (event) => { zoom = Number(event.target.value); draw(); });
byId("compare").addEventListener("click", compare);
byId("save").addEventListener("click", save);
byId("back").addEventListener("click", () => byId("saving").close());
addEventListener("resize", () => { if (shown) draw(); });
addEventListener("beforeunload", (event) => { if (shown && subject && dirty()) event.preventDefault(); });
