/** Files that were deleted and can still be restored, the last deleted first. */

import { announce } from "./announce.js";
import { api, ApiError } from "./api.js";
import { card } from "./card.js";
import { el, find, setText } from "./dom.js";
import { durationText, problemText, text, timeText } from "./texts.js";

/** @typedef {import("./card.js").Asset} Asset */

/** Milliseconds between two looks at the clock. */
const EVERY = 15_000;

/** @param {HTMLElement} root */
export async function show(root) {
  document.title = `${text("recentlyDeleted")} · Nimbus Tasks`;
  const page = new DeletedPage(root);
  page.build();
  await page.load();
  setInterval(() => page.tick(), EVERY);
}

class DeletedPage {
  /** @param {HTMLElement} root */
  constructor(root) {
    this._root = root;
    this._cursor = "";
    /** @type {Map<Asset, HTMLElement>} */
    this._cards = new Map();
    this._said = el("p", { class: "quiet" });
    this._list = el("ul", { class: "cards" });
    this._more = el("button", { type: "button", hidden: true, onclick: () => void this.load() }, text("more"));
  }

  build() {
    this._root.replaceChildren(
      el("h1", {}, text("recentlyDeleted")),
      el("p", { class: "quiet" }, text("deletedHelp")),
      this._said,
      this._list,
      this._more,
    );
  }

  /** Show the first files, or more of them. */
  async load() {
    /** @type {{assets: Asset[], nextCursor: string | null}} */
    const { assets, nextCursor } = await api(`/api/assets?state=deleted&cursor=${this._cursor}`);
    for (const asset of assets) {
      const item = this._card(asset);
      this._cards.set(asset, item);
      this._list.append(item);
    }
    this._cursor = nextCursor ?? "";
    this._more.hidden = !nextCursor;
    this.tick();
    this._say();
  }

  /** Say how many are shown. */
  _say() {
    const count = this._cards.size;
    setText(this._said, count ? text(this._cursor ? "firstFound" : "found", { count }) : text("nothingDeleted"));
    announce(this._said.textContent ?? "");
  }

  /** Show the time that is left. No card goes by this clock, which may be wrong: the service knows. */
  tick() {
    for (const [asset, item] of this._cards) {
      setText(find(item, ".time-left", HTMLElement), text("timeLeft", { time: timeLeft(asset) }));
    }
  }

  /** @param {Asset} asset */
  _card(asset) {
    const item = card(asset);
    const problem = el("p", { role: "alert" });
    const act = async () => {
      button.disabled = true;
      setText(problem, "");
      try {
        await restore(asset.id);
      } catch (error) {
        setText(problem, problemText(error));
        button.disabled = false;
        return button.focus();
      }
      await this._remove(asset, item);
    };
    const label = text("restoreNamed", { name: asset.filename });
    const button = el("button", { type: "button", class: "small", "aria-label": label, onclick: act }, text("restore"));
    const until = { class: "quiet time-left", title: timeText(asset.restorableUntil ?? 0) };
    item.append(el("span", until), button, problem);
    return item;
  }

  /**
   * A file is restored: its card goes, and others of the same bytes, of which one can be restored.
   * @param {Asset} asset
   * @param {HTMLElement} item
   */
  async _remove(asset, item) {
    const place = [...this._list.children].indexOf(item);
    for (const [each, its] of this._cards) {
      if (each.checksum !== asset.checksum) continue;
      its.remove();
      this._cards.delete(each);
    }
    if (!this._cards.size && this._cursor) await this.load();
    this._say();
    announce(text("restoredNamed", { name: asset.filename }));
    const next = this._list.children[place] ?? this._list.lastElementChild;
    (next?.querySelector("button") ?? this._root).focus();
  }
}

/**
 * @param {string} id of a deleted asset
 * @throws {ApiError} whose message says why it stays deleted
 */
export async function restore(id) {
  try {
    await api(`/api/assets/${encodeURIComponent(id)}/restore`, { method: "POST" });
  } catch (error) {
    const isLate = error instanceof ApiError && error.status === 404;
    throw isLate ? new ApiError("invalid", text("notRestorable")) : error;
  }
}

/**
 * @param {Asset} asset
 * @returns {string} how long it can be restored
 */
export function timeLeft({ restorableUntil }) {
  return durationText(((restorableUntil ?? 0) - Date.now()) / 1000);
}
