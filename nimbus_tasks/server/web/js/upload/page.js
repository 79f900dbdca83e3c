/** The upload page: takes files that are dropped, chosen or pasted, and says what holds their upload up. */

import { announce } from "../announce.js";
import { forgetSession, session, whenLoggedOut } from "../api.js";
import { el } from "../dom.js";
import { text } from "../texts.js";
import { FollowAssets } from "./follow.js";
import { Hasher } from "./hashing.js";
import { fileKey, Items } from "./items.js";
import { Journal } from "./journal.js";
import { waitOf } from "./pace.js";
import { Panel } from "./panel.js";
import { pickedByInput, pickedFrom, typeOf } from "./picking.js";
import { Uploader } from "./uploader.js";

/** Files at once in the beginning. */
const START = 2;
/** Milliseconds of adding files before the page may draw again: the browser looks each file up on the disk. */
const ADDED_FOR = 12;
/** Milliseconds between two drawings: bytes arrive much more often. */
const DRAWN_EVERY = 100;
/** Files that a note names. */
const NAMED = 3;

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
    this._panel = new Panel(this._items, this._uploader, {
      togglePause: () => this._togglePause(),
      clear: () => this._clearEnded(),
    });
    this._isDrawing = false;
    this._drawn = 0;
    /** @type {string[]} paths of files without bytes */
    this._ignored = [];
    /** @type {string[]} paths of files and folders that cannot be read */
    this._unreadable = [];
    this._again = 0;
    this._isLoggedOut = false;
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
    this._root.replaceChildren(this._drop, this._panel.element);
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
    this._panel.show("all");
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

  _clearEnded() {
    const ended = this._items.all.filter((item) => ["ready", "duplicate", "cancelled"].includes(item.state));
    this._items.remove(ended);
    this._journal?.forget(ended.map(fileKey));
    this._root.focus(); // the button goes away
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
    this._drop?.classList.toggle("small", this._items.all.length > 0);
    this._panel.draw(this._noteNow(), this._isLoggedOut);
  }

  /** @returns {string} what holds the upload up, or what people must do; "": nothing */
  _noteNow() {
    const { counts } = this._items;
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
}

/** @param {string[]} paths */
function namesOf(paths) {
  const names = paths.slice(0, NAMED).join(", ");
  return paths.length > NAMED ? text("andMore", { names, count: paths.length - NAMED }) : names;
}

/** @param {FileSystemFileHandle} handle */
async function mayReadBy(handle) {
  // Chromium only; the type is not in TypeScript's library.
  const query = /** @type {any} */ (handle).queryPermission;
  return query ? (await query.call(handle, { mode: "read" }).catch(() => "denied")) === "granted" : false;
}
