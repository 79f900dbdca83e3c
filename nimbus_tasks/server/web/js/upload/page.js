/** The upload page: drop zone, phases, list of files. */

import { announce } from "../announce.js";
import { forgetSession, session, whenLoggedOut } from "../api.js";
import { el, setText } from "../dom.js";
import { bytesText, durationText, text } from "../texts.js";
import { VirtualList } from "../virtual-list.js";
import { FollowAssets } from "./follow.js";
import { Hasher } from "./hashing.js";
import { fileKey, hasEnded, Items, phasesOf } from "./items.js";
import { Journal } from "./journal.js";
import { pickedByInput, pickedFrom, typeOf } from "./picking.js";
import { rowKind } from "./row.js";
import { Uploader } from "./uploader.js";
import { waitOf } from "./pace.js";

/** @typedef {import("./items.js").Item} Item */
/** @typedef {"all" | "open" | "failed" | "duplicate"} Filter */

/** Files at once in the beginning. */
const START = 2;
/** Milliseconds of adding files before the page may draw again: the browser looks each file up on the disk. */
const ADDED_FOR = 12;
/** Milliseconds between two drawings: bytes arrive much more often. */
const DRAWN_EVERY = 100;
/** Milliseconds over which the rate is taken, and after which it says something. */
const RATE_OF = 10_000;
const RATE_AFTER = 3000;
/** Files that a note names. */
const NAMED = 3;

/** @type {Record<Filter, (item: Item) => boolean>} */
const FILTERS = {
  all: () => true,
  open: (item) => !hasEnded(item.state) || item.state === "missing",
  failed: (item) => item.state === "failed" || item.state === "jobFailed",
  duplicate: (item) => item.state === "duplicate",
};

/** @param {HTMLElement} root */
export async function show(root) {
  const { uploadConcurrency, userId } = await session();
  new UploadPage(root, await Journal.open(userId).catch(() => null), uploadConcurrency).start();
}

class UploadPage {
  /**
   * @param {HTMLElement} root
   * @param {Journal | null} journal null where the browser keeps nothing, as in some private windows
   * @param {number} most files at once
   */
  constructor(root, journal, most) {
    this._root = root;
    this._journal = journal;
    this._items = new Items();
    this._uploader = new Uploader(this._items, new Hasher(), { start: START, most });
    this._follow = new FollowAssets(this._items);
    /** @type {Filter} */
    this._filter = "all";
    this._isDrawing = false;
    this._drawn = 0;
    /** @type {string[]} paths of files without bytes */
    this._ignored = [];
    /** @type {string[]} paths of files and folders that cannot be read */
    this._unreadable = [];
    this._again = 0;
    this._isLoggedOut = false;
    /** @type {{time: number, bytes: number}[]} of the last seconds, for the rate */
    this._samples = [];
  }

  start() {
    this._build();
    this._items.watch((item) => {
      this._journal?.save(fileKey(item), item);
      this._refresh();
    });
    this._listen();
    void this._continue();
    this._refresh();
    setInterval(() => this._refresh(), 1000);
  }

  /** Show the files of an upload that a reload has interrupted, and continue. */
  async _continue() {
    const left = (await this._journal?.takeOver()) ?? [];
    for (const { path, name, size, type, modified, handle, sha256, state, assetId, failure, detail } of left) {
      const mayRead = handle && (await mayReadBy(handle));
      const again = sha256 ? "hashed" : "waiting";
      const isOpen = ["waiting", "hashing", "hashed", "queued", "uploading", "missing"].includes(state);
      const now = !isOpen ? state : mayRead ? again : "missing";
      this._items.add({ path, name, size, type, modified, handle, sha256, assetId, failure, detail, state: now });
    }
    if (left.length) announce(text("continued"));
    this._uploader.start();
  }

  _build() {
    const files = el("input", { type: "file", multiple: true, hidden: true, id: "files" });
    const folder = el("input", {
      type: "file",
      webkitdirectory: true,
      hidden: true,
      id: "folder",
      tabindex: -1,
    });
    for (const input of [files, folder]) {
      input.addEventListener("change", () => {
        if (input.files) void this._add(pickedByInput(input.files));
        input.value = "";
      });
    }
    this._drop = el(
      "section",
      { class: "drop", "aria-labelledby": "drop-title" },
      el("h1", { id: "drop-title" }, text("dropHere")),
      el("p", {}, text("orChoose")),
      el(
        "p",
        { class: "actions" },
        el("button", { type: "button", class: "primary", onclick: () => files.click() }, text("chooseFiles")),
        el("button", { type: "button", onclick: () => folder.click() }, text("chooseFolder")),
      ),
      files,
      folder,
    );
    this._phases = ["phaseUploading", "phaseProcessing", "phaseSearchable"].map((name) =>
      phase(/** @type {any} */ (name)),
    );
    this._line = el("p", { class: "phases-line", "data-test": "phases" });
    this._rate = el("p", { class: "quiet" });
    this._note = el("p", { class: "note", hidden: true });
    this._login = el("a", { href: "/login", target: "_blank", hidden: true }, text("login"));
    this._pause = el("button", { type: "button", onclick: () => this._togglePause() }, text("pause"));
    this._cancel = el("button", { type: "button", onclick: () => this._uploader.cancelAll() }, text("cancelAll"));
    this._retry = el("button", { type: "button", onclick: () => this._uploader.retryAll() });
    this._clear = el("button", { type: "button", onclick: () => this._clearEnded() }, text("clear"));
    this._tabs = /** @type {Filter[]} */ (Object.keys(FILTERS)).map((name) => {
      const button = el("button", { type: "button", class: "tab", onclick: () => this._show(name) });
      return { name, button };
    });
    this._none = el("p", { class: "quiet", hidden: true }, text("emptyList"));
    const list = el("div", { class: "files", tabindex: 0, role: "region", "aria-label": text("upload") });
    this._list = new VirtualList(list, rowKind(this._uploader));
    this._progress = el(
      "section",
      { class: "progress-panel", hidden: true },
      this._line,
      el("div", { class: "phases" }, ...this._phases.map((each) => each.element)),
      this._rate,
      this._note,
      this._login,
      el("p", { class: "actions" }, this._pause, this._retry, this._cancel, this._clear),
      el(
        "div",
        { class: "tabs", role: "group", "aria-label": text("filter") },
        ...this._tabs.map((each) => each.button),
      ),
      this._none,
      list,
    );
    this._root.replaceChildren(this._drop, this._progress);
  }

  _listen() {
    addEventListener("dragover", (event) => {
      event.preventDefault();
      this._drop?.classList.add("over");
    });
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) this._drop?.classList.remove("over"); // else it has only gone on to another element
    });
    addEventListener("drop", () => this._drop?.classList.remove("over"));
    addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer) void this._add(pickedFrom(event.dataTransfer));
    });
    addEventListener("paste", (event) => {
      if (event.clipboardData?.files.length) void this._add(pickedFrom(event.clipboardData));
    });
    addEventListener("beforeunload", (event) => {
      this._journal?.flush(Infinity);
      if (this._items.open) event.preventDefault();
    });
    whenLoggedOut(() => {
      if (!this._items.open) return false;
      if (!this._uploader.isPaused) this._uploader.pause();
      this._isLoggedOut = true;
      this._refresh();
      return true;
    });
    for (const name of ["online", "offline"]) addEventListener(name, () => this._refresh());
  }

  /** @param {AsyncIterable<import("./picking.js").Picked> | Iterable<import("./picking.js").Picked>} picked */
  async _add(picked) {
    let began = performance.now();
    this._ignored = [];
    this._unreadable = [];
    this._again = 0;
    this._filter = "all";
    for await (const { file, path, handle } of picked) {
      if (!file?.size) {
        (file ? this._ignored : this._unreadable).push(path);
        continue;
      }
      const { name, size, lastModified: modified } = file;
      const type = typeOf(file);
      if (!this._items.add({ path, name, size, type, modified, file, handle })) this._again += 1;
      if (performance.now() - began < ADDED_FOR) continue;
      await new Promise((resolve) => setTimeout(resolve));
      began = performance.now();
    }
    this._uploader.start();
    this._refresh();
  }

  _togglePause() {
    if (this._isLoggedOut) forgetSession();
    this._isLoggedOut = false;
    if (this._uploader.isPaused) this._uploader.resume();
    else this._uploader.pause();
    this._refresh();
  }

  /** @param {Filter} filter */
  _show(filter) {
    this._filter = filter;
    this._refresh();
  }

  _clearEnded() {
    const ended = this._items.all.filter((item) => ["ready", "duplicate", "cancelled"].includes(item.state));
    this._items.remove(ended);
    this._journal?.forget(ended.map(fileKey));
    this._refresh();
  }

  /** Draw soon, and once, however many files have changed. */
  _refresh() {
    if (this._isDrawing) return;
    this._isDrawing = true;
    setTimeout(() => requestAnimationFrame(() => this._drawNow()), this._drawn + DRAWN_EVERY - Date.now());
  }

  _drawNow() {
    this._isDrawing = false;
    this._drawn = Date.now();
    this._draw();
  }

  _draw() {
    const { counts, all } = this._items;
    const { total, stored, searchable } = phasesOf(this._items);
    if (!this._progress || !this._list || !this._line) return;
    this._progress.hidden = !all.length;
    this._drop?.classList.toggle("small", all.length > 0);
    const processed = stored - counts.uploaded - counts.jobFailed;
    setText(this._line, text("phases", { total, stored, processed, searchable }));
    const shares = [
      this._items.bytes ? this._items.bytesSent / this._items.bytes : 0,
      part(processed, total),
      part(searchable, total),
    ];
    const details = [`${stored}/${total}`, `${processed}/${total}`, `${searchable}/${total}`];
    this._phases?.forEach((each, index) => each.set(shares[index] ?? 0, details[index] ?? ""));
    this._drawControls(counts, all.length);
    const shown = this._filter === "all" ? all : all.filter(FILTERS[this._filter]);
    this._list.items = shown;
    if (this._none) this._none.hidden = shown.length > 0;
    const note = this._noteNow(counts);
    if (this._note) {
      this._note.hidden = !note;
      setText(this._note, note);
    }
    if (this._login) this._login.hidden = !this._isLoggedOut;
    const ended = this._ended(total, searchable, counts);
    if (this._rate) setText(this._rate, ended || this._rateNow());
    if (total) announce(ended || (this._line.textContent ?? ""));
  }

  /**
   * @param {import("./items.js").Counts} counts
   * @param {number} all
   */
  _drawControls(counts, all) {
    const { open } = this._items;
    if (!this._pause || !this._cancel || !this._retry || !this._clear) return;
    setText(this._pause, text(this._uploader.isPaused ? "resume" : "pause"));
    this._pause.hidden = !open;
    this._cancel.hidden = !open && !counts.missing;
    const failed = counts.failed + counts.jobFailed;
    this._retry.hidden = !failed;
    setText(this._retry, text("retryAll", { count: failed }));
    this._clear.hidden = !(counts.ready + counts.duplicate + counts.cancelled);
    const numbers = {
      all,
      open: open + counts.uploaded + counts.missing,
      failed,
      duplicate: counts.duplicate,
    };
    const names = /** @type {const} */ ({
      all: "all",
      open: "open",
      failed: "failedOnly",
      duplicate: "duplicatesOnly",
    });
    for (const { name, button } of this._tabs ?? []) {
      setText(button, text(names[name], { count: numbers[name] }));
      button.setAttribute("aria-pressed", String(name === this._filter));
    }
  }

  /**
   * @param {import("./items.js").Counts} counts
   * @returns {string} what holds the upload up, or what people must do
   */
  _noteNow(counts) {
    const wait = waitOf(this._uploader.pace, Date.now());
    if (!navigator.onLine) return text("offline");
    if (this._isLoggedOut) return text("loggedOut");
    if (this._uploader.isPaused) return text("paused");
    if (this._uploader.isAway && this._items.open) return text("away");
    if (wait > 1500 && this._items.open) return text("tooMany", { seconds: Math.ceil(wait / 1000) });
    if (counts.missing) return text("missing", { count: counts.missing });
    if (this._unreadable.length) return text("leftOut", { names: namesOf(this._unreadable) });
    if (this._ignored.length) return text("ignored", { names: namesOf(this._ignored) });
    if (this._again) return text("addedTwice", { count: this._again });
    return "";
  }

  /** @returns {string} bytes a second and the time that is left; "" where nothing can be said */
  _rateNow() {
    if (this._uploader.isPaused || !navigator.onLine) {
      this._samples = [];
      return "";
    }
    const now = Date.now();
    this._samples.push({ time: now, bytes: this._items.bytesSent });
    while ((this._samples[0]?.time ?? now) < now - RATE_OF) this._samples.shift();
    const first = this._samples[0];
    const passed = first ? now - first.time : 0;
    if (!first || passed < RATE_AFTER || !this._items.open) return "";
    const rate = ((this._items.bytesSent - first.bytes) / passed) * 1000;
    const left = this._items.bytes - this._items.bytesSent;
    return rate > 0 ? text("rate", { rate: bytesText(rate), left: durationText(left / rate) }) : "";
  }

  /**
   * @param {number} total
   * @param {number} searchable
   * @param {import("./items.js").Counts} counts
   * @returns {string} how it ended; "" while files are under way
   */
  _ended(total, searchable, counts) {
    if (!total || this._items.open || counts.uploaded || counts.missing) return "";
    const failed = counts.failed + counts.jobFailed;
    return failed ? text("doneWithFailures", { total, searchable, failed }) : text("allDone", { total });
  }
}

/** @param {string[]} paths */
function namesOf(paths) {
  const names = paths.slice(0, NAMED).join(", ");
  return paths.length > NAMED ? text("andMore", { names, count: paths.length - NAMED }) : names;
}

/** @param {"phaseUploading" | "phaseProcessing" | "phaseSearchable"} name */
function phase(name) {
  const bar = el("progress", { max: 1, value: 0, "aria-label": text(name) });
  const detail = el("span", { class: "quiet" });
  const element = el("div", { class: "phase" }, el("span", {}, text(name)), detail, bar);
  return {
    element,
    /**
     * @param {number} share
     * @param {string} said
     */
    set(share, said) {
      bar.value = share;
      setText(detail, said);
    },
  };
}

/**
 * @param {number} some
 * @param {number} all
 */
function part(some, all) {
  return all ? some / all : 0;
}

/** @param {FileSystemFileHandle} handle */
async function mayReadBy(handle) {
  // Chromium only; the type is not in TypeScript's library.
  const query = /** @type {any} */ (handle).queryPermission;
  return query ? (await query.call(handle, { mode: "read" }).catch(() => "denied")) === "granted" : false;
}
