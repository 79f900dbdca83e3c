/** Follows uploaded files until they are ready: events say that something has moved, a question says which files. */

import { api } from "../api.js";
import { followStats } from "../events.js";

/** @typedef {import("./items.js").Items} Items */

/** Assets in one question; jobs run in the order of uploads, so the oldest are asked for. */
const ASKED_AT_ONCE = 100;
/** Milliseconds between two questions. */
const EVERY = 1500;

export class FollowAssets {
  /** @param {Items} items */
  constructor(items) {
    this._items = items;
    this._last = 0;
    this._timer = 0;
    /** @type {(() => void) | null} stops the events */
    this._stop = null;
    items.watch(() => this._follow());
  }

  _follow() {
    const isNeeded = this._items.counts.uploaded > 0;
    if (isNeeded && !this._stop) {
      this._stop = followStats(() => this._askSoon());
      this._askSoon();
    } else if (!isNeeded && this._stop) {
      this._stop();
      this._stop = null;
    }
  }

  _askSoon() {
    this._timer ||= setTimeout(() => void this._ask(), Math.max(0, this._last + EVERY - Date.now()));
  }

  async _ask() {
    const items = this._items.in("uploaded", ASKED_AT_ONCE);
    this._last = Date.now();
    try {
      const ids = items.map((item) => item.assetId).join(",");
      const answer = items.length ? await api(`/api/assets?ids=${encodeURIComponent(ids)}`) : { assets: [] };
      let moved = 0;
      for (const asset of answer.assets) {
        const item = this._items.ofAsset(asset.id);
        if (item?.state !== "uploaded") continue;
        const detail = asset.processingError ?? asset.embeddingError ?? "";
        if (asset.embedded) this._items.change(item, "ready");
        else if (asset.failedAt)
          this._items.change(item, "jobFailed", { failure: asset.errorClass ?? "unknown", detail });
        else continue;
        moved += 1;
      }
      this._timer = 0;
      if (moved) this._askSoon();
    } catch {
      this._timer = 0; // the next event asks again
    }
  }
}
