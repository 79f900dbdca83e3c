/** Jobs that have failed for good: why, how often, and what can be done. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { el } from "./dom.js";
import { text } from "./texts.js";

/**
 * @typedef {object} DeadLetter
 * @property {string} id
 * @property {string} assetId
 * @property {string} filename
 * @property {string} step `image` or `embedding`
 * @property {string} errorClass
 * @property {string} error
 * @property {number} attempts
 * @property {number} failedAt epoch milliseconds
 */

/** @param {HTMLElement} root */
export async function show(root) {
  /** @type {{deadLetters: DeadLetter[], total: number}} */
  const { deadLetters, total } = await api("/api/dead-letters");
  const again = async (/** @type {string} */ path) => {
    await api(path, { method: "POST" });
    announce(text("queuedAgain"));
    await show(root);
  };
  const all = el("button", { type: "button", class: "primary", onclick: () => again("/api/dead-letters/retry-all") }, text("retryAll", { count: total })); // prettier-ignore
  root.replaceChildren(
    el("h1", {}, text("failedJobs")),
    ...(deadLetters.length
      ? [el("p", { class: "actions" }, all), table(deadLetters, again)]
      : [el("p", { class: "quiet" }, text("noFailedJobs"))]),
  );
}

/**
 * @param {DeadLetter[]} letters
 * @param {(path: string) => Promise<void>} again
 */
function table(letters, again) {
  const names = /** @type {const} */ (["file", "step", "lastError", "attempts", "when"]);
  const head = el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, text(name))), el("td", {}));
  const rows = letters.map((letter) => {
    const path = `/api/dead-letters/${encodeURIComponent(letter.id)}`;
    const file = el("a", { href: `/asset?id=${encodeURIComponent(letter.assetId)}` }, letter.filename);
    const kind = letter.errorClass in KINDS ? text(/** @type {any} */ (letter.errorClass)) : letter.errorClass;
    return el(
      "tr",
      {},
      el("td", {}, file),
      el("td", {}, text(letter.step === "embedding" ? "embeddingStep" : "imageStep")),
      el("td", {}, letter.error, el("br"), el("span", { class: "quiet" }, kind)),
      el("td", {}, String(letter.attempts)),
      el("td", {}, new Date(letter.failedAt).toLocaleString("en")),
      el(
        "td",
        { class: "actions" },
        el("button", { type: "button", class: "small", onclick: () => again(`${path}/retry`) }, text("retry")),
        el("button", { type: "button", class: "small", onclick: () => again(`${path}/dismiss`) }, text("dismiss")),
      ),
    );
  });
  return el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
}

const KINDS = { rate_limit: 1, network: 1, server: 1, invalid: 1, auth: 1, quota: 1, unknown: 1 };
