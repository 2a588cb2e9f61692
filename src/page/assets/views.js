// Status, models, findings, settings.

import { byId, card, el, facts, figure, get, setText, span, table } from "./dom.js";

const EVERY = 5000;
let [shown, timer] = ["", null];

export function show(view) {
  shown = view;
  clearInterval(timer);
  timer = null;
  if (view === "status") { log(); timer = setInterval(log, EVERY); }
  if (view === "models") models();
  if (view === "settings") settings();
}

const yes = (value) => (value === undefined || value === null ? undefined : value ? "yes" : "no");

export function status(status) {
  if (shown !== "status" || !status.health) return;
  const { health, info, governor, faults } = status;
  const { mqtt, throttled = {} } = health;
  byId("faults").replaceChildren(...faults.map((fault) => el("li", {}, fault)));
  const [outbox, forecast] = [mqtt.outbox, governor?.forecast];
  byId("facts").replaceChildren(
    card("Node", facts([
      ["Name", status.node], ["Board", info.board], ["Version", info.version], ["Up", span(health.uptime_s)],
      ["Memory", figure(health.rss_bytes / 1e6, "MB")], ["Configuration", info.config_digest.slice(0, 12)],
    ])),
    card("Board", facts([
      ["Temperature", figure(health.soc_celsius, "°C")], ["Processor", figure(health.cpu_percent, "%")],
      ["Throttled", yes(throttled.now)], ["Soft limit", yes(throttled.soft_limited)], ["Supply too low", yes(throttled.under_voltage)],
    ])),
    card("Governor", facts([
      ["Mode", governor?.mode], ["State", governor?.state], ["Reason", governor?.reason],
      ["In 30 s", figure(forecast?.in_30s_celsius, "°C")], ["In the end", figure(forecast?.steady_celsius, "°C")], ["Limit", figure(forecast?.limit_celsius, "°C")],
    ])),
    card("MQTT", facts([
      ["Connected", yes(mqtt.connected)], ["Waiting", mqtt.queued], ["Published", mqtt.published], ["Acknowledged", mqtt.acknowledged],
      ["Given up", mqtt.dropped], ["Events on disk", outbox?.events_on_disk],
    ])),
    ...Object.entries(health.sources ?? {}).map(([name, source]) => card(`Source ${name}`, facts([
      ["Frames", source.frames], ["Decoded", source.decoded], ["Readers", source.readers],
    ]))),
  );
  const rows = Object.entries(health.pipelines ?? {});
  byId("pipeline-table").replaceChildren(table("Pipelines", [
    ["Pipeline", ([name]) => name],
    ["State", ([, p]) => p.idle ?? (p.paused ? "paused" : "works")],
    ["Results/s", ([, p]) => figure(p.fps), true],
    ["p50 ms", ([, p]) => figure(p.latency_ms?.p50), true],
    ["p95 ms", ([, p]) => figure(p.latency_ms?.p95), true],
    ["Rung", ([, p]) => figure(p.rung), true],
    ["Not looked at", ([, p]) => figure(p.drops), true],
    ["Errors", ([, p]) => figure(p.errors), true],
  ], rows));
}

async function log() {
  try {
    const lines = await get("/api/log");
    setText(byId("log"), lines.join("\n") || "Nothing yet.");
  } catch { /* the banner says it */ }
}

async function models() {
  const { installed, running } = await get("/api/models");
  byId("ladders").replaceChildren(...Object.entries(running ?? {}).map(([name, ladder]) => card(`${name}: ${ladder.model} ${ladder.version}`,
    el("p", { class: "detail" }, `${ladder.engine}${ladder.provisional ? ", not measured yet" : ""}`),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Rungs of ${name}` }, table(`Rungs of ${name}`, [
      ["Rung", (rung) => String(rung.rung), true],
      ["Form", (rung) => `${rung.form}${rung.resolution ? ` ${rung.resolution} px` : ""}${rung.batch > 1 ? ` × ${rung.batch}` : ""}`],
      ["Every ms", (rung) => figure(rung.interval_ms), true],
      ["ms", (rung) => figure(rung.infer_ms), true],
      ["Accuracy", (rung) => (rung.accuracy === null ? "–" : figure(rung.accuracy * 100, "%")), true],
    ], ladder.rungs)))));
  byId("installed").replaceChildren(table("Installed models", [
    ["Model", (model) => model.name],
    ["Task", (model) => model.task],
    ["Version", (model) => model.version],
    ["Used by", (model) => model.used_by.join(", ") || "–"],
    ["", (model) => model.fault ?? (model.shipped ? "part of the program" : model.path)],
  ], installed?.models ?? []));
}

async function settings() {
  const config = await get("/api/config");
  byId("config").replaceChildren(...Object.entries(config).map(([name, value]) => el("details", { open: name === "pipeline" || null },
    el("summary", {}, name), el("pre", { tabindex: "0", "aria-label": `Settings of ${name}` }, JSON.stringify(value, null, 2)))));
}

byId("look").addEventListener("click", async () => {
  const button = byId("look");
  button.disabled = true;
  setText(byId("looking"), "Looking…");
  try {
    const found = await get("/api/findings");
    setText(byId("looking"), found.trouble ? `${found.trouble} to be mended.` : `Nothing is wrong; ${found.warnings} warnings.`);
    byId("findings").replaceChildren(...found.groups.map(({ name, findings }) => card(name, ...findings.map(finding))));
  } catch (error) {
    setText(byId("looking"), error.message);
  }
  button.disabled = false;
});

function finding({ level, what, text, advice, commands }) {
  return el("div", { class: "finding" }, el("span", { class: `level ${level}` }, level), el("b", {}, `${what}: `), text,
    advice && el("p", {}, advice), ...commands.map((command) => el("p", {}, el("code", {}, command))));
}
