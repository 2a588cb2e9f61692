// The frame of the page: which view is shown, and the news of the daemon for all of them.

import { byId, figure, setText } from "./dom.js";
import * as live from "./live.js";
import * as charts from "./charts.js";
import * as editor from "./editor.js";
import * as views from "./views.js";

const VIEWS = ["live", "editor", "charts", "status", "models", "doctor", "settings"];
/** Time to the next attempt after the daemon refused the news, in ms. */
const AGAIN = 5000;

let stream = null;
let streamOf = "";
let again = null;
let view = "";

/** Shows what stands behind the # of the address. */
function show() {
  const asked = location.hash.slice(1);
  if (asked === "main") return;
  view = VIEWS.includes(asked) ? asked : "live";
  for (const name of VIEWS) byId(name).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // The address names a section, which the browser would scroll below the header.
  scrollTo(0, 0);
  charts.show(view === "charts");
  editor.show(view === "editor");
  views.show(view);
  connect();
}

/** Opens the stream of news; the daemon draws pictures for it while it is open, and for nobody while the page is hidden. */
function connect() {
  const wanted = document.hidden ? null : view === "live" ? live.wanted().join(",") : "";
  if (stream && wanted === streamOf && stream.readyState !== EventSource.CLOSED) return;
  stream?.close();
  clearTimeout(again);
  stream = null;
  if (wanted === null) return;
  streamOf = wanted;
  stream = new EventSource(`/api/events?live=${encodeURIComponent(wanted)}`);
  const on = (name, take) => stream.addEventListener(name, (event) => take(JSON.parse(event.data)));
  stream.addEventListener("open", () => { byId("banner").hidden = true; });
  stream.addEventListener("error", (event) => {
    setText(byId("banner"), "No connection to the daemon. Trying again.");
    byId("banner").hidden = false;
    if (event.target.readyState === EventSource.CLOSED) again = setTimeout(connect, AGAIN);
  });
  on("status", (status) => {
    header(status);
    live.status(status);
    views.status(status);
    // The first status tells which pipelines have pictures.
    connect();
  });
  on("result", live.result);
  on("picture", live.picture);
  on("event", live.event);
}

function header(status) {
  const { governor, working, faults } = status;
  setText(byId("node"), status.node ?? "leptond");
  document.title = `${status.node ?? "leptond"} – leptond`;
  const standing = byId("standing");
  const state = working ? governor?.state ?? "working" : "fault";
  setText(standing, state);
  standing.className = `pill ${!working || state === "critical" || state === "paused" ? "bad" : state === "normal" ? "good" : "warn"}`;
  setText(byId("reason"), working ? governor?.reason ?? "" : faults.join("; "));
  const { pictures, draw_ms, viewers } = status.page;
  setText(byId("cost"), pictures
    ? `Looking costs ${figure(draw_ms / pictures)} ms of the processor for each picture (${pictures} so far, ${viewers} open); nothing is drawn while nobody looks.`
    : "Nothing is drawn while nobody looks.");
}

live.onWanted(connect);
addEventListener("hashchange", show);
document.addEventListener("visibilitychange", connect);
show();
