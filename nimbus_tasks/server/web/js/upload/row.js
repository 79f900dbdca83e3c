/** A row of the list: name, size, state, progress, and what can be done. */

import { el, setText } from "../dom.js";
import { bytesText, text } from "../texts.js";
import { folderOf, isCancellable } from "./items.js";

/** @typedef {import("./items.js").Item} Item */

const RETRIED = new Set(["failed", "jobFailed", "cancelled"]);

/**
 * @param {import("./uploader.js").Uploader} uploader
 * @returns {import("../virtual-list.js").RowKind<Item>}
 */
export function rowKind(uploader) {
  /** @type {WeakMap<HTMLElement, Item>} */
  const shown = new WeakMap();

  /** @param {(item: Item) => void} act */
  const acting = (act) => (/** @type {MouseEvent} */ event) => {
    const row = /** @type {HTMLElement} */ (event.currentTarget).closest(".file");
    const item = row instanceof HTMLElement ? shown.get(row) : undefined;
    if (item) act(item);
  };

  return {
    make: () =>
      el(
        "div",
        { class: "file" },
        el("span", { class: "file-name" }, el("span", {}), el("span", { class: "quiet" })),
        el("span", { class: "file-size quiet" }),
        el("span", { class: "file-state" }),
        el(
          "span",
          { class: "file-actions" },
          el("progress", { max: 1, value: 0, "aria-hidden": "true" }),
          el(
            "button",
            { type: "button", class: "small", onclick: acting((item) => uploader.retry(item)) },
            text("retry"),
          ),
          el(
            "button",
            { type: "button", class: "small", onclick: acting((item) => uploader.cancel(item)) },
            text("cancel"),
          ),
        ),
      ),
    show(row, item) {
      shown.set(row, item);
      const [name, size, state, actions] = /** @type {any[]} */ ([...row.children]);
      const [bar, retry, cancel] = actions.children;
      // A path that is cut at its end would hide which file it is.
      setText(name.firstChild, item.name || item.path);
      setText(name.lastChild, folderOf(item.path));
      name.title = item.path;
      setText(size, bytesText(item.size));
      setText(state, stateText(item));
      state.title = item.detail;
      row.dataset.state = item.state;
      bar.hidden = item.state !== "uploading";
      bar.value = item.size ? item.sent / item.size : 0;
      retry.hidden = !RETRIED.has(item.state);
      retry.setAttribute("aria-label", `${text("retry")} ${item.name}`);
      cancel.hidden = !isCancellable(item.state);
      cancel.setAttribute("aria-label", `${text("cancel")} ${item.name}`);
    },
  };
}

/** @param {Item} item */
function stateText(item) {
  if (item.state === "missing") return text("missingState");
  if (item.state !== "failed" && item.state !== "jobFailed") return text(item.state);
  if (item.detail === "unreadable") return text("unreadable");
  const said = text(item.failure || "unknown");
  return item.failure === "invalid" && item.detail ? item.detail : said;
}
