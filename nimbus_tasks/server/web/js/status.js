/** How the service is doing: counts now, latencies, small charts of the last minutes, and the last errors. */

import { api } from "./api.js";
import { el, setText } from "./dom.js";
import { followStats } from "./events.js";
import { durationText, text, timeText } from "./texts.js";

/** Values that a chart shows, one in each interval. */
const SHOWN = 60;
const EVERY = 5000;
const COUNTS = /** @type {const} */ (["total", "ready", "processing", "embedding", "uploading", "failed"]);
/** Failed jobs that are shown; the page of failed jobs has all. */
const ERRORS = 5;
const LATENCIES = /** @type {const} */ (["p50", "p95", "p99"]);

/** @param {HTMLElement} root */
export function show(root) {
  const counts = new Map(COUNTS.map((name) => [name, el("dd", {}, "–")]));
  const latencies = new Map(LATENCIES.map((name) => [name, el("dd", {}, "–")]));
  const queue = chart();
  const speed = chart();
  const errors = el("ul", { class: "errors" });
  const numbers = (/** @type {Map<string, HTMLElement>} */ values, /** @type {(name: string) => string} */ label) =>
    el("dl", { class: "numbers" }, ...[...values].map(([name, dd]) => el("div", {}, el("dt", {}, label(name)), dd)));
  root.replaceChildren(
    el("h1", {}, text("status")),
    numbers(counts, (name) => text(/** @type {any} */ (`count_${name}`))),
    group("waitingJobs", queue.element),
    group("donePerMinute", speed.element),
    group(
      "uploadLatency",
      numbers(latencies, (name) => name),
    ),
    group("recentErrors", errors),
  );
  /** @type {import("./events.js").Stats | null} */
  let now = null;
  let readyBefore = -1;
  followStats((stats) => {
    now = stats;
    for (const name of COUNTS) setText(/** @type {HTMLElement} */ (counts.get(name)), stats[name].toLocaleString("en"));
  });
  const sample = async () => {
    if (now) {
      queue.add(now.processing + now.embedding);
      if (readyBefore >= 0) speed.add(Math.max(0, now.ready - readyBefore) * (60_000 / EVERY));
      readyBefore = now.ready;
    }
    await showErrors(errors);
    const telemetry = await api("/api/telemetry").catch(() => null);
    for (const name of LATENCIES) {
      const value = telemetry?.uploadLatency?.[name];
      setText(
        /** @type {HTMLElement} */ (latencies.get(name)),
        typeof value === "number" ? `${Math.round(value).toLocaleString("en")} ms` : "–",
      );
    }
    setTimeout(() => void sample(), EVERY);
  };
  void sample();
}

/**
 * @param {import("./texts.js").TextName} name
 * @param {HTMLElement} content
 */
function group(name, content) {
  return el("section", { class: "group" }, el("h2", {}, text(name)), content);
}

/** @param {HTMLElement} list */
async function showErrors(list) {
  /** @type {{deadLetters: import("./failed-jobs.js").DeadLetter[]} | null} */
  const answer = await api("/api/dead-letters").catch(() => null);
  if (!answer) return;
  const rows = answer.deadLetters.slice(0, ERRORS).map((letter) => {
    const when = timeText(letter.failedAt);
    const file = el("a", { href: `/asset?id=${encodeURIComponent(letter.assetId)}` }, letter.filename);
    return el("li", {}, file, ` ${letter.error} `, el("span", { class: "quiet" }, when));
  });
  const all = el("li", {}, el("a", { href: "/failed-jobs" }, text("allFailedJobs")));
  list.replaceChildren(...(rows.length ? [...rows, all] : [el("li", { class: "quiet" }, text("noFailedJobs"))]));
}

/** A line of the last values, and the newest one as a number. */
function chart() {
  const SVG = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${SHOWN - 1} 1`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "spark");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "polyline");
  svg.append(line);
  const said = el("p", { class: "quiet" }, "–");
  /** @type {number[]} */
  const values = [];
  return {
    element: el("div", {}, svg, said),
    /** @param {number} value */
    add(value) {
      values.push(value);
      if (values.length > SHOWN) values.shift();
      const most = Math.max(...values);
      line.setAttribute("points", values.map((each, index) => `${index},${1 - each / (most || 1)}`).join(" "));
      setText(
        said,
        text("nowAndMost", {
          now: Math.round(value),
          most: Math.round(most),
          time: durationText((values.length * EVERY) / 1000),
        }),
      );
    },
  };
}
