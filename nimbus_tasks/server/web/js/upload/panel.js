/** What the page shows of an upload: three phases, what holds it up, what can be done, and the list of files. */

import { announce } from "../announce.js";
import { el, setText } from "../dom.js";
import { bytesText, durationText, text } from "../texts.js";
import { VirtualList } from "../virtual-list.js";
import { hasEnded, phasesOf } from "./items.js";
import { Rate } from "./rate.js";
import { rowKind } from "./row.js";

/** @typedef {import("./items.js").Item} Item */
/** @typedef {"all" | "open" | "failed" | "duplicate"} Filter */

/** @type {Record<Filter, (item: Item) => boolean>} */
const FILTERS = {
  all: () => true,
  open: (item) => !hasEnded(item.state) || item.state === "missing",
  failed: (item) => item.state === "failed" || item.state === "jobFailed",
  duplicate: (item) => item.state === "duplicate",
};

export class Panel {
  /**
   * @param {import("./items.js").Items} items
   * @param {import("./uploader.js").Uploader} uploader
   * @param {{togglePause: () => void, clear: () => void}} acts what the page itself does
   */
  constructor(items, uploader, { togglePause, clear }) {
    this._items = items;
    this._uploader = uploader;
    this._rate = new Rate();
    /** @type {Filter} */
    this._filter = "all";
    const button = (/** @type {() => void} */ onclick, label = "") => el("button", { type: "button", onclick }, label);
    this._phases = /** @type {const} */ (["phaseUploading", "phaseProcessing", "phaseSearchable"]).map(phase);
    this._line = el("p", { class: "phases-line", "data-test": "phases" });
    this._speed = el("p", { class: "quiet" });
    this._note = el("p", { class: "note", hidden: true });
    this._login = el("a", { href: "/login", target: "_blank", hidden: true }, text("login"));
    this._pause = button(togglePause);
    this._retry = button(() => uploader.retryAll());
    this._cancel = button(() => uploader.cancelAll(), text("cancelAll"));
    this._clear = button(clear, text("clear"));
    this._tabs = /** @type {Filter[]} */ (Object.keys(FILTERS)).map((name) => {
      const tab = el("button", { type: "button", class: "tab", onclick: () => this.show(name) });
      return { name, tab };
    });
    this._none = el("p", { class: "quiet", hidden: true }, text("emptyList"));
    const list = el("div", { class: "files", tabindex: 0, role: "region", "aria-label": text("upload") });
    this._list = new VirtualList(list, rowKind(uploader));
    this.element = el(
      "section",
      { class: "progress-panel", hidden: true },
      this._line,
      el("div", { class: "phases" }, ...this._phases.map((each) => each.element)),
      this._speed,
      this._note,
      this._login,
      el("p", { class: "actions" }, this._pause, this._retry, this._cancel, this._clear),
      el("div", { class: "tabs", role: "group", "aria-label": text("filter") }, ...this._tabs.map(({ tab }) => tab)),
      this._none,
      list,
    );
  }

  /** @param {Filter} filter which files are listed */
  show(filter) {
    this._filter = filter;
    this._drawList();
  }

  /**
   * @param {string} note what holds the upload up, or what people must do; "": nothing
   * @param {boolean} isLoggedOut
   */
  draw(note, isLoggedOut) {
    const { counts, all, bytes, bytesSent } = this._items;
    const { total, stored, searchable } = phasesOf(this._items);
    this.element.hidden = !all.length;
    const processed = stored - counts.uploaded - counts.jobFailed;
    setText(this._line, text("phases", { total, stored, processed, searchable }));
    const shares = [share(bytesSent, bytes), share(processed, total), share(searchable, total)];
    const numbers = [stored, processed, searchable];
    this._phases.forEach((each, index) => each.set(shares[index] ?? 0, `${numbers[index]}/${total}`));
    this._drawControls();
    this._drawList();
    this._note.hidden = !note;
    setText(this._note, note);
    this._login.hidden = !isLoggedOut;
    const ended = this._ended(total, searchable);
    setText(this._speed, ended || this._speedNow());
    if (total) announce(ended || note || (this._line.textContent ?? ""));
  }

  _drawControls() {
    const { counts, open } = this._items;
    setText(this._pause, text(this._uploader.isPaused ? "resume" : "pause"));
    this._pause.hidden = !open;
    this._cancel.hidden = !open && !counts.missing;
    const failed = counts.failed + counts.jobFailed;
    this._retry.hidden = !failed;
    setText(this._retry, text("retryAll", { count: failed }));
    this._clear.hidden = !(counts.ready + counts.duplicate + counts.cancelled);
  }

  _drawList() {
    const { all, counts, open } = this._items;
    const shown = this._filter === "all" ? all : all.filter(FILTERS[this._filter]);
    this._list.items = shown;
    this._none.hidden = shown.length > 0;
    const labels = {
      all: text("all", { count: all.length }),
      open: text("open", { count: open + counts.uploaded + counts.missing }),
      failed: text("failedOnly", { count: counts.failed + counts.jobFailed }),
      duplicate: text("duplicatesOnly", { count: counts.duplicate }),
    };
    for (const { name, tab } of this._tabs) {
      setText(tab, labels[name]);
      tab.setAttribute("aria-pressed", String(name === this._filter));
    }
  }

  /** @returns {string} bytes a second and the time that is left; "" where nothing can be said */
  _speedNow() {
    const { bytes, bytesSent, open } = this._items;
    if (this._uploader.isPaused || !navigator.onLine) {
      this._rate.reset();
      return "";
    }
    const rate = this._rate.add(Date.now(), bytesSent);
    const left = durationText((bytes - bytesSent) / rate);
    return open && rate > 0 ? text("rate", { rate: bytesText(rate), left }) : "";
  }

  /**
   * @param {number} total
   * @param {number} searchable
   * @returns {string} how it ended; "" while files are under way
   */
  _ended(total, searchable) {
    const { counts, open } = this._items;
    if (!total || open || counts.uploaded || counts.missing) return "";
    const failed = counts.failed + counts.jobFailed;
    return failed ? text("doneWithFailures", { total, searchable, failed }) : text("allDone", { total });
  }
}

/** @param {"phaseUploading" | "phaseProcessing" | "phaseSearchable"} name */
function phase(name) {
  const bar = el("progress", { max: 1, value: 0, "aria-label": text(name) });
  const detail = el("span", { class: "quiet" });
  const element = el("div", { class: "phase" }, el("span", {}, text(name)), detail, bar);
  return {
    element,
    /**
     * @param {number} done a share of 1
     * @param {string} counts
     */
    set(done, counts) {
      bar.value = done;
      setText(detail, counts);
    },
  };
}

/**
 * @param {number} some
 * @param {number} all
 */
function share(some, all) {
  return all ? some / all : 0;
}
