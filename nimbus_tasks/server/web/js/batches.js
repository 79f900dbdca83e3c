/** Batches of pages at the project's target: what `doit nimbus:batch:list`, `:status` and `:retry` show and do. */

import { announce } from "./announce.js";
import { api } from "./api.js";
import { all, el, table } from "./dom.js";
import { problemText, text, timeText } from "./texts.js";

/**
 * @typedef {object} Batch
 * @property {string} batch_id
 * @property {string} created
 * @property {string} status
 * @property {number} page_count
 * @property {{completed: number, failed: number, pending: number}} summary
 */

/** @param {HTMLElement} root */
export async function show(root) {
  try {
    /** @type {{batches: Batch[]}} */
    const { batches } = await api("/api/batches");
    const list = batches.length ? batchTable(batches, root) : el("p", { class: "quiet" }, text("noBatches"));
    root.replaceChildren(el("h1", {}, text("batches")), list);
  } catch (error) {
    root.replaceChildren(el("h1", {}, text("batches")), el("p", { role: "alert" }, problemText(error)));
  }
}

/**
 * @param {Batch[]} batches
 * @param {HTMLElement} root
 */
function batchTable(batches, root) {
  const names = /** @type {const} */ (["batch", "state", "pagesCount", "progress"]);
  const rows = batches.map((batch) => {
    const { completed, failed, pending } = batch.summary;
    const path = `/api/batches/${encodeURIComponent(batch.batch_id)}`;
    const retry = async () => {
      await api(`${path}/retry`, { method: "POST" });
      announce(text("queuedAgain"));
      await show(root);
    };
    const bar = el("progress", { max: batch.page_count || 1, value: completed, "aria-label": batch.batch_id });
    return [
      all(
        el("a", { href: `${path}/report` }, batch.batch_id),
        el("br"),
        el("span", { class: "quiet" }, timeText(batch.created)),
      ),
      batch.status,
      String(batch.page_count),
      all(bar, text("batchCounts", { completed, failed, pending })),
      failed > 0 && el("button", { type: "button", class: "small", onclick: retry }, text("retry")),
    ];
  });
  return table(names.map((name) => text(name)), rows); // prettier-ignore
}
