/** Jobs that have failed for good: why, how often, and what can be done. */

import { api } from "./api.js";
import { all, el, setText, table } from "./dom.js";
import { text, timeText } from "./texts.js";

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

/** Milliseconds between two looks: a job that is queued again may fail again. */
const EVERY = 5000;

/** @param {HTMLElement} root */
export async function show(root) {
  const said = el("p", { class: "said", role: "status" });
  const list = el("div", { class: "list", tabindex: -1 });
  root.replaceChildren(el("h1", {}, text("failedJobs")), said, list);
  let shown = "";
  const look = async () => {
    /** @type {{deadLetters: DeadLetter[], total: number}} */
    const { deadLetters, total } = await api("/api/dead-letters");
    const now = JSON.stringify(deadLetters);
    if (now !== shown) list.replaceChildren(...view(deadLetters, total, act));
    shown = now;
  };
  const act = async (/** @type {string} */ path, /** @type {string} */ done) => {
    await api(path, { method: "POST" });
    setText(said, done);
    await look();
    list.focus(); // the button that had it went with its row
  };
  await look();
  setInterval(() => void look().catch(() => {}), EVERY);
}

/**
 * @param {DeadLetter[]} letters
 * @param {number} total
 * @param {(path: string, done: string) => Promise<void>} act
 */
function view(letters, total, act) {
  if (!letters.length) return [el("p", { class: "quiet" }, text("noFailedJobs"))];
  const again = () => void act("/api/dead-letters/retry-all", text("queuedAgain"));
  const retry = el("button", { type: "button", class: "primary", onclick: again }, text("retryAll", { count: total }));
  const names = /** @type {const} */ (["file", "step", "lastError", "attempts", "when"]);
  const rows = letters.map((letter) => {
    const path = `/api/dead-letters/${encodeURIComponent(letter.id)}`;
    const file = el("a", { href: `/asset?id=${encodeURIComponent(letter.assetId)}` }, letter.filename);
    // What is wrong with a file says all: the other classes say what to do.
    const kind = letter.errorClass in KINDS && text(/** @type {any} */ (letter.errorClass));
    const button = (/** @type {"retry" | "dismiss"} */ name, /** @type {string} */ done) =>
      el(
        "button",
        {
          type: "button",
          class: "small",
          "aria-label": `${text(name)} ${letter.filename}`,
          onclick: () => void act(`${path}/${name}`, done),
        },
        text(name),
      );
    return [
      file,
      text(letter.step === "embedding" ? "embeddingStep" : "imageStep"),
      all(letter.error, kind && el("br"), kind && el("span", { class: "quiet" }, kind)),
      String(letter.attempts),
      timeText(letter.failedAt),
      el("span", { class: "actions" }, button("retry", text("queuedAgain")), button("dismiss", "")),
    ];
  });
  const counts = { count: letters.length, total };
  const part = total > letters.length && el("span", { class: "quiet" }, text("newestJobs", counts));
  return [el("p", { class: "actions" }, retry, part), table(names.map((name) => text(name)), rows)]; // prettier-ignore
}

const KINDS = { rate_limit: 1, network: 1, server: 1, auth: 1, quota: 1, unknown: 1 };
