// Elements, answers of the daemon, and numbers for people.

/** An element with attributes, and children that are elements or text. */
export function el(tag, attributes = {}, ...children) {
  const made = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

export const byId = (id) => document.getElementById(id);

/** Sets a text, and leaves the element alone where it has it: screen readers and selections stay. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The JSON at a path; throws an error with the daemon's words. */
export async function get(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error((await answer.text()).trim() || `the daemon answers ${answer.status}`);
  return answer.json();
}

/** Sends text or a file with the page's token; gives the JSON that comes back, or throws an error with the daemon's words. */
export async function send(path, token, body) {
  const kind = typeof body === "string" ? "application/json" : "application/octet-stream";
  const answer = await fetch(path, { method: "POST", headers: { "x-leptond-token": token, "content-type": kind }, body });
  if (!answer.ok) throw new Error((await answer.text()).trim() || `the daemon answers ${answer.status}`);
  return answer.json();
}

/** A number with as many digits as it needs. */
export function figure(value, unit = "", digits = 1) {
  if (value === undefined || value === null || !Number.isFinite(value)) return "–";
  const text = Number.isInteger(value) ? String(value) : value.toFixed(digits);
  return unit ? `${text} ${unit}` : text;
}

export function span(seconds) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = parts.findIndex(([length]) => seconds >= length);
  if (at < 0) return "0 s";
  const [length, unit] = parts[at];
  const [below, unitBelow] = parts[at + 1] ?? [0, ""];
  const rest = below ? Math.floor((seconds % length) / below) : 0;
  return `${Math.floor(seconds / length)} ${unit}${rest ? ` ${rest} ${unitBelow}` : ""}`;
}

/** A list of names and values. */
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== "–");
  return el("dl", { class: "facts" }, ...known.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))]));
}

/** A table; columns are `[title, cell, isNumber]`. */
export function table(caption, columns, rows) {
  const cell = (tag, content, isNumber, more = {}) => el(tag, { class: isNumber ? "number" : null, ...more }, content);
  const line = (row) => el("tr", {}, ...columns.map(([, of, isNumber]) => cell("td", of(row) ?? "–", isNumber)));
  return el("table", { "aria-label": caption },
    el("thead", {}, el("tr", {}, ...columns.map(([title, , isNumber]) => cell("th", title, isNumber, { scope: "col" })))),
    el("tbody", {}, ...rows.map(line)));
}

export function card(title, ...children) {
  return el("article", { class: "card" }, el("h4", {}, title), ...children);
}
